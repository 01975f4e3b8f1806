"""Intake 2: records become entries of a durable queue, worked on out of order by an agent's workers.

A batch admits its jobs (entries and source offset) in one transaction; a finished job's
outputs and its entry's tombstone go into the lane's next one. A crash runs only
unfinished jobs again; a slow call holds back nobody.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
import structlog
from confluent_kafka import Message

from schemas.headers import generation_of, header
from schemas.keys import TENANT_PATTERN
from schemas.outcomes import Unavailable
from schemas.receipts import Line
from schemas.versions import UnknownVersion
from storage.waiting import Deadline
from streams.lanes.channel import LaneChannel
from streams.lanes.entries import Entry, Glance, waiting_since
from streams.lanes.gate import Gate
from streams.lanes.in_flight import InFlightRecord
from streams.lanes.job_entries import BODIES_PART, JobEntries
from streams.lanes.lane import Lane
from streams.lanes.receipts import line
from streams.lanes.schedule import Schedule
from streams.lanes.transactions import Write, headers_of

log = structlog.get_logger()

LARGEST_KEPT_BYTES = 256 * 1024
"""A larger body is always read again: with key and headers it would not fit a changelog record."""
TENANT_PART = 4
"""A quarter of what bodies may take is for those of one tenant.

Beyond that an entry is a stub without body.
"""
ADMITTED_AT_ONCE = 500
"""Entries of a lane that opens, between two turns of the event loop."""
PAUSE_SECONDS = 0.25
UNKNOWN_TENANT = "unknown"
HELD_SECONDS = 60.0
"""Between two looks at a job that a newer program admitted: no look helps, but a clock or a hand-over must not need one."""
LONGEST_BACK_OFF_SECONDS = 60.0
SHORTEST_WAIT_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 3_600.0
"""No job waits longer for its next try, whatever a server asked for or a clock that was set back makes of its due time."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry in its lane.

    `due_at` by the monotonic clock: a wall clock that is set back must not park the
    queue.
    """

    lane: Lane
    offset: int
    tenant: str
    due_at: float = 0.0


class Job:
    """What a worker gets.

    Exactly one of `finish` and `postpone`; after the lane was lost both only free the
    worker.
    """

    __slots__ = ("_jobs", "_settled", "_value", "entry", "waiting")

    def __init__(self, jobs: "Jobs", waiting: Waiting) -> None:
        self._jobs = jobs
        self._settled = False
        self.waiting = waiting
        self.entry = self._state.entry(waiting.offset)
        self.entry.first_attempt_at = waiting_since(self.entry, time.time())
        self._value = self.entry.value

    @property
    def offset(self) -> int:
        return self.waiting.offset

    @property
    def partition(self) -> int:
        return self.waiting.lane.partition

    @property
    def is_lost(self) -> bool:
        """Whether its lane is over: what becomes of the job is the next owner's."""
        return self.waiting.lane.stopping

    def line(self, outcome: str, reason: str = "") -> Line:
        """What the job's receipt says when it ends so."""
        entry = self.entry
        return Line(
            self.offset,
            entry.key,
            int(entry.admitted_at * 1000),
            outcome,
            reason,
            generation_of(entry.headers),
        )

    async def value(self) -> bytes | None:
        """The record's value; of a stub read again from the source. None: the source does not hold it any more.

        Raises Unavailable when the brokers do not give it in time.
        """
        if self._value is None:
            self._value = await self.waiting.lane.read_again(self.offset)
        return self._value

    def finish(self, writes: list[Write], line: Line) -> None:
        """Its outputs, its tombstone and its line join the lane's next transaction."""
        self._settle()
        lane = self.waiting.lane
        if not lane.stopping:
            lane.add(writes, [self._state.remove(self.offset)], [line])
        self._jobs.release(self.waiting)

    def hold(self, newer: UnknownVersion) -> None:
        """Back into the queue, and the partition says that it waits for a newer program.

        The other jobs go on.
        """
        lane = self.waiting.lane
        if not lane.stopping:
            lane.park("version_unknown", f"the job of offset {self.offset}: {newer}")
        self.postpone(Unavailable("version", HELD_SECONDS))

    def give_back(self) -> None:
        """Frees the worker, nothing done: the job's lane is over, or will be."""
        self._settle()
        self._jobs.release(self.waiting)

    def postpone(self, trouble: Unavailable) -> float:
        """Back into the queue, due later: at least what the trouble asks for, and
        longer with each attempt, but never longer than it leaves time for. Returns when
        it is due, in Unix seconds.
        """
        self._settle()
        lane, entry = self.waiting.lane, self.entry
        now = time.monotonic()
        asked = (
            trouble.retry_after
            if 0 <= trouble.retry_after <= LONGEST_WAIT_SECONDS
            else LONGEST_WAIT_SECONDS
        )  # NaN too
        back_off = min(
            LONGEST_BACK_OFF_SECONDS, 0.5 * 2 ** min(entry.attempt, 10)
        ) * random.uniform(0.75, 1.25)
        delay = min(max(asked, back_off), max(SHORTEST_WAIT_SECONDS, trouble.at_most))
        later = msgspec.structs.replace(
            entry, attempt=entry.attempt + 1, due_at=time.time() + delay
        )
        if not lane.stopping:
            lane.add([], [self._state.put(self.offset, later)], [])
            if trouble.hold:
                self._jobs.schedule.hold(entry.tenant, now + min(asked, delay))
            self._jobs.schedule.add(Waiting(lane, self.offset, entry.tenant, now + delay), now)
        self._jobs.release(self.waiting)
        return later.due_at

    def _settle(self) -> None:
        if self._settled:
            raise RuntimeError(f"the job at offset {self.offset} was settled twice")
        self._settled = True

    @property
    def _state(self) -> JobEntries:
        state = self.waiting.lane.state
        assert isinstance(state, JobEntries)
        return state


