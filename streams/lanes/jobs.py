"""Intake 2: records become entries of a durable queue, worked on out of order by an agent's workers.

A batch admits its jobs (entries and source offset) in one transaction; a finished job's outputs and its entry's
tombstone go into the lane's next one. A crash runs only unfinished jobs again; a slow call holds back nobody.
"""

import asyncio
import random
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
import structlog
from confluent_kafka import Message

from schemas.headers import generation_of, header
from schemas.keys import TENANT_PATTERN
from schemas.outcomes import Unavailable
from schemas.receipts import Line
from streams.lanes.channel import LaneChannel
from streams.lanes.gate import Gate
from streams.lanes.hand import Hand
from streams.lanes.lane import Lane
from streams.lanes.receipts import line
from streams.lanes.schedule import Schedule
from streams.lanes.transactions import Write, headers_of

log = structlog.get_logger()

_KEY = struct.Struct(">q")
ENTRY_BYTES = 220
"""What an entry takes beside its packed bytes: its places in the table and in the schedule (measured)."""
LARGEST_KEPT_BYTES = 256 * 1024
"""A larger body is always read again: with key and headers it would not fit a changelog record."""
BODIES_PART = 2
TENANT_PART = 4
"""Half of a process's queue may be bodies, and a quarter of that those of one tenant. Beyond that an entry is a stub without body."""
ADMITTED_AT_ONCE = 500
"""Entries of a lane that opens, between two turns of the event loop."""
PAUSE_SECONDS = 0.25
UNKNOWN_TENANT = "unknown"
LONGEST_BACK_OFF_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 3_600.0
"""No job waits longer for its next try, whatever a server asked for or a clock that was set back makes of its due time."""


class Entry(msgspec.Struct, array_like=True):
    """One admitted, unfinished job. Its key is the source offset: unique in its lane, whatever the message.

    `value` None: a stub; the record is read again from the source when its turn comes. Times are Unix seconds.
    """

    tenant: str
    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes | None
    admitted_at: float
    attempt: int = 0
    first_attempt_at: float = 0.0
    due_at: float = 0.0


class _Glance(msgspec.Struct, array_like=True):
    """What the queue must know of a packed entry, without unpacking the rest."""

    tenant: str
    key: msgspec.Raw
    headers: msgspec.Raw
    value: msgspec.Raw
    admitted_at: float
    attempt: int = 0
    first_attempt_at: float = 0.0
    due_at: float = 0.0

    @property
    def body_bytes(self) -> int:
        """0 for a stub: its value is the one byte that says so."""
        return len(self.value) if len(self.value) > 1 else 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode
