"""Whether a worker is a member of its consumer group, asserted and not assumed.

A worker without partitions looks the same whether it stands
ready to take over or was forgotten by its group. So what
counts is a member id and a heartbeat that the broker answered.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import faust
import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas.settings import Kafka
from storage.kafka.client import QUIET, client_config

log = structlog.get_logger()
POLL_INTERVAL_SECONDS = 300.0
"""aiokafka leaves the group when nobody fetched for so long.

`keep` counts as a fetch: Faust does not fetch without partitions.
"""
JOIN_SECONDS = 120.0
"""Within them a group gives every worker its partitions,
or none: rebalances take ten seconds at most.
"""
ASK_SECONDS = 10.0


class Membership:
    """What aiokafka's coordinator knows of our membership.

    Its private parts are pinned by tests/contract/lanes/test_membership.py.
    """

    def __init__(self, app: faust.App, kafka: Kafka) -> None:
        self._app = app
        self._kafka = kafka
        self._listening_to: Any = None
        self._heard_at: float | None = None
        self._alone_since = time.monotonic()
        self.joined = False

    @property
    def is_current(self) -> bool:
        """Whether the group has this worker among its members now."""
        coordinator = self._coordinator()
        return (
            self.joined
            and coordinator is not None
            and bool(coordinator.member_id)
            and self._heard_at is not None
            and time.monotonic() - self._heard_at < self._kafka.session_timeout_seconds
        )

    def expect(self) -> None:
        """From now on the group has its time to give this worker something.

        Before, the worker may have waited for Postgres.
        """
        self._alone_since = time.monotonic()

    def assigned(self) -> None:
        """The group gave this worker its partitions,
        or said that there are none for it.
        """
        self.joined = True
        self._hear()

    def keep(self) -> None:
        """Listens to the heartbeats and says that this process lives.

        Called every second from the event loop.
        """
        coordinator = self._coordinator()
        if coordinator is None:
            return
        if coordinator is not self._listening_to:
            self._listen_to(coordinator)
        thread = self._part("_thread")
        thread.thread_loop.call_soon_threadsafe(_count_as_fetch, coordinator._subscription)

    async def trouble(self) -> str | None:
        """Why this worker will never be given
        partitions; None: nothing speaks against it.
        """
        task = self.coordination_task()
        if task is not None and task.done():
            return "the coordination of the consumer group has ended"
        if self.is_current or time.monotonic() - self._alone_since <= JOIN_SECONDS:
            return None
        if not self.joined:
            return f"the group gave this worker no assignment within {JOIN_SECONDS:g} s"
        if await asyncio.to_thread(self._brokers_answer):
            return f"no heartbeat was answered for {JOIN_SECONDS:g} s although the brokers answer"
        self._alone_since = time.monotonic()  # an outage: nobody else is given anything either
        return None

    def coordination_task(self) -> "asyncio.Task[None] | None":
        """None: there is none yet."""
        return cast(
            "asyncio.Task[None] | None", getattr(self._coordinator(), "_coordination_task", None)
        )

    def _listen_to(self, coordinator: Any) -> None:
        beat: Callable[[], Any] = coordinator._do_heartbeat

        async def beat_and_hear() -> bool:
            answered: bool = await beat()
            if answered:
                self._hear()
            return answered

        coordinator._do_heartbeat = beat_and_hear
        self._listening_to = coordinator

    def _hear(self) -> None:
        self._heard_at = self._alone_since = time.monotonic()

    def _brokers_answer(self) -> bool:
        try:
            AdminClient(client_config(self._kafka) | QUIET).list_topics(timeout=ASK_SECONDS)
        except KafkaException:
            return False
        return True

    def _coordinator(self) -> Any:
        return self._part("_thread", "_consumer", "_coordinator")

    def _part(self, *names: str) -> Any:
        """None: there is none yet.

        Asking must not make it: who asks first may be the
        thread of a probe, whose event loop it would get.
        """
        found: Any = self._app._consumer
        for name in names:
            found = getattr(found, name, None)
        return found


def _count_as_fetch(subscription: Any) -> None:
    """In the consumer's own thread, which counts the fetches under way."""
    with subscription.fetch_context():
        pass