class Jobs:
    """One a process: the due jobs of all its lanes, and how many workers are free.

    A job goes before the agent only when a worker is free, so that "who is next" is decided at the last moment.
    """

    def __init__(self, channel: LaneChannel, workers: int, per_tenant: int) -> None:
        self.schedule: Schedule[Waiting] = Schedule(per_tenant)
        self.draining = False
        self._channel = channel
        self._workers = self._free = workers
        self._timer: tuple[float, asyncio.TimerHandle] | None = None

    @property
    def running(self) -> int:
        return self._workers - self._free

    def admit(self, waiting: Iterable[Waiting]) -> None:
        now = time.monotonic()
        for one in waiting:
            self.schedule.add(one, now)
        self.pump()

    def pump(self) -> None:
        """Hands out what is due while workers are free."""
        if self.draining:
            return
        now = time.monotonic()
        while self._free and (waiting := self.schedule.take(now, self._free)):
            self._free -= 1
            self._channel.hand_out(Job(self, waiting))
        self._arm(now)

    def release(self, waiting: Waiting) -> None:
        self._free += 1
        self.schedule.done(waiting.tenant)
        self.pump()

    def drop(self, lane: Lane) -> None:
        self.schedule.drop(lambda waiting: waiting.lane is lane)

    async def drain(self, seconds: float) -> None:
        """No new job; waits for running ones.

        Those that take longer run again after the restart.
        """
        self.draining = True
        deadline = Deadline(seconds)
        while self.running and not deadline.has_passed:
            await asyncio.sleep(0.02)

    def _arm(self, now: float) -> None:
        if not self._free:
            return  # the next worker that comes free looks again
        wake = self.schedule.next_wake(now)
        if wake is None or (self._timer is not None and now < self._timer[0] <= wake):
            return
        if self._timer is not None:
            self._timer[1].cancel()
        self._timer = (
            wake,
            asyncio.get_running_loop().call_later(max(0.0, wake - now) + 0.001, self._woken),
        )

    def _woken(self) -> None:
        """A loop's timer may fire a moment too early: one that is spent must not be taken for one that is still to come."""
        self._timer = None
        self.pump()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record never becomes a job, and what is written in its stead, in the same transaction as the offset."""

    reason: str
    writes: list[Write]


Refuse = Callable[[Message, bool], Refusal | None]
"""None: the record may become a job.