_glance = msgspec.msgpack.Decoder(_Glance).decode


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry in its lane. `due_at` by the monotonic clock: a wall clock that is set back must not park the queue."""

    lane: Lane
    offset: int
    tenant: str
    due_at: float = 0.0


class JobEntries:
    """Offset → entry of the unfinished jobs of a partition, in order of offsets. The changelog is compacted.

    An entry is kept as the bytes of its changelog record and unpacked when a worker takes it. `bytes` is what
    all of them take in memory. Bodies that a load finds beyond `load_bytes` are left to be read again.
    """

    def __init__(self, load_bytes: int = 64 * 1024 * 1024) -> None:
        self.packed: dict[int, bytes] = {}
        self.bytes = 0
        self.body_bytes = 0
        self._load_bytes = load_bytes
        self._body_bytes_of: Counter[str] = Counter()

    def load(self, batches: Iterable[list[Message]]) -> int:
        raw: dict[bytes, bytes] = {}
        count = 0
        for messages in batches:
            for message in messages:
                key, value = message.key() or b"", message.value()
                if value is None:
                    raw.pop(key, None)
                else:
                    raw[key] = value
            count += len(messages)
        for key in sorted(raw):  # big-endian: in order of offsets
            self._load(_KEY.unpack(key)[0], raw.pop(key))
        return count

    def put(self, offset: int, entry: Entry) -> tuple[bytes, bytes]:
        """Keeps it; returns its changelog record."""
        packed = _encode(entry)
        self._keep(offset, packed, _glance(packed))
        return _KEY.pack(offset), packed

    def remove(self, offset: int) -> tuple[bytes, None]:
        self._forget(offset)
        return _KEY.pack(offset), None

    def entry(self, offset: int) -> Entry:
        """The entry as it was kept last."""
        return _decode(self.packed[offset])

    def waiting(self, lane: Lane, offset: int, now: float, clock: float) -> Waiting:
        """A kept entry for the schedule; `now` and `clock` are the monotonic and the wall clock."""
        seen = _glance(self.packed[offset])
        due_at = now + min(seen.due_at - clock, LONGEST_WAIT_SECONDS)
        return Waiting(lane, offset, seen.tenant, due_at)

    def body_bytes_of(self, tenant: str) -> int:
        return self._body_bytes_of[tenant]

    def oldest_admitted_at(self) -> float | None:
        """Of all entries: the smallest offset was read first."""
        for packed in self.packed.values():
            return _glance(packed).admitted_at
        return None

    def __len__(self) -> int:
        return len(self.packed)

    def _load(self, offset: int, packed: bytes) -> None:
        seen = _glance(packed)
        if self.body_bytes + seen.body_bytes > self._load_bytes // BODIES_PART:
            packed = _encode(msgspec.structs.replace(_decode(packed), value=None))
            seen = _glance(packed)
        self._keep(offset, packed, seen)

    def _keep(self, offset: int, packed: bytes, seen: _Glance) -> None:
        self._forget(offset, keeps_its_place=True)
        self.packed[offset] = packed
        self.bytes += len(packed) + ENTRY_BYTES
        if seen.body_bytes:
            self.body_bytes += seen.body_bytes
            self._body_bytes_of[seen.tenant] += seen.body_bytes

    def _forget(self, offset: int, *, keeps_its_place: bool = False) -> None:
        packed = self.packed.get(offset) if keeps_its_place else self.packed.pop(offset)
        if packed is None:
            return
        self.bytes -= len(packed) + ENTRY_BYTES
        seen = _glance(packed)
        if seen.body_bytes:
            self.body_bytes -= seen.body_bytes
            self._body_bytes_of[seen.tenant] -= seen.body_bytes
            if not self._body_bytes_of[seen.tenant]:
                del self._body_bytes_of[seen.tenant]


class Job:
    """What a worker gets. Exactly one of `finish` and `postpone`; after the lane was lost both only free the worker."""

    __slots__ = ("_jobs", "_settled", "_value", "entry", "waiting")

    def __init__(self, jobs: "Jobs", waiting: Waiting) -> None:
        self._jobs = jobs
        self._settled = False
        self.waiting = waiting
        self.entry = self._state.entry(waiting.offset)
        self.entry.first_attempt_at = self.entry.first_attempt_at or time.time()
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
            self._value = await asyncio.to_thread(self.waiting.lane.read_again, self.offset)
        return self._value

    def finish(self, writes: list[Write], line: Line) -> None:
        """Its outputs, its tombstone and its line join the lane's next transaction."""
        self._settle()
        lane = self.waiting.lane
        if not lane.stopping:
            lane.add(writes, [self._state.remove(self.offset)], [line])
        self._jobs.release(self.waiting)

    def give_back(self) -> None:
        """Frees the worker, nothing done: the job's lane is over, or will be."""
        self._settle()
        self._jobs.release(self.waiting)

    def postpone(self, trouble: Unavailable) -> None:
        """Back into the queue, due later: at least what the trouble asks for, and longer with each attempt."""
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
        delay = max(asked, back_off)
        later = msgspec.structs.replace(
            entry, attempt=entry.attempt + 1, due_at=time.time() + delay
        )
        if not lane.stopping:
            lane.add([], [self._state.put(self.offset, later)], [])
            if trouble.hold:
                self._jobs.schedule.hold(entry.tenant, now + asked)
            self._jobs.schedule.add(Waiting(lane, self.offset, entry.tenant, now + delay), now)
        self._jobs.release(self.waiting)

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
        """No new job; waits for running ones. Those that take longer run again after the restart."""
        self.draining = True
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
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
"""None: the record may become a job. True with a message that is not to be read, because it killed who read it."""


class JobIntake:
    """Room? → fetch → entries → add → await the commit → schedule. Nothing runs before its admission is committed.

    `queue_bytes` bounds what the entries of all lanes of the process take in memory. When they take that much,
    intake pauses. What was admitted before is kept, also when a lane that opens brings more.
    """

    def __init__(
        self,
        jobs: Jobs,
        refuse: Refuse,
        gate: Gate,
        hand: Hand,
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
        """Whether the tenant's next entry may carry its body of `size` bytes. What it may not is bounded memory, not service."""
        bodies = self._queue_bytes // BODIES_PART
        states = self._states.values()
        return (
            size <= LARGEST_KEPT_BYTES
            and sum(state.body_bytes for state in states) + size <= bodies
            and sum(state.body_bytes_of(tenant) for state in states) + size <= bodies // TENANT_PART
        )

    async def _admit_loaded(self, lane: Lane, state: JobEntries) -> None:
        """Schedules what the changelog held, a portion at a time: other lanes and running jobs go on meanwhile.

        Each entry is scheduled once. A job that is postponed while this runs schedules itself, and its
        offset is behind this loop already.
        """
        now, clock = time.monotonic(), time.time()
        offsets = list(state.packed)
        for start in range(0, len(offsets), ADMITTED_AT_ONCE):
            if lane.stopping:
                return
            self._jobs.admit(
                [
                    state.waiting(lane, offset, now, clock)
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
        for message, is_killer in self._hand.each(lane.partition, messages):
            generation = generation_of(headers_of(message))
            refusal = self._refuse(message, is_killer)
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
        await lane.add(writes, changelog, lines, (messages[-1].offset() or 0) + 1)
        if not lane.stopping:  # given away while it committed: the new owner has the entries
            self._jobs.admit(admitted)

    def _entry_of(self, message: Message, now: float) -> Entry:
        headers = headers_of(message)
        key = message.key() or b""
        named = (header(headers, "tenant") or key.partition(b":")[0]).decode(errors="replace")
        tenant = named if TENANT_PATTERN.fullmatch(named) else UNKNOWN_TENANT
        value = message.value()
        keeps_body = self.has_room_for_body(tenant, len(value or b""))
        return Entry(tenant, key, headers, value if keeps_body else None, now)
