"""Job intake: records become entries of a durable queue that workers process out of order.

A batch admits its jobs (entries and source offset) in one transaction. A finished job's
outputs and its entry's tombstone join the lane's next transaction. After a crash only
unfinished jobs run again, and a slow call does not delay other jobs.
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
from storage.waiting import BackOff, Deadline
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
"""Larger bodies are always re-read, because they might not fit a changelog record."""
TENANT_PART = 4
"""One tenant's bodies may take a quarter of the memory for bodies.

Beyond that, an entry is a stub without a body.
"""
ADMITTED_AT_ONCE = 500
"""Loaded entries that an opening lane schedules before it yields to the event loop."""
PAUSE_SECONDS = 0.25
UNKNOWN_TENANT = "unknown"
HELD_SECONDS = 60.0
"""The wait between two tries of a job that only a newer program can read."""
BACK_OFF = BackOff(0.5, 60.0)
SHORTEST_WAIT_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 3_600.0
"""The limit of a job's wait, also if a server asks for more or a clock was set back."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued entry of a lane.

    `due_at` is monotonic time, because a wall clock that is set back must not stall the
    queue.
    """

    lane: Lane
    offset: int
    tenant: str
    due_at: float = 0.0


class Job:
    """One run of an entry, as a worker gets it.

    The worker settles it exactly once, by `finish`, `postpone`, `hold` or `give_back`.
    After the lane is lost, all of them only free the worker.
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
        """True if the lane has ended. The partition's next owner then runs the job."""
        return self.waiting.lane.stopping

    def line(self, outcome: str, reason: str = "") -> Line:
        """The receipt line of a job that ends with this outcome."""
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
        """The record's value, or None if it is no longer in the source.

        For a stub it is re-read, which raises Unavailable if the brokers are too slow.
        """
        if self._value is None:
            self._value = await self.waiting.lane.read_again(self.offset)
        return self._value

    def finish(self, writes: list[Write], line: Line) -> None:
        """Adds outputs, tombstone and receipt line to the lane's next transaction."""
        self._settle()
        lane = self.waiting.lane
        if not lane.stopping:
            lane.add(writes, [self._state.remove(self.offset)], [line])
        self._jobs.release(self.waiting)

    def hold(self, newer: UnknownVersion) -> None:
        """Requeues the job and marks the partition as waiting for a newer program.

        Other jobs continue.
        """
        lane = self.waiting.lane
        if not lane.stopping:
            lane.park("version_unknown", f"the job of offset {self.offset}: {newer}")
        self.postpone(Unavailable("version", HELD_SECONDS))

    def give_back(self) -> None:
        """Frees the worker without a result, because the job's lane ends."""
        self._settle()
        self._jobs.release(self.waiting)

    def postpone(self, trouble: Unavailable) -> float:
        """Requeues the job for later and returns its due time in Unix seconds.

        The delay is at least `trouble.retry_after`, grows with each attempt, and is
        limited by `trouble.at_most`.
        """
        self._settle()
        lane, entry = self.waiting.lane, self.entry
        now = time.monotonic()
        requested = (
            trouble.retry_after
            if 0 <= trouble.retry_after <= LONGEST_WAIT_SECONDS
            else LONGEST_WAIT_SECONDS
        )  # NaN too
        pause = BACK_OFF.pause_after(entry.attempt) * random.uniform(0.75, 1.25)
        delay = min(max(requested, pause), max(SHORTEST_WAIT_SECONDS, trouble.at_most))
        later = msgspec.structs.replace(
            entry, attempt=entry.attempt + 1, due_at=time.time() + delay
        )
        if not lane.stopping:
            lane.add([], [self._state.put(self.offset, later)], [])
            if trouble.hold:
                self._jobs.schedule.hold(entry.tenant, now + min(requested, delay))
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
    """The due jobs of all lanes of the process, and the number of free workers.

    A job is handed out only when a worker is free, so the choice is made at the last moment.
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
        """Hands out due jobs while workers are free."""
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
        """Starts no new jobs and waits up to `seconds` for running ones.

        Jobs that take longer run again after the restart.
        """
        self.draining = True
        deadline = Deadline(seconds)
        while self.running and not deadline.has_passed:
            await asyncio.sleep(0.02)

    def _arm(self, now: float) -> None:
        if not self._free:
            return  # the next release of a worker calls this again
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
        """Clears the timer, because one that fired must not count as pending."""
        self._timer = None
        self.pump()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record never becomes a job, and the writes that commit with its offset."""

    reason: str
    writes: list[Write]


Refuse = Callable[[Message, bool], Refusal | None]
"""Returns None if the record may become a job.

The flag marks a record that has crashed its readers and must not be parsed.
"""


class JobIntake:
    """Admits records as jobs: checks for room, fetches, adds entries, and schedules them.

    No job runs before its admission is committed. `queue_bytes` bounds the memory of all
    entries of the process. At that bound intake pauses, but keeps admitted entries, even
    if a lane that opens loads more.
    """

    def __init__(
        self,
        jobs: Jobs,
        refuse: Refuse,
        gate: Gate,
        in_flight: InFlightRecord,
        queue_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._jobs = jobs
        self._refuse = refuse
        self._gate = gate
        self._in_flight = in_flight
        self._queue_bytes = queue_bytes
        self._states: dict[Lane, JobEntries] = {}
        self.paused: set[int] = set()

    @property
    def held_bytes(self) -> int:
        """The memory that the entries of all lanes take."""
        return sum(state.bytes for state in self._states.values())

    async def run(self, lane: Lane) -> None:
        state = lane.state
        assert isinstance(state, JobEntries)
        self._states[lane] = state
        await self._admit_loaded(lane, state)
        while not lane.stopping:
            if self.held_bytes >= self._queue_bytes or self._jobs.draining:
                # Not reading is enough: librdkafka's queue fills, and without a
                # subscription there is no poll deadline.
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
        """True if the tenant's next entry may contain its body of `size` bytes.

        This bounds memory, not service: other entries become stubs.
        """
        if size > LARGEST_KEPT_BYTES:
            return False
        bodies = self._queue_bytes // BODIES_PART
        of_all = of_tenant = size
        for state in self._states.values():  # a loop, because this runs for each record
            of_all += state.body_bytes
            of_tenant += state.body_bytes_of(tenant)
        return of_all <= bodies and of_tenant <= bodies // TENANT_PART

    async def _admit_loaded(self, lane: Lane, state: JobEntries) -> None:
        """Schedules the loaded entries in portions, so that other lanes and jobs continue.

        Each entry is scheduled once. A job that is postponed while this runs schedules
        itself, and this loop has already passed its offset.
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
        for message, is_killer in self._in_flight.each(lane.partition, messages):
            generation = generation_of(headers_of(message))
            try:
                refusal = self._refuse(message, is_killer)
            except UnknownVersion as error:
                newer = error
                self._in_flight.clear()
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
        # Otherwise the lane was revoked during the commit, and the new owner has the entries.
        if not lane.stopping:
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
