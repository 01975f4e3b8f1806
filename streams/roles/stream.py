"""The role `stream`: for each stage a small parent process and a child that does the work.

If a child dies during a transaction, read_committed readers of every partition in it
must wait. The parent knows the child's transactional ids (the child writes them to a
pipe at every assignment) and fences them at once, so readers continue after 0.5 to 0.7
s instead of after a session time-out. Then it starts the child again.

A record that was in flight each time the child died (streams/lanes/in_flight.py) is not
read a fourth time: it is quarantined as a process killer. The strikes are counted here,
in memory.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from schemas.pipeline import Stage
from schemas.settings import Settings
from storage import failpoints
from storage.waiting import BackOff, Deadline
from streams.lanes.in_flight import left_in, shared_memory
from streams.lanes.transactions import fence

log = structlog.get_logger()

FENCE_WITHIN_SECONDS = 4.0
"""While the dead child's session lasts, no other process can own its partitions.

Later, fencing would hit their new owner.
"""
FIRST_BACK_OFF_SECONDS = 0.2
LONGEST_BACK_OFF_SECONDS = 30.0
STEADY_SECONDS = 30.0
STRIKES = 3
"""A record is not read again after this many deaths with it in flight."""
CHILD_STOP_SECONDS = 25.0
FENCE_THREADS = 32
METRICS_PORT = "SENSORIUM_WORKER__METRICS_PORT"
WORKER = (sys.executable, "-m", "streams.roles.worker")
"""The program of a child.

Its arguments are the stage, the pipe to write to, the parent's process id, the shared
memory for the record in flight, and the records that must not be read.
"""


@dataclass
class Child:
    """A worker process, its last assignment, and its heartbeats since then."""

    stage: Stage
    process: subprocess.Popen[bytes]
    pipe: int
    memory: int
    started: float
    buffer: bytes = b""
    transactional_ids: list[str] = field(default_factory=list)
    last_beat: float = 0.0
    ready_at: float | None = None
    missed_beats: bool = False

    def tell(self, line: bytes) -> None:
        """Handles one line from the pipe.

        A late heartbeat means that the group may have reassigned the partitions meanwhile.
        """
        report = json.loads(line)
        late = report["at"] - self.last_beat > FENCE_WITHIN_SECONDS
        if "transactional_ids" in report:
            self.transactional_ids, self.missed_beats = report["transactional_ids"], False
        elif late:
            self.missed_beats = True
        if report.get("ready") and self.ready_at is None:
            self.ready_at = report["at"]
        self.last_beat = report["at"]

    def was_steady(self, died: float) -> bool:
        """True if the child worked for a while.

        The time until it was ready does not count, because it grows when the brokers are slow.
        """
        return self.ready_at is not None and died - self.ready_at > STEADY_SECONDS

    def surely_owned(self, died: float) -> bool:
        """True if no other process can own the child's partitions yet."""
        return not self.missed_beats and died - self.last_beat < FENCE_WITHIN_SECONDS


