"""Keeps every declared process alive.

`python -m streams.local.supervisor HOME [--owner PID]` runs until SIGTERM, or until its
owner is gone. What should run is read from run/declared.json, again whenever that file
changes; what runs is written to run/state.json. When the supervisor itself is killed,
what it started runs on, and the next one takes it over.
"""

import argparse
import fcntl
import json
import os
import select
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from streams.local.home import Home, home_at, write, write_text
from streams.local.probes import answers
from streams.local.processes import (
    MARK,
    LocalError,
    Process,
    descends_from,
    end,
    marked,
    reap,
    start,
    started_at,
)
from streams.local.topology import Declared
from streams.settings import PREFIX

SUPERVISOR = "supervisor"
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
LONG_LIFE_SECONDS = 10.0
"""What lived as long as this does not die in a
loop: its next start waits for the first delay only.
"""
_TICK_SECONDS = 0.2


def say(event: str, **fields: object) -> None:
    """One line of JSON on stdout, which is the supervisor's log."""
    line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
    print(json.dumps(line), flush=True)


class Running(msgspec.Struct, kw_only=True):
    """A declared process as state.json tells of it."""

    name: str
    role: str
    pid: int | None
    started: str
    port: int | None
    url: str | None
    state: str
    """`starting`, `running`, `dead` (it will be started
    again), `stopped`, `elsewhere` (not started from here).
    """
    starts: int
    fingerprint: str
    since: float = 0.0
    """Unix seconds of the last start; 0 if it never started."""


@dataclass
class SupervisedProcess:
    """One declared process and its history."""

    declared: Declared
    process: Process | None = None
    ready: bool = False
    starts: int = 0
    since: float = 0.0
    wall_since: float = 0.0
    delay: float = FIRST_DELAY_SECONDS
    not_before: float = 0.0

    def died(self, now: float) -> None:
        if now - self.since >= LONG_LIFE_SECONDS:
            self.delay = FIRST_DELAY_SECONDS
        self.process, self.ready = None, False
        self.not_before = now + self.delay
        self.delay = min(self.delay * 2, LONGEST_DELAY_SECONDS)

    def running(self) -> Running:
        declared, process = self.declared, self.process
        state = (
            "elsewhere"
            if not declared.argv
            else "dead"
            if process is None
            else "running"
            if self.ready
            else "starting"
        )
        return Running(
            name=declared.name,
            role=declared.role,
            pid=process.pid if process else None,
            started=process.started if process else "",
            port=declared.port,
            url=declared.url,
            state=state,
            starts=self.starts,
            fingerprint=declared.fingerprint,
            since=self.wall_since,
        )


def declared_in(home: Home) -> list[Declared]:
    try:
        return msgspec.json.decode(home.declared_file.read_bytes(), type=list[Declared])
    except FileNotFoundError:
        return []


def running_in(home: Home) -> list[Running]:
    try:
        return msgspec.json.decode(home.state_file.read_bytes(), type=list[Running])
    except FileNotFoundError:
        return []


