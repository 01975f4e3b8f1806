"""`up`, `down` and `status`: declare what should run, and leave it to a supervisor to run it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from schemas.providers import PROVIDERS
from schemas.settings import Settings
from schemas.web_address import web_address
from storage.waiting import Deadline
from streams.local.home import Home, LocalSecrets, read, secrets_of, write, write_text
from streams.local.parts import Say, locked
from streams.local.ports import MUST_STAY, Ports, ports_of
from streams.local.preparing import Preparing
from streams.local.probes import models_at
from streams.local.processes import LocalError, Process, end, start, wait_for
from streams.local.scraping import write_targets
from streams.local.supervisor import SUPERVISOR, Running, Supervisor, declared_in, running_in
from streams.local.topology import (
    OWN_MODELS,
    PORTS,
    WITHOUT_OBJECTS,
    Declared,
    local_settings,
    roles,
    servers,
)
from streams.local.weights import fetch_all
from streams.roles.port_claims import installation_of
from streams.settings import PREFIX, to_environment

READY_SECONDS = 90.0
_RESTARTS = 3
"""`up` gives up on a process that was restarted this often while it waits."""
_STOP_SECONDS = 120.0


class Up(NamedTuple):
    """The result of `up`."""

    settings: Settings
    processes: list[Running]
    models: list[str]
    """Which local model answers for what. Empty if the settings name a model."""


def up(
    home: Home,
    environment: Mapping[str, str],
    *,
    say: Say,
    only_servers: bool = False,
    ports_anywhere: bool = False,
    owner: int | None = None,
) -> Up:
    """Starts everything and returns when it is ready.

    Processes that already run as declared are kept. With `owner`, a pid, everything
    ends with that process. Raises LocalError, SettingsError.
    """
    home.make()
    with locked(home.run / "up.lock"), ExitStack() as until_bound:
        secrets = secrets_of(home)
        claimed = _claimed_ports(home, environment, secrets, anywhere=ports_anywhere)
        until_bound.callback(claimed.release)
        ports = claimed.number
        settings = local_settings(environment, ports, secrets)
        before = {(row.name, row.pid) for row in status(home)}
        bringing = _Bringing(home, settings, before, owner, say)
        declared = [] if only_servers else list(roles(settings, ports))
        with (
            Preparing(servers(home, settings, ports, secrets, say), say) as making,
            Preparing(_weights(declared, settings, say), say) as fetching,
        ):
            if only_servers:
                bringing.add(making.take_all())
            else:
                bringing.everything(making, fetching, declared)
                _add_demo_tenant(home, settings, say)
        _write_environment(home, settings)
        write_targets(home, declared)
        own = any(role.name in OWN_MODELS for role in declared)
        return Up(settings, status(home), models_answering(home) if own else [])


@dataclass
class _Bringing:
    """Declares processes in groups and waits until each group runs."""

    home: Home
    settings: Settings
    before: set[tuple[str, int | None]]
    owner: int | None
    say: Say
    declared: list[Declared] = field(default_factory=list)

    def everything(
        self, making: Preparing[Declared], fetching: Preparing[None], declared: list[Declared]
    ) -> None:
        """Starts what works without the object store, which may take minutes to build."""
        early = [role for role in declared if role.name in WITHOUT_OBJECTS]
        servers = [making.take("kafka"), making.take("postgres")]
        at_hand = making.is_at_hand("objects")
        self.add([*servers, making.take("objects")] if at_hand else servers)
        sensorium(self.settings, "topics", "apply")
        sensorium(self.settings, "migrate")
        self.say("topics and tables are there")
        if not at_hand:
            self.add(early)
            self.add([making.take("objects")])
        fetching.take_all()
        self.add([role for role in declared if role not in self.declared])
        _declare(self.home, self.declared)

    def add(self, more: list[Declared]) -> None:
        """Declares and starts more processes.

        Processes of an earlier `up` that were not added yet stay as they are.
        """
        self.declared += more
        added = {one.name for one in self.declared}
        others = [one for one in _living(self.home) if one.name not in added]
        _declare(self.home, [*self.declared, *others])
        _ensure_supervisor(self.home, self.owner)
        _wait_until_running(self.home, more, self.before, self.owner, self.say)


def _weights(
    declared: list[Declared], settings: Settings, say: Say
) -> dict[str, Callable[[], None]]:
    if not any(role.name == "local-models" for role in declared):
        return {}
    return {"weights": lambda: fetch_all(settings.local.whisper_dir, say)}


def _claimed_ports(
    home: Home, environment: Mapping[str, str], secrets: LocalSecrets, *, anywhere: bool
) -> Ports:
    """Claims the ports until their processes listen, so that two concurrent `up` share none."""
    from_settings = {
        name: int(value)
        for name, setting in MUST_STAY.items()
        if (value := environment.get(setting, "")).isdecimal()
    }
    installation = installation_of(
        environment.get(f"{PREFIX}NAMESPACE", ""),
        environment.get(f"{PREFIX}SECRETS__KEY", "") or secrets.key,
    )
    return ports_of(
        home,
        list(PORTS),
        installation=installation,
        from_settings=from_settings,
        held=_held_ports(home),
        anywhere=anywhere,
    )


def _held_ports(home: Home) -> dict[str, int]:
    """Returns the ports that our own running processes listen on, by name."""
    names = {"receive": "receiver", "stand-in": "stand_in", "local-models": "stand_in"}
    held = {
        names.get(row.name, row.name): row.port
        for row in running_in(home)
        if row.port is not None and _alive(row)
    }
    if "kafka" in held and (
        controller := read(home.run / "ports.json", {}).get("kafka_controller")
    ):
        held["kafka_controller"] = controller
    return held


def _living(home: Home) -> list[Declared]:
    alive = {row.name for row in running_in(home) if _alive(row)}
    return [declared for declared in declared_in(home) if declared.name in alive]


def _alive(row: Running) -> bool:
    return row.pid is not None and Process(row.pid, row.started).alive()


def _declare(home: Home, declared: list[Declared]) -> None:
    if declared != declared_in(home):
        write_text(home.declared_file, msgspec.json.encode(declared).decode())


def supervisor_of(home: Home) -> Process | None:
    """Returns the running supervisor of this home, or None."""
    stored = read(home.supervisor_file, None)
    process = Process(**stored) if stored else None
    return process if process and process.alive() else None


def _ensure_supervisor(home: Home, owner: int | None) -> None:
    if supervisor_of(home):
        return
    command = [
        sys.executable,
        "-m",
        "streams.local.supervisor",
        str(home.folder),
        *([] if owner is None else ["--owner", str(owner)]),
    ]
    log = home.logs / f"{SUPERVISOR}.log"
    started = start(
        command, log=log, environment=os.environ, mark=home.mark(SUPERVISOR), folder=home.folder
    )
    if (
        not wait_for(lambda: supervisor_of(home) is not None or not started.alive(), 20)
        or not started.alive()
    ):
        raise LocalError(
            f"the supervisor did not start; the end of {log}:\n{_tail(home, SUPERVISOR)}"
        )


def _wait_until_running(
    home: Home,
    starting: list[Declared],
    before: set[tuple[str, int | None]],
    owner: int | None,
    say: Say,
) -> None:
    """Waits until all of them answer, and reports each.

    Raises LocalError if one keeps dying or the time is over.
    """
    began, waiting = time.monotonic(), {declared.name: declared for declared in starting}
    first: dict[str, int] = {}
    deadline = Deadline(READY_SECONDS)
    while waiting:
        for row in status(home):
            declared = waiting.get(row.name)
            if declared is None or declared.fingerprint != row.fingerprint:
                continue
            first[row.name] = min(first.get(row.name, row.starts), row.starts)
            if row.state in ("running", "elsewhere"):
                del waiting[row.name]
                how = (
                    "runs elsewhere"
                    if row.state == "elsewhere"
                    else "already runs"
                    if (row.name, row.pid) in before
                    else f"runs after {time.monotonic() - began:.1f} s"
                )
                say(f"{row.name}: {how}, {row.url}")
            elif row.starts - first[row.name] >= _RESTARTS:
                raise LocalError(
                    f"{row.name} does not stay up; the end of {home.logs / row.name}.log:\n"
                    f"{_tail(home, row.name)}"
                )
        _ensure_supervisor(home, owner)
        if waiting and deadline.has_passed:
            name = next(iter(waiting))
            raise LocalError(
                f"{', '.join(waiting)}: not ready after {READY_SECONDS:.0f} s; "
                f"the end of {home.logs / name}.log:\n{_tail(home, name)}"
            )
        time.sleep(0.05 if waiting else 0)


def _tail(home: Home, name: str) -> str:
    try:
        return (home.logs / f"{name}.log").read_bytes()[-1500:].decode(errors="replace")
    except FileNotFoundError:
        return "(there is no log)"


def sensorium(settings: Settings, *words: str) -> str:
    """Runs a command of ours with these settings.

    Returns its stdout. Raises LocalError with its stderr.
    """
    others = {
        name: value for name, value in os.environ.items() if not name.startswith("SENSORIUM_")
    }
    done = subprocess.run(
        [sys.executable, "-m", "streams.commands.main", *words],
        env={**others, **to_environment(settings)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalError(
            f"`sensorium {' '.join(words)}` failed with {done.returncode}:\n{done.stderr[-2000:]}"
        )
    return done.stdout


def _add_demo_tenant(home: Home, settings: Settings, say: Say) -> None:
    """Adds tenant `demo` with an endpoint per provider, once, and notes them in run/demo.json."""
    where = f"{settings.postgres.dsn.rpartition('@')[2]} {settings.namespace}".strip()
    file = home.run / "demo.json"
    demos: dict[str, Any] = read(file, {})
    if where in demos:
        return
    tenant = json.loads(sensorium(settings, "tenants", "add", "demo", "--json"))
    endpoints = {
        provider: json.loads(sensorium(settings, "endpoints", "add", "demo", provider, "--json"))
        for provider in PROVIDERS
    }
    write(file, demos | {where: {**tenant, "endpoints": endpoints}})
    say(f"tenant demo was added, with an endpoint each for {', '.join(PROVIDERS)}")


def demo_tenant(home: Home, settings: Settings) -> dict[str, Any]:
    """Returns `{tenant_id, endpoints: {provider: output of endpoints add}}`.

    Raises LocalError if `up` has not added it.
    """
    where = f"{settings.postgres.dsn.rpartition('@')[2]} {settings.namespace}".strip()
    demos: dict[str, Any] = read(home.run / "demo.json", {})
    if where not in demos:
        raise LocalError("there is no demo tenant: run `sensorium up` first")
    demo: dict[str, Any] = demos[where]
    return demo


def _write_environment(home: Home, settings: Settings) -> None:
    lines = to_environment(settings) | {
        "SENSORIUM_RECEIVER__URL": _outside_address(settings),
        "SENSORIUM_CONSOLE__URL": _url(settings.console.host, settings.console.port),
    }
    write_text(home.environment_file, "".join(f"{name}={value}\n" for name, value in lines.items()))


def _outside_address(settings: Settings) -> str:
    """Returns the receiver's URL that was given, unless it is a loopback address.

    A loopback address may be outdated, for instance because the file of an earlier `up`
    was sourced.
    """
    url = settings.receiver.url
    return url if url and not _is_loopback(web_address(url).host) else receiver_address(settings)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def receiver_address(settings: Settings) -> str:
    """Returns the receiver's address, as seen from this machine."""
    return _url(settings.receiver.host, settings.receiver.port)