class Parent:
    """Keeps one child per stage running until it is told to stop."""

    def __init__(self, settings: Settings, stages: tuple[Stage, ...]) -> None:
        self._settings = settings
        self._stages = stages
        self._children: dict[Stage, Child] = {}
        self._back_off: dict[Stage, BackOff] = {
            stage: BackOff(FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS) for stage in stages
        }
        self._start_at: dict[Stage, float] = dict.fromkeys(stages, 0.0)
        self._strikes: Counter[tuple[Stage, int, int]] = Counter()
        self._pipes = selectors.DefaultSelector()
        self._stopping = False
        self._stop_by: float | None = None

    def run(self) -> int:
        """Runs until SIGTERM or SIGINT. Returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while self._children or not self._stopping:
            now = time.monotonic()
            if self._stopping:
                self._stop_children(now)
            for stage in self._stages:
                if (
                    stage not in self._children
                    and not self._stopping
                    and now >= self._start_at[stage]
                ):
                    self._start(stage)
            for key, _ in self._pipes.select(timeout=0.1):
                self._read(key.data)
            for child in list(self._children.values()):
                if child.process.poll() is not None:
                    self._ended(child)
        return 0

    def _stop(self, *_: object) -> None:
        """Only sets a flag.

        A signal may arrive between the start of a child and its entry in the list.
        """
        self._stopping = True

    def _stop_children(self, now: float) -> None:
        if self._stop_by is None:
            self._stop_by = now + CHILD_STOP_SECONDS
            for child in self._children.values():
                child.process.terminate()
        elif now > self._stop_by:
            for child in self._children.values():
                log.error("worker_does_not_stop", stage=child.stage, pid=child.process.pid)
                child.process.kill()

    def _start(self, stage: Stage) -> None:
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        memory = shared_memory()
        command = [
            *WORKER,
            stage,
            str(theirs),
            str(os.getpid()),
            str(memory),
            json.dumps(self._killers(stage)),
        ]
        environment = {**os.environ, **failpoints.inherited(), **self._port_of(stage)}
        process = subprocess.Popen(command, pass_fds=(theirs, memory), env=environment)
        os.close(theirs)
        child = Child(stage, process, ours, memory, time.monotonic())
        self._children[stage] = child
        self._pipes.register(ours, selectors.EVENT_READ, child)
        log.info("worker_started", stage=stage, pid=process.pid)

    def _port_of(self, stage: Stage) -> dict[str, str]:
        """The port at which the stage answers probes.

        It is the configured one for the first stage, and the following ones for the
        others.
        """
        first = self._settings.worker.metrics_port
        return (
            {METRICS_PORT: str(first + self._stages.index(stage))}
            if first and len(self._stages) > 1
            else {}
        )

    def _read(self, child: Child) -> None:
        """Reads everything in the pipe.

        Never waits for its end, because a grandchild may hold the other end open.
        """
        try:
            while data := os.read(child.pipe, 65536):
                *lines, child.buffer = (child.buffer + data).split(b"\n")
                for line in lines:
                    child.tell(line)
            self._pipes.unregister(child.pipe)
        except BlockingIOError:
            return

    def _ended(self, child: Child) -> None:
        died, fenceable = time.monotonic(), Deadline(FENCE_WITHIN_SECONDS)
        code = child.process.returncode
        if child.pipe in self._pipes.get_map():
            self._read(child)
        if child.pipe in self._pipes.get_map():
            self._pipes.unregister(child.pipe)
        os.close(child.pipe)
        del self._children[child.stage]
        log.warning(
            "worker_ended",
            stage=child.stage,
            code=code,
            lived_seconds=round(died - child.started, 1),
        )
        if code != 0:
            if child.transactional_ids:
                self._fence(child, died, fenceable)
            self._strike(child)
        os.close(child.memory)
        if child.was_steady(died):
            self._back_off[child.stage].reset()
        self._start_at[child.stage] = time.monotonic() + self._back_off[child.stage].pause()

    def _strike(self, child: Child) -> None:
        """Counts a strike for the record that was in flight.

        It may have killed the child.
        """
        place = left_in(child.memory)
        if place is None:
            return
        self._strikes[child.stage, *place] += 1
        strikes = self._strikes[child.stage, *place]
        log.warning(
            "worker_died_reading",
            stage=child.stage,
            partition=place[0],
            offset=place[1],
            times=strikes,
        )

    def _killers(self, stage: Stage) -> dict[int, list[int]]:
        """Maps each partition to the offsets that the stage's next child must not read."""
        offsets: dict[int, list[int]] = {}
        for (of, partition, offset), strikes in self._strikes.items():
            if of == stage and strikes >= STRIKES:
                offsets.setdefault(partition, []).append(offset)
        return offsets

    def _fence(self, child: Child, died: float, deadline: Deadline) -> None:
        """Ends the dead child's open transactions, at once or not at all."""
        if not child.surely_owned(died):
            log.warning(
                "worker_not_fenced",
                stage=child.stage,
                reason="it was stopped before it died: others may own its partitions",
            )
            return

        def one(transactional_id: str) -> None:
            if not deadline.has_passed:
                fence(self._settings.kafka, transactional_id, deadline.left)

        try:
            with ThreadPoolExecutor(FENCE_THREADS) as threads:
                list(threads.map(one, child.transactional_ids))
            log.info(
                "worker_fenced",
                stage=child.stage,
                transactions=len(child.transactional_ids),
                seconds=round(time.monotonic() - died, 2),
            )
        except Exception as error:  # only readers wait longer: the next owner fences anyway
            log.warning("fence_failed", stage=child.stage, error=str(error))


def run(settings: Settings, stages: tuple[Stage, ...]) -> int:
    """Runs the parent of one child per stage. Returns the exit code."""
    return Parent(settings, stages).run()
