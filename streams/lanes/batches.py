"""Batch intake: an agent decides a batch of records at once, in one transaction."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from confluent_kafka import Message

from schemas.receipts import Line
from schemas.versions import UnknownVersion
from streams.lanes.channel import LaneChannel
from streams.lanes.gate import Gate
from streams.lanes.in_flight import InFlightRecord
from streams.lanes.lane import Lane
from streams.lanes.state import PartitionState
from streams.lanes.transactions import Write

S = TypeVar("S", bound=PartitionState)


class Batch(Generic[S]):
    """Records of one partition in order, with the state of that partition.

    The agent calls either `settle` or `discard`, once.
    """

    __slots__ = (
        *("_decided", "_in_flight", "_lane", "changelog", "lines", "messages", "newer", "state"),
        "writes",
    )

    def __init__(
        self, lane: Lane, state: S, messages: list[Message], in_flight: InFlightRecord
    ) -> None:
        self._lane = lane
        self._in_flight = in_flight
        self.state = state
        self.messages = messages
        self.writes: list[Write] = []
        self.changelog: list[tuple[bytes, bytes | None]] = []
        self.lines: list[Line] = []
        self.newer: UnknownVersion | None = None
        self._decided: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def current(self) -> bool:
        """True while this process still has the lane.

        A batch of a lost lane must be discarded, because settling it empty would move its
        offset.
        """
        return not self._lane.stopping

    @property
    def partition(self) -> int:
        return self._lane.partition

    def each(self) -> Iterator[tuple[Message, bool]]:
        """Yields the messages in order, each with a process killer flag.

        If the flag is True, the message has crashed its readers and must not be read.
        """
        return self._in_flight.each(self.partition, self.messages)

    def settle(
        self,
        writes: list[Write],
        changelog: list[tuple[bytes, bytes | None]],
        lines: list[Line],
        newer: UnknownVersion | None = None,
    ) -> None:
        """Sets the outcome of the batch, with one line per message.

        Without its line, a record would have neither an output nor a reason. `newer` is
        set if this program cannot read the record after those with a line. The partition
        is parked at that record.
        """
        assert newer is not None or len(lines) == len(self.messages)
        if newer is not None:
            self.newer, self.messages = newer, self.messages[: len(lines)]
            self._in_flight.clear()
        self.writes, self.changelog, self.lines = writes, changelog, lines
        self._decided.set_result(True)

    def discard(self) -> None:
        """Discards the batch, so that nothing of it is committed."""
        self._decided.set_result(False)

    def decided(self) -> "asyncio.Future[bool]":
        """A future that becomes True after `settle`, or False after `discard`."""
        return self._decided


class BatchIntake(Generic[S]):
    """Processes one batch of a lane at a time.

    It fetches records, passes them to the agent as a batch, waits for the batch's outcome,
    adds that to the lane and waits for the commit.

    `weigh` returns how many bytes one record may make the stage hold and write. Without
    it, a record counts with its own size, and the bound of the consumer's queue suffices.
    """

    def __init__(
        self,
        channel: LaneChannel,
        gate: Gate,
        in_flight: InFlightRecord,
        weigh: Callable[[S, Message], int] | None = None,
    ) -> None:
        self._channel = channel
        self._gate = gate
        self._in_flight = in_flight
        self._weigh = weigh

    async def run(self, lane: Lane) -> None:
        rest: list[Message] = []
        while not lane.stopping:
            messages, rest = self._within_bounds(lane, rest or await lane.fetch())
            if not messages or lane.stopping:
                continue
            batch: Batch[S] = Batch(lane, lane.state, messages, self._in_flight)  # type: ignore[arg-type]
            self._channel.hand_out(batch)
            if not await batch.decided() or not await self._gate.judge(
                batch.lines, lambda: lane.stopping
            ):
                lane.stop()
                return
            if batch.messages:
                moved = (batch.messages[-1].offset() or 0) + 1
                await lane.add(batch.writes, batch.changelog, batch.lines, moved)
            if batch.newer is not None:
                lane.park("version_unknown", f"offset {lane.position}: {batch.newer}")
                await lane.stopped()

    def _within_bounds(
        self, lane: Lane, messages: list[Message]
    ) -> tuple[list[Message], list[Message]]:
        """Splits the messages into the next batch (at least one) and the rest."""
        if self._weigh is None:
            return messages, []
        weight = 0
        for count, message in enumerate(messages):
            weight += self._weigh(lane.state, message)  # type: ignore[arg-type]
            if count and weight > lane.pace.batch_bytes:
                return messages[:count], messages[count:]
        return messages, []

    def dropped(self, lane: Lane) -> None:
        """Does nothing: the agent discards a batch whose lane has ended."""
