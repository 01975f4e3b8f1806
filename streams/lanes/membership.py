"""Checks that a worker is really a member of its consumer group.

A worker without partitions looks the same whether it is ready to take over or its group
has forgotten it. So it counts as a member only if it has a member id and a broker has
answered one of its heartbeats within the session time-out.
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
"""aiokafka leaves the group if it fetched nothing for this long.

`Membership.keep` counts as a fetch, because Faust does not fetch while it has no partitions.
"""
JOIN_SECONDS = 120.0
"""The longest time that a worker goes without an assignment or an answered heartbeat.

A group needs less to assign partitions, or none, because a rebalance takes 10 s at most.
"""
ASK_SECONDS = 10.0


class Membership:
    """Reads from aiokafka's coordinator whether this worker is a member of its group.

    It uses private attributes, which tests/contract/lanes/test_membership.py pins.
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
        """True if this worker is a member of the group now."""
        coordinator = self._coordinator()
        return (
            self.joined
            and coordinator is not None
            and bool(coordinator.member_id)
            and self._heard_at is not None
            and time.monotonic() - self._heard_at < self._kafka.session_timeout_seconds
        )

    def expect(self) -> None:
        """Starts the time limit for the first assignment.

        The time before does not count, because the worker may have waited for Postgres.
        """
        self._alone_since = time.monotonic()

    def assigned(self) -> None:
        """Notes that the group sent this worker an assignment, which may be empty."""
        self.joined = True
        self._hear()

    def keep(self) -> None:
        """Observes the heartbeats, and counts as a fetch so that aiokafka stays in the group.

        The event loop calls it every second.
        """
        coordinator = self._coordinator()
        if coordinator is None:
            return
        if coordinator is not self._listening_to:
            self._listen_to(coordinator)
        thread = self._part("_thread")
        thread.thread_loop.call_soon_threadsafe(_count_as_fetch, coordinator._subscription)

    async def trouble(self) -> str | None:
        """Why this worker would never get partitions again, or None if it may."""
        task = self.coordination_task()
        if task is not None and task.done():
            return "the coordination of the consumer group has ended"
        if (failure := self.failure()) is not None:
            return f"the coordination of the consumer group failed: {failure}"
        if self.is_current or time.monotonic() - self._alone_since <= JOIN_SECONDS:
            return None
        if not self.joined:
            return f"the group gave this worker no assignment within {JOIN_SECONDS:g} s"
        if await asyncio.to_thread(self._brokers_answer):
            return f"no heartbeat was answered for {JOIN_SECONDS:g} s although the brokers answer"
        self._alone_since = time.monotonic()  # the brokers are away, for every worker
        return None

    def coordination_task(self) -> "asyncio.Task[None] | None":
        """aiokafka's task that coordinates the group, or None before it starts."""
        return cast(
            "asyncio.Task[None] | None", getattr(self._coordinator(), "_coordination_task", None)
        )

    def failure(self) -> Exception | None:
        """The error for which aiokafka's coordination waits to be handled, or None.

        A fetch would raise it, but Faust does not fetch while it has no partitions. One such
        error is GROUP_LOAD_IN_PROGRESS, which a broker that was just started answers.
        """
        return cast("Exception | None", getattr(self._coordinator(), "_pending_exception", None))

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
        """Follows attribute names from Faust's consumer. None if one of them does not exist yet.

        It must not create the consumer, as `app.consumer` does: the first caller may be the
        thread that answers probes, and the consumer would then use that thread's event loop.
        """
        found: Any = self._app._consumer
        for name in names:
            found = getattr(found, name, None)
        return found


def _count_as_fetch(subscription: Any) -> None:
    """Begins and ends a fetch. Runs in the consumer's thread, which counts them."""
    with subscription.fetch_context():
        pass
