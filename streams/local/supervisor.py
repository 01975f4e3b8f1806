"""Keeps every declared process running.

`python -m streams.local.supervisor HOME [--owner PID]` runs until SIGTERM, or until its
owner has ended. It reads what should run from run/declared.json, again whenever that
file changes, and writes what runs to run/state.json. If the supervisor itself is
killed, its processes continue, and the next supervisor takes them over.
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

from storage.waiting import BackOff
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
"""A process that lived this long is not crash-looping: it is restarted after the first delay."""
_TICK_SECONDS = 0.2


def say(event: str, **fields: object) -> None:
    """Prints one line of JSON on stdout, which is the supervisor's log."""
    line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
    print(json.dumps(line), flush=True)


class Running(msgspec.Struct, kw_only=True):
    """A declared process as state.json describes it."""

    name: str
    role: str
    pid: int | None
    started: str
    port: int | None
    url: str | None
    state: str
    """`starting`, `running`, `dead` (will be restarted), `stopped` or `elsewhere`.

    A process that is `elsewhere` was not started here.
    """
    starts: int
    fingerprint: str
    since: float = 0.0
    """Unix seconds of the last start; 0 if it never started."""


def _back_off() -> BackOff:
    return BackOff(FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS)


@dataclass
class SupervisedProcess:
    """One declared process with its state and back-off."""

    declared: Declared
    process: Process | None = None
    ready: bool = False
    starts: int = 0
    since: float = 0.0
    wall_since: float = 0.0
    back_off: BackOff = field(default_factory=_back_off)
    not_before: float = 0.0

    def died(self, now: float) -> None:
        if now - self.since >= LONG_LIFE_SECONDS:
            self.back_off.reset()
        self.process, self.ready = None, False
        self.not_before = now + self.back_off.pause()

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
    """Starts, restarts and ends the declared processes of one home."""

    home: Home
    supervised: dict[str, SupervisedProcess] = field(default_factory=dict)
    _read_at: int = 0
    _written: list[Running] | None = None

    def take_over(self) -> None:
        """Keeps processes of an earlier supervisor that are still declared in the same way.

        It ends all other processes with this home's mark.
        """
        self._read_at = self._declared_at()
        declared_processes = {
            declared.name: SupervisedProcess(declared) for declared in declared_in(self.home)
        }
        for was in running_in(self.home):
            process, supervised = (
                Process(was.pid or 0, was.started),
                declared_processes.get(was.name),
            )
            if (
                was.pid
                and process.alive()
                and supervised
                and supervised.declared.fingerprint == was.fingerprint
            ):
                supervised.process, supervised.since = process, time.monotonic()
                supervised.starts, supervised.wall_since = was.starts, was.since
        self.supervised = declared_processes
        self._end_leftovers()
        if self.supervised:
            self._write()

    def _end_leftovers(self, *names: str) -> None:
        """Ends marked processes that do not descend from a supervised one.

        Such processes are children that outlived their parent, or were started just before
        a supervisor was killed. With `names`, ends only those with one of these names.
        """
        keep = {one.process.pid for one in self.supervised.values() if one.process}
        left = [
            process
            for process, name in marked(self.home.mark(""))
            if (not names or name in names) and name != SUPERVISOR
        ]
        end(
            {process: signal.SIGKILL for process in left if not descends_from(process.pid, keep)}, 5
        )

    def reload(self) -> None:
        """Ends processes that are no longer declared or are declared differently.

        New ones are started at the next tick.
        """
        self._read_at = self._declared_at()
        by_name = {declared.name: declared for declared in declared_in(self.home)}
        gone = [
            supervised
            for name, supervised in self.supervised.items()
            if name not in by_name or by_name[name].fingerprint != supervised.declared.fingerprint
        ]
        self._stop(gone)
        same = {one.declared.name: one for one in self.supervised.values() if one not in gone}
        self.supervised = {
            name: same.get(name) or SupervisedProcess(declared)
            for name, declared in by_name.items()
        }

    def tick(self) -> None:
        if self._declared_at() not in (0, self._read_at):
            self.reload()
        for supervised in self.supervised.values():
            now = time.monotonic()
            if supervised.process and not supervised.process.alive():
                pid, lived = supervised.process.pid, now - supervised.since
                supervised.died(now)
                wait = max(0.0, supervised.not_before - now)
                say(
                    "process_died",
                    name=supervised.declared.name,
                    pid=pid,
                    lived_seconds=round(lived, 1),
                    starts=supervised.starts,
                    starts_again_in_seconds=round(wait, 1),
                )
                self._end_leftovers(supervised.declared.name)
            elif supervised.process and not supervised.ready:
                supervised.ready = not supervised.declared.probe or answers(
                    supervised.declared.probe
                )
                if supervised.ready:
                    seconds = round(now - supervised.since, 1)
                    say("process_ready", name=supervised.declared.name, after_seconds=seconds)
            elif (
                supervised.process is None
                and supervised.declared.argv
                and now >= supervised.not_before
            ):
                self._start(supervised)
        reap()
        self._write()

    def _start(self, supervised: SupervisedProcess) -> None:
        declared = supervised.declared
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(PREFIX) and name != MARK
        }
        supervised.since, supervised.starts = time.monotonic(), supervised.starts + 1
        supervised.wall_since = time.time()
        try:
            supervised.process = start(
                declared.argv,
                log=self.home.logs / f"{declared.name}.log",
                environment={**inherited, **declared.environment},
                mark=self.home.mark(declared.name),
                folder=self.home.folder,
            )
        except LocalError as error:
            with (self.home.logs / f"{declared.name}.log").open("a") as log:
                log.write(f"{error}\n")
            supervised.died(supervised.since)
            say("process_not_started", name=declared.name, error=str(error))
        else:
            say(
                "process_started",
                name=declared.name,
                pid=supervised.process.pid,
                starts=supervised.starts,
            )
        self._write()

    def shut_down(self) -> None:
        """Ends the roles first, so that they can still commit, and then the servers."""
        self._stop(
            [
                supervised
                for supervised in self.supervised.values()
                if not supervised.declared.is_server
            ]
        )
        self._stop(
            [supervised for supervised in self.supervised.values() if supervised.declared.is_server]
        )
        stopped = [
            msgspec.structs.replace(supervised.running(), state="stopped")
            for supervised in self.supervised.values()
        ]
        self.supervised = {}
        self._end_leftovers()
        if stopped:
            write_text(self.home.state_file, msgspec.json.encode(stopped).decode())

    def _stop(self, several: Iterable[SupervisedProcess]) -> None:
        several = list(several)
        for supervised in several:
            if supervised.process:
                say("process_stopped", name=supervised.declared.name, pid=supervised.process.pid)
        processes = {
            supervised.process: signal.Signals[supervised.declared.stop_signal]
            for supervised in several
            if supervised.process
        }
        end(processes, max((supervised.declared.stop_seconds for supervised in several), default=0))
        for supervised in several:
            supervised.process, supervised.ready = None, False
        if several:
            reap()
            self._end_leftovers(*(supervised.declared.name for supervised in several))

    def _declared_at(self) -> int:
        try:
            return self.home.declared_file.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _write(self) -> None:
        now = [supervised.running() for supervised in self.supervised.values()]
        if now != self._written:
            write_text(self.home.state_file, msgspec.json.encode(now).decode())
            self._written = now


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--owner", type=int)
    arguments = parser.parse_args()
    home = home_at(arguments.home)
    owner = (
        None
        if arguments.owner is None
        else Process(arguments.owner, started_at(arguments.owner) or "")
    )
    with (home.run / "supervisor.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("another supervisor runs for this folder") from None
        _supervise(Supervisor(home), owner)


def _supervise(supervisor: Supervisor, owner: Process | None) -> None:
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stop.append(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes the loop
    supervisor.take_over()
    # Written last, so that a process which finds this supervisor also finds its state.json, not
    # that of an earlier one.
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
