"""Measures how long other tenants wait, before and while one tenant has trouble or sends much."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.settings import Settings
from tests.chaos import gather
from tests.chaos.book import POISON, Accepted, Book
from tests.chaos.world import World

MORE_SECONDS = 5.0
"""The most by which one tenant's trouble may delay another tenant's job."""
NOISE_SECONDS = 0.25
"""A smaller difference of two p99 means nothing on a machine that is also busy otherwise."""
LOOK_SECONDS = 0.05


class Completions:
    """Records when each accepted message became a finished row. Looks twenty times per second."""

    def __init__(self, settings: Settings, book: Book, tenants: list[str]) -> None:
        self.at: dict[str, float] = {}
        self._settings = settings
        self._book = book
        self._tenants = tenants
        self._since = time.time()  # here: the thread may begin later than who asks
        self._ending = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="completions", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._ending.set()
        self._thread.join(10)

    def waiting(self, until: float = float("inf")) -> set[str]:
        """Messages that were accepted before `until` and are not finished yet."""
        return {entry.key for entry in self._accepted(self._since, until)} - self.at.keys()

    def latencies(self, since: float, until: float) -> list[float]:
        """The seconds from acceptance to the finished row of the messages accepted in that time.

        A message that is not finished yet counts with its age.
        """
        now = time.time()
        return sorted(
            max(0.0, self.at.get(entry.key, now) - entry.at)
            for entry in self._accepted(since, until)
        )

    def _accepted(self, since: float, until: float) -> list[Accepted]:
        return [
            e
            for e in list(self._book.accepted.values())
            if since <= e.at < until and e.tenant in self._tenants and e.kind not in POISON
        ]

    async def _run(self) -> None:
        connection = await gather.open_connection(self._settings)
        try:
            while not self._ending.is_set():
                if waiting := self.waiting():
                    found = await connection.fetch(
                        "SELECT message_key FROM chat_messages WHERE tenant_id = ANY($1) AND message_key = ANY($2) AND status <> 'pending'",
                        self._tenants,
                        list(waiting),
                    )
                    now = time.time()
                    self.at |= {row["message_key"]: now for row in found}
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            connection.terminate()


def quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@contextmanager
def compare(
    world: World,
    victim: str,
    seconds: float,
    *,
    quiet_rate: float | None = None,
    p99_at_most: Callable[[float], float] | None = None,
) -> Iterator[None]:
    """Notes and judges the other tenants' p99 before and during the block.

    `p99_at_most` maps the p99 before to the highest one allowed during the block.
    Without it, the slowest message may take five seconds longer.
    """
    others = [sender.tenant for sender in world.senders if sender.tenant != victim]
    rate, weights = world.generator.rate, list(world.generator.traffic.weights)
    completions = Completions(world.pipeline.settings, world.generator.book, others)
    try:
        if quiet_rate is not None:
            world.generator.rate = quiet_rate * len(others)
            world.generator.traffic.weights = [
                0.0 if sender.tenant == victim else 1.0 for sender in world.senders
            ]
        before, idle_before = time.time(), _idle_seconds()
        world.sleep(seconds)
        world.generator.rate, world.generator.traffic.weights = rate, weights
        began, idle_began = time.time(), _idle_seconds()
        yield
        ended, idle_ended = time.time(), _idle_seconds()
        world.until(lambda: not completions.waiting(ended), MORE_SECONDS * 2)
        baseline, now = completions.latencies(before, began), completions.latencies(began, ended)
    finally:
        completions.close()
    world.notes |= {
        "cores_busy_before": _share_busy(idle_began - idle_before, began - before),
        "cores_busy": _share_busy(idle_ended - idle_began, ended - began),
    }
    _compared(world, baseline, now, p99_at_most)


def _idle_seconds() -> float:
    """The idle time of all cores of the machine together, in seconds since boot."""
    cpu = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(cpu[4]) + int(cpu[5])) / os.sysconf("SC_CLK_TCK")


def _share_busy(idle_seconds: float, seconds: float) -> float:
    return round(1 - idle_seconds / (seconds * (os.cpu_count() or 1)), 2)


def _compared(
    world: World,
    baseline: list[float],
    now: list[float],
    p99_at_most: Callable[[float], float] | None,
) -> None:
    p99 = quantile(baseline, 0.99), quantile(now, 0.99)
    slowest = max(baseline, default=0.0), max(now, default=0.0)
    world.notes |= {
        "others_p99_before": round(p99[0], 2),
        "others_p99": round(p99[1], 2),
        "others_slowest_before": round(slowest[0], 2),
        "others_slowest": round(slowest[1], 2),
        "others_counted": (len(baseline), len(now)),
    }
    if p99_at_most is not None and p99[1] > p99_at_most(p99[0]):
        world.failures.append(f"others' p99 grew from {p99[0]:.2f} to {p99[1]:.2f} s")
    if slowest[1] > slowest[0] + MORE_SECONDS:
        world.failures.append(
            f"another tenant's message waited {slowest[1]:.1f} s, {slowest[0]:.1f} s before"
        )
