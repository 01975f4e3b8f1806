"""The role `stream`: for each stage a small parent and a child that works.

When a child dies in mid-transaction, read_committed readers of every partition it touched wait. The parent knows the
child's transactional ids (the child writes them to a pipe at every assignment) and fences them at once: readers are
free after 0.5 to 0.7 s instead of a session time-out. Then it starts the child again.

A record that was in the child's hand each time it died (streams/lanes/hand.py) is not read a fourth time: it goes to
quarantine as a process killer. Strikes are counted here and end with the parent.
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

from schemas.settings import Settings
from schemas.topics import Stage
from streams.lanes import failpoints
from streams.lanes.hand import left_in, shared_memory
from streams.lanes.transactions import fence

log = structlog.get_logger()

FENCE_WITHIN_SECONDS = 4.0
"""While the dead child's session runs nobody else can own its partitions; later, fencing would hit a rightful owner."""
FIRST_BACK_OFF_SECONDS = 0.2
LONGEST_BACK_OFF_SECONDS = 30.0
STEADY_SECONDS = 30.0
STRIKES = 3
"""Deaths with the same record in hand after which it is not read again."""
CHILD_STOP_SECONDS = 25.0


@dataclass
class Child:
    """A worker process and what the parent must remember of it."""

    stage: Stage
    process: subprocess.Popen[bytes]
    pipe: int
    hand: int
    started: float
    buffer: bytes = b""
    transactional_ids: list[str] = field(default_factory=list)


class Parent:
    """Keeps one child a stage alive until told to stop."""

    def __init__(self, settings: Settings, stages: tuple[Stage, ...]) -> None:
        self._settings = settings
        self._stages = stages
        self._children: dict[Stage, Child] = {}
        self._back_off: dict[Stage, float] = dict.fromkeys(stages, FIRST_BACK_OFF_SECONDS)
        self._start_at: dict[Stage, float] = dict.fromkeys(stages, 0.0)
        self._strikes: Counter[tuple[Stage, int, int]] = Counter()
        self._pipes = selectors.DefaultSelector()
        self._stopping = False

    def run(self) -> int:
        """Until SIGTERM or SIGINT; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while self._children or not self._stopping:
            now = time.monotonic()
            for stage in self._stages:
                if stage not in self._children and not self._stopping and now >= self._start_at[stage]:
                    self._start(stage)
            for key, _ in self._pipes.select(timeout=0.1):
                self._read(key.data)
            for child in list(self._children.values()):
                if child.process.poll() is not None:
                    self._ended(child)
        return 0

    def _stop(self, *_: object) -> None:
        self._stopping = True
        for child in self._children.values():
            child.process.terminate()

    def _start(self, stage: Stage) -> None:
        ours, theirs = os.pipe()
        hand = shared_memory()
        command = [sys.executable, "-m", "streams.roles.worker", stage, str(theirs), str(hand), json.dumps(self._killers(stage))]
        environment = dict(os.environ) | ({"SENSORIUM_FAILPOINT": failpoints.ARMED} if failpoints.ARMED else {})
        process = subprocess.Popen(command, pass_fds=(theirs, hand), env=environment)
        os.close(theirs)
        child = Child(stage, process, ours, hand, time.monotonic())
        self._children[stage] = child
        self._pipes.register(ours, selectors.EVENT_READ, child)
        log.info("worker_started", stage=stage, pid=process.pid)

    def _read(self, child: Child) -> None:
        data = os.read(child.pipe, 65536)
        if not data:
            self._pipes.unregister(child.pipe)
            return
        *lines, child.buffer = (child.buffer + data).split(b"\n")
        for line in lines:
            child.transactional_ids = json.loads(line)

    def _ended(self, child: Child) -> None:
        died = time.monotonic()
        code = child.process.returncode
        if child.pipe in self._pipes.get_map():
            self._read(child)
        if child.pipe in self._pipes.get_map():
            self._pipes.unregister(child.pipe)
        os.close(child.pipe)
        del self._children[child.stage]
        log.warning("worker_ended", stage=child.stage, code=code, lived_seconds=round(died - child.started, 1))
        if code != 0:
            self._fence(child, died)
            self._strike(child)
        os.close(child.hand)
        if died - child.started > STEADY_SECONDS:
            self._back_off[child.stage] = FIRST_BACK_OFF_SECONDS
        self._start_at[child.stage] = time.monotonic() + self._back_off[child.stage]
        self._back_off[child.stage] = min(LONGEST_BACK_OFF_SECONDS, self._back_off[child.stage] * 2)

    def _strike(self, child: Child) -> None:
        """Whatever the child had in hand may have killed it."""
        place = left_in(child.hand)
        if place is None:
            return
        self._strikes[child.stage, *place] += 1
        strikes = self._strikes[child.stage, *place]
        log.warning("worker_died_reading", stage=child.stage, partition=place[0], offset=place[1], times=strikes)

    def _killers(self, stage: Stage) -> dict[int, list[int]]:
        """Partition → offsets the stage's next child must not read."""
        found: dict[int, list[int]] = {}
        for (of, partition, offset), strikes in self._strikes.items():
            if of == stage and strikes >= STRIKES:
                found.setdefault(partition, []).append(offset)
        return found

    def _fence(self, child: Child, died: float) -> None:
        """Ends the dead child's open transactions: at once, or not at all."""

        def one(transactional_id: str) -> None:
            if time.monotonic() - died < FENCE_WITHIN_SECONDS:
                fence(self._settings.kafka, transactional_id)

        try:
            with ThreadPoolExecutor(8) as threads:
                list(threads.map(one, child.transactional_ids))
            log.info("worker_fenced", stage=child.stage, transactions=len(child.transactional_ids), seconds=round(time.monotonic() - died, 2))
        except Exception as error:  # a help for readers, not a condition: the next owner fences anyway
            log.warning("fence_failed", stage=child.stage, error=str(error))


def run(settings: Settings, stages: tuple[Stage, ...]) -> int:
    """Parent of one child a stage. Returns the exit code."""
    return Parent(settings, stages).run()