def _url(host: str, port: int) -> str:
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"


def status(home: Home) -> list[Running]:
    """Returns the processes and their current states. A process that has ended since is dead."""
    return [
        msgspec.structs.replace(row, state="dead", pid=None)
        if row.state in ("starting", "running") and not _alive(row)
        else row
        for row in running_in(home)
    ]


def models_answering(home: Home) -> list[str]:
    """Returns one line per kind of model, as the local models or the stand-in report them."""
    rows = [row for row in status(home) if row.name in OWN_MODELS]
    return [line for row in rows if row.state == "running" for line in models_at(row.url or "")]


def is_whole(rows: list[Running]) -> bool:
    return bool(rows) and all(row.state in ("running", "elsewhere") for row in rows)


def down(home: Home, *, say: Say) -> list[Running]:
    """Ends everything that `up` started: first the roles, then the servers.

    Deletes no data.
    """
    if not home.run.exists():
        return []
    with locked(home.run / "up.lock"):
        began, supervisor = time.monotonic(), supervisor_of(home)
        if supervisor:
            end({supervisor: signal.SIGTERM}, _STOP_SECONDS)
        else:
            left = Supervisor(home)
            left.take_over()
            left.shut_down()
        home.declared_file.unlink(missing_ok=True)
        say(f"everything ended after {time.monotonic() - began:.1f} s")
    return status(home)