True with a message that is not to be read, because it killed who read it.
"""


class JobIntake:
    """Room? → fetch → entries → add → await the commit → schedule. Nothing runs before its admission is committed.

    `queue_bytes` bounds what the entries of all lanes of the process take in memory.
    When they take that much, intake pauses. What was admitted before is kept, also when
    a lane that opens brings more.
    """

    def __init__(
        self,
        jobs: Jobs,
        refuse: Refuse,
        gate: Gate,
        hand: InFlightRecord,
        queue_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._jobs = jobs
        self._refuse = refuse
        self._gate = gate
        self._hand = hand
        self._queue_bytes = queue_bytes
        self._states: dict[Lane, JobEntries] = {}
        self.paused: set[int] = set()

    @property
    def held_bytes(self) -> int:
        """What the entries of all lanes take in memory."""
        return sum(state.bytes for state in self._states.values())

    async def run(self, lane: Lane) -> None:
        state = lane.state
        assert isinstance(state, JobEntries)
        self._states[lane] = state
        await self._admit_loaded(lane, state)
        while not lane.stopping:
            if self.held_bytes >= self._queue_bytes or self._jobs.draining:
                # Not reading is enough: librdkafka's queue fills up, and an assigned, unsubscribed consumer has no poll deadline.
                self.paused.add(lane.partition)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            self.paused.discard(lane.partition)
            messages = await lane.fetch()
            if messages and not lane.stopping:
                await self._admit(lane, state, messages)

    def dropped(self, lane: Lane) -> None:
        self._states.pop(lane, None)
        self.paused.discard(lane.partition)
        self._jobs.drop(lane)

    def has_room_for_body(self, tenant: str, size: int) -> bool:
        """Whether the tenant's next entry may carry its body of `size` bytes.

        What it may not is bounded memory, not service.
        """
        if size > LARGEST_KEPT_BYTES:
            return False
        bodies = self._queue_bytes // BODIES_PART
        of_all = of_tenant = size
        for state in self._states.values():  # a loop, for this is done for each record
            of_all += state.body_bytes
            of_tenant += state.body_bytes_of(tenant)
        return of_all <= bodies and of_tenant <= bodies // TENANT_PART

    async def _admit_loaded(self, lane: Lane, state: JobEntries) -> None:
        """Schedules what the changelog held, a portion at a time: other lanes and running jobs go on meanwhile.

        Each entry is scheduled once. A job that is postponed while this runs schedules
        itself, and its offset is behind this loop already.
        """
        now, clock = time.monotonic(), time.time()
        offsets = list(state.packed)
        for start in range(0, len(offsets), ADMITTED_AT_ONCE):
            if lane.stopping:
                return
            self._jobs.admit(
                [
                    _waiting(lane, offset, state.glance(offset), now - clock)
                    for offset in offsets[start : start + ADMITTED_AT_ONCE]
                ]
            )
            await asyncio.sleep(0)

    async def _admit(self, lane: Lane, state: JobEntries, messages: list[Message]) -> None:
        now = time.time()
        admitted: list[Waiting] = []
        writes: list[Write] = []
        changelog: list[tuple[bytes, bytes | None]] = []
        lines: list[Line] = []
        newer: UnknownVersion | None = None
        for message, is_killer in self._hand.each(lane.partition, messages):
            generation = generation_of(headers_of(message))
            try:
                refusal = self._refuse(message, is_killer)
            except UnknownVersion as error:
                newer = error
                self._hand.lay_down()
                break
            if refusal is not None:
                writes += refusal.writes
                lines.append(line(message, "quarantined", refusal.reason, generation))
                continue
            lines.append(line(message, "admitted", "", generation))
            entry = self._entry_of(message, now)
            waiting = Waiting(lane, message.offset() or 0, entry.tenant)
            changelog.append(state.put(waiting.offset, entry))
            admitted.append(waiting)
        if not await self._gate.judge(lines, lambda: lane.stopping):
            return
        if lines:
            await lane.add(writes, changelog, lines, lines[-1].offset + 1)
        if not lane.stopping:  # given away while it committed: the new owner has the entries
            self._jobs.admit(admitted)
        if newer is not None:
            lane.park("version_unknown", f"offset {lane.position}: {newer}")
            await lane.stopped()

    def _entry_of(self, message: Message, now: float) -> Entry:
        headers = headers_of(message)
        key = message.key() or b""
        named = (header(headers, "tenant") or key.partition(b":")[0]).decode(errors="replace")
        tenant = named if TENANT_PATTERN.fullmatch(named) else UNKNOWN_TENANT
        value = message.value()
        keeps_body = self.has_room_for_body(tenant, len(value or b""))
        return Entry(tenant, key, headers, value if keeps_body else None, now)


def _waiting(lane: Lane, offset: int, seen: Glance, wall_to_monotonic: float) -> Waiting:
    latest = time.monotonic() + LONGEST_WAIT_SECONDS
    return Waiting(lane, offset, seen.tenant, min(seen.due_at + wall_to_monotonic, latest))
