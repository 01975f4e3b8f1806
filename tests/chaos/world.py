"""What a fault can act on: the processes, the servers, the traffic, and notes of what was done."""

import asyncio
import os
import random
import re
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.pipeline import STAGES
from tests.chaos import gather
from tests.chaos.facts import Disturbance
from tests.chaos.generator import Generator
from tests.chaos.media import MediaServer
from tests.chaos.proxy import Proxy
from tests.chaos.servers import Servers
from tests.chaos.traffic import Sender
from tests.chaos.watch import Watcher
from tests.pipeline import PROGRAM, ROLES, Pipeline, role_of

RESTART_SECONDS = 0.5
READY_SECONDS = 90.0
ENDING = threading.Event()
"""Set by the signal that ends the run.

An exception alone can be lost in code that ignores it.
"""
Say = Callable[[str], None]


@dataclass
class Spec:
    """How a process is started, so that it can be started in the same way again."""

    failpoint: str = ""
    more: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = PROGRAM


class Crew:
    """Keeps the roles running as `sensorium up` does.

    Everything runs in the caller's thread, so that processes end with it.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.deaths: list[tuple[float, str, int]] = []
        self.slowest_stop = (0.0, "")
        self._specs: dict[str, Spec] = {}
        self._again: dict[str, tuple[float, float]] = {}

    def start(
        self,
        name: str,
        failpoint: str = "",
        more: dict[str, str] | None = None,
        program: tuple[str, ...] = PROGRAM,
    ) -> None:
        self._specs[name] = Spec(failpoint, more or {}, program)
        self.pipeline.start(name, failpoint, more or {}, program)

    def stop(self, name: str) -> int:
        """Sends SIGTERM. The process is not started again."""
        del self._specs[name]
        if name not in self.pipeline.processes:
            return 0
        self._wake_children(name)
        began = time.monotonic()
        code = self.pipeline.stop(name)
        self.slowest_stop = max(self.slowest_stop, (time.monotonic() - began, name))
        return code

    def replace(
        self,
        name: str,
        failpoint: str = "",
        more: dict[str, str] | None = None,
        program: tuple[str, ...] = PROGRAM,
    ) -> None:
        """Sends SIGKILL to the process and its worker, and starts another one instead."""
        process = self.pipeline.processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()
        self.start(name, failpoint, more, program)

    def tend(self) -> None:
        """Starts processes that died again, after a delay that grows."""
        now = time.monotonic()
        for name, spec in self._specs.items():
            process = self.pipeline.processes.get(name)
            if process is not None and process.poll() is not None:
                self.deaths.append((time.time(), name, process.returncode))
                _, wait = self._again.get(name, (0.0, RESTART_SECONDS))
                self._again[name] = (now + wait, min(5.0, wait * 2))
                del self.pipeline.processes[name]
            elif process is None and now >= self._again[name][0]:
                self.pipeline.start(name, spec.failpoint, spec.more, spec.program)

    def calm(self) -> None:
        """Resets the delays of restarts."""
        self._again = dict.fromkeys(self._again, (0.0, RESTART_SECONDS))

    def names(self) -> list[str]:
        return list(self._specs)

    def ready(self, name: str) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.pipeline.ports[name]}/readyz", timeout=2
            ) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def metric(self, name: str, metric: str, labels: str = "") -> float | None:
        """The sum of a metric's samples with this label. None if the process does not answer."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.pipeline.ports[name]}/metrics", timeout=2
            ) as answer:
                text = answer.read().decode()
        except OSError:
            return None
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if re.match(rf"{metric}(\{{|\s)", line) and labels in line
        )

    def worker_deaths(self, name: str, since_byte: int = 0) -> int:
        """How many children of a stage's parent died by SIGKILL, from a position in its log on."""
        path = self.pipeline.folder / f"{name}.log"
        return path.read_bytes()[since_byte:].count(b'"code": -9') if path.exists() else 0

    def logged(self, name: str, event: str, since_byte: int = 0) -> bool:
        """Whether the log has the event, from a position on."""
        path = self.pipeline.folder / f"{name}.log"
        return path.exists() and f'"event": "{event}"'.encode() in path.read_bytes()[since_byte:]

    def log_size(self, name: str) -> int:
        path = self.pipeline.folder / f"{name}.log"
        return path.stat().st_size if path.exists() else 0

    def _wake_children(self, name: str) -> None:
        if role_of(name) in STAGES:
            pid = self.pipeline.processes[name].pid
            for child in children_of(pid):
                os.kill(child, signal.SIGCONT)