@dataclass
class Supervisor:
    home: Home
    kept: dict[str, SupervisedProcess] = field(default_factory=dict)
    _read_at: int = 0
    _written: list[Running] | None = None

    def take_over(self) -> None:
        """Goes on with what an earlier supervisor started and what still is as declared; ends all
        else that has this home's mark.
        """
        self._read_at = self._declared_at()
        wanted = {declared.name: SupervisedProcess(declared) for declared in declared_in(self.home)}
        for was in running_in(self.home):
            process, kept = Process(was.pid or 0, was.started), wanted.get(was.name)
            if (
                was.pid
                and process.alive()
                and kept
                and kept.declared.fingerprint == was.fingerprint
            ):
                kept.process, kept.since = process, time.monotonic()
                kept.starts, kept.wall_since = was.starts, was.since
        self.kept = wanted
        self._end_leftovers()
        if self.kept:
            self._write()

    def _end_leftovers(self, *names: str) -> None:
        """Ends marked processes (of these names, or of any) that do not descend from one that is
        kept: children that outlived their parent, and what was started just before a supervisor was
        killed.
        """
        keep = {kept.process.pid for kept in self.kept.values() if kept.process}
        left = [
            process
            for process, name in marked(self.home.mark(""))
            if (not names or name in names) and name != SUPERVISOR
        ]
        end(
            {process: signal.SIGKILL for process in left if not descends_from(process.pid, keep)}, 5
        )

    def reload(self) -> None:
        """Ends what is no longer declared or declared otherwise.

        What is new starts at the next tick.
        """
        self._read_at = self._declared_at()
        wanted = {declared.name: declared for declared in declared_in(self.home)}
        gone = [
            kept
            for name, kept in self.kept.items()
            if name not in wanted or wanted[name].fingerprint != kept.declared.fingerprint
        ]
        self._stop(gone)
        same = {kept.declared.name: kept for kept in self.kept.values() if kept not in gone}
        self.kept = {
            name: same.get(name) or SupervisedProcess(declared) for name, declared in wanted.items()
        }

    def tick(self) -> None:
        if self._declared_at() not in (0, self._read_at):
            self.reload()
        for kept in self.kept.values():
            now = time.monotonic()
            if kept.process and not kept.process.alive():
                pid, lived = kept.process.pid, now - kept.since
                kept.died(now)
                wait = max(0.0, kept.not_before - now)
                say(
                    "process_died",
                    name=kept.declared.name,
                    pid=pid,
                    lived_seconds=round(lived, 1),
                    starts=kept.starts,
                    starts_again_in_seconds=round(wait, 1),
                )
                self._end_leftovers(kept.declared.name)
            elif kept.process and not kept.ready:
                kept.ready = not kept.declared.probe or answers(kept.declared.probe)
                if kept.ready:
                    seconds = round(now - kept.since, 1)
                    say("process_ready", name=kept.declared.name, after_seconds=seconds)
            elif kept.process is None and kept.declared.argv and now >= kept.not_before:
                self._start(kept)
        reap()
        self._write()

    def _start(self, kept: SupervisedProcess) -> None:
        declared = kept.declared
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(PREFIX) and name != MARK
        }
        kept.since, kept.starts = time.monotonic(), kept.starts + 1
        kept.wall_since = time.time()
        try:
            kept.process = start(
                declared.argv,
                log=self.home.logs / f"{declared.name}.log",
                environment={**inherited, **declared.environment},
                mark=self.home.mark(declared.name),
                folder=self.home.folder,
            )
        except LocalError as error:
            with (self.home.logs / f"{declared.name}.log").open("a") as log:
                log.write(f"{error}\n")
            kept.died(kept.since)
            say("process_not_started", name=declared.name, error=str(error))
        else:
            say("process_started", name=declared.name, pid=kept.process.pid, starts=kept.starts)
        self._write()

    def shut_down(self) -> None:
        """Roles first, so that they can still commit what they hold; then the servers."""
        self._stop([kept for kept in self.kept.values() if not kept.declared.is_server])
        self._stop([kept for kept in self.kept.values() if kept.declared.is_server])
        stopped = [
            msgspec.structs.replace(kept.running(), state="stopped") for kept in self.kept.values()
        ]
        self.kept = {}
        self._end_leftovers()
        if stopped:
            write_text(self.home.state_file, msgspec.json.encode(stopped).decode())

    def _stop(self, several: Iterable[SupervisedProcess]) -> None:
        several = list(several)
        for kept in several:
            if kept.process:
                say("process_stopped", name=kept.declared.name, pid=kept.process.pid)
        processes = {
            kept.process: signal.Signals[kept.declared.stop_signal]
            for kept in several
            if kept.process
        }
        end(processes, max((kept.declared.stop_seconds for kept in several), default=0))
        for kept in several:
            kept.process, kept.ready = None, False
        if several:
            reap()
            self._end_leftovers(*(kept.declared.name for kept in several))

    def _declared_at(self) -> int:
        try:
            return self.home.declared_file.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _write(self) -> None:
        now = [kept.running() for kept in self.kept.values()]
        if now != self._written:
            write_text(self.home.state_file, msgspec.json.encode(now).decode())
            self._written = now


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("home", type=Path)
    words.add_argument("--owner", type=int)
    asked = words.parse_args()
    home = home_at(asked.home)
    owner = None if asked.owner is None else Process(asked.owner, started_at(asked.owner) or "")
    with (home.run / "supervisor.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("another supervisor keeps this folder") from None
        _supervise(Supervisor(home), owner)


def _supervise(supervisor: Supervisor, owner: Process | None) -> None:
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stop.append(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes the loop
    supervisor.take_over()
    # only now, so that whoever finds a living supervisor
    # finds its own state.json, not that of one before
    write(
        supervisor.home.supervisor_file,
        Process(os.getpid(), started_at(os.getpid()) or "")._asdict(),
    )
    while not stop and (owner is None or owner.alive()):
        supervisor.tick()
        select.select([wake_read], [], [], _TICK_SECONDS)
        with suppress(BlockingIOError):
            os.read(wake_read, 4096)
    supervisor.shut_down()


if __name__ == "__main__":
    main()
