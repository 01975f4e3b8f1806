"""Sends signed deliveries at an even pace, in its own thread, and repeats those not accepted."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable

import httpx

from connectors.providers.catalogue import sign
from tests.chaos.book import Book, Item
from tests.chaos.traffic import OWN, Sender, Traffic

OUTSTANDING = 300
"""The most deliveries in flight, as a provider limits them too."""
GIVE_UP_SECONDS = 180.0


class Generator:
    """Sends while it runs. `rate` may be changed at any time; 0 is a pause."""

    def __init__(self, receiver: str, traffic: Traffic, book: Book, rate: float, seed: int) -> None:
        self.rate = rate
        self.traffic = traffic
        self.book = book
        self.statuses: Counter[str] = Counter()
        self.outstanding = 0
        self._receiver = receiver
        self._senders: dict[str, Sender] = {sender.tenant: sender for sender in traffic.senders}
        self._pacing = threading.Event()
        self._ending = threading.Event()
        self._asked: list[Item] = []
        self._rng = random.Random(seed)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="generator", daemon=True
        )
        self._thread.start()

    def start(self) -> None:
        self._pacing.set()

    def pause(self) -> None:
        """Starts no new deliveries. Those that are not accepted yet are still retried."""
        self._pacing.clear()

    def send(self, items: Iterable[Item]) -> None:
        """Sends these items too, at once."""
        self._asked += items

    @property
    def idle(self) -> bool:
        return self.outstanding == 0 and not self._asked

    @property
    def refused(self) -> int:
        """The deliveries that were not answered 2xx."""
        return sum(count for status, count in self.statuses.items() if not status.startswith("2"))

    def close(self) -> None:
        self._ending.set()
        self._thread.join(10)

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=15, limits=limits, trust_env=False) as client:
            tasks: set[asyncio.Task[None]] = set()
            due = time.monotonic()
            while not self._ending.is_set():
                now = time.monotonic()
                new, self._asked = self._asked, []
                if not self._pacing.is_set() or self.rate <= 0:
                    due = now
                while due < now and self.outstanding + len(new) < OUTSTANDING and self.rate > 0:
                    new += self.traffic.next()
                    due += 1 / self.rate
                due = max(due, now - 1.0)
                for item in new:
                    self.outstanding += 1
                    task = asyncio.create_task(self._deliver(client, item))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                await asyncio.sleep(0.005)
            for task in tasks:
                task.cancel()

    async def _deliver(self, client: httpx.AsyncClient, item: Item) -> None:
        """Sends the item until the answer is 2xx.

        After any other answer it is not known whether the message was accepted.
        """
        deadline, wait = time.monotonic() + GIVE_UP_SECONDS, 0.2
        try:
            while time.monotonic() < deadline:
                status = await self._once(client, item)
                self.statuses[status] += 1
                if status.startswith("2"):
                    await asyncio.to_thread(self.book.accept, item)
                    return
                self.book.doubt(item)
                await asyncio.sleep(wait * self._rng.uniform(0.7, 1.3))
                wait = min(2.0, wait * 1.5)
            self.statuses["given up"] += 1
        finally:
            self.outstanding -= 1

    async def _once(self, client: httpx.AsyncClient, item: Item) -> str:
        path, headers = self._addressed(item)
        try:
            answer = await client.post(
                f"{self._receiver}{path}", content=item.sample.body, headers=headers
            )
        except httpx.HTTPError as error:
            return type(error).__name__
        return str(answer.status_code)

    def _addressed(self, item: Item) -> tuple[str, dict[str, str]]:
        """The path and headers: signed as by a provider, or with the key of a tenant's own program."""
        sender, provider = self._senders[item.tenant], item.sample.provider
        plain = {"content-type": "application/json"}
        if provider == OWN:
            return "/chat", plain | {"authorization": f"Bearer {sender.key}"}
        token, secret = sender.endpoints[provider]
        signed = sign(provider, secret, item.sample.body, int(time.time()))
        return f"/webhooks/{provider}/{token}", plain | signed