def listeners(port: int) -> int:
    """The number of sockets of this machine that accept connections at the port."""
    wanted = f":{port:04X}"
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(1 for line in lines if line[1].endswith(wanted) and line[3] == "0A")


def children_of(pid: int) -> list[int]:
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except FileNotFoundError:
        return []


def process_state(pid: int) -> str:
    """The state of a process: `T` if it is stopped, empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


@dataclass
class World:
    """Everything that a fault can act on.

    `seconds` is how long a fault should last. `disturbed` says whose work in flight was
    lost and when. `audited_from` is the time from which the audit looks, because
    earlier phases may have broken something on purpose.
    """

    crew: Crew
    servers: Servers
    store: Proxy
    media: MediaServer
    generator: Generator
    watcher: Watcher
    senders: Sequence[Sender]
    rng: random.Random
    seconds: float
    long: bool
    say: Say
    audited_from: float
    tick: Callable[[], None] = lambda: None
    disturbed: list[Disturbance] = field(default_factory=list)
    kills: int = 0
    notes: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    degraded_allowed: bool = False
    unfinished: int = 0
    began: float = field(default_factory=time.time)
    before_judging: list[Callable[[], None]] = field(default_factory=list)
    afterwards: list[Callable[[], None]] = field(default_factory=list)

    @property
    def pipeline(self) -> Pipeline:
        return self.crew.pipeline

    def sleep(self, seconds: float) -> None:
        """Lets the fault last for a time. Processes that die meanwhile are started again."""
        self.until(lambda: False, seconds)

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Returns True once the condition holds, or False if it does not within `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            if ENDING.is_set():
                raise KeyboardInterrupt
            self.crew.tend()
            self.tick()
            time.sleep(0.05)
        return True

    def must(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Waits for the condition.

        If it does not come true, a failure of the run is noted under this name.
        """
        if not self.until(condition, seconds):
            self.failures.append(f"not within {seconds:g} s: {what}")

    def refused_keys(self) -> set[str]:
        """The keys that are in quarantine now."""

        async def ask() -> set[str]:
            connection = await gather.open_connection(self.pipeline.settings)
            try:
                return {
                    one.key
                    for one in await gather.refused(
                        connection, [sender.tenant for sender in self.senders]
                    )
                }
            finally:
                await connection.close()

        return asyncio.run(ask())

    def disturb(self, name: str, what: str) -> None:
        """Notes that the process of this name is about to lose its work in flight."""
        self.disturbed.append(Disturbance(role_of(name), time.time()))
        self.say(what)

    def kill(self, name: str) -> None:
        """Sends SIGKILL to a process.

        For a stage this is its worker, and now and then also its parent.
        """
        process = self.pipeline.processes.get(name)
        if process is None or process.poll() is not None:
            return
        victims = (
            children_of(process.pid)
            if role_of(name) in STAGES and self.rng.random() < 0.75
            else [process.pid]
        )
        for victim in victims:
            self.disturb(name, f"SIGKILL {name}")
            self.kills += 1
            os.kill(victim, signal.SIGKILL)

    def wait_ready(self, *names: str) -> None:
        for name in names or tuple(self.crew.names()):
            self.must(lambda name=name: self.crew.ready(name), READY_SECONDS, f"{name} is ready")  # type: ignore[misc]


ALL_ROLES = tuple(ROLES)
