"""Measures the receiver beside a gateway in Go with the same requests and load:
signature checked, acks=all, then 200.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from bench.figures import Figure, Pace, Table, ratio
from bench.receiver import CONNECTIONS, Load, LoadRun, on_a_port
from bench.rig import Rig, Worker
from bench.rivals import parts
from bench.rivals.measured import ROUNDS, Goal, Sides
from bench.traffic import TENANT
from schemas.settings import Settings
from schemas.topics import Names
from streams.local.lifecycle import sensorium

OURS, GO = "receive", "Go net/http and franz-go"
LONGEST_OF_MEDIAN = 5.0
"""The goal for the longest wait, as a multiple of the median."""


@dataclass
class _Waits:
    """The waiting times of requests, by side."""

    runs: dict[str, list[LoadRun]] = field(default_factory=dict)

    def table(self, title: str) -> Table:
        def figures(word: str, of: Callable[[LoadRun], float]) -> dict[str, Figure]:
            return {
                name: Figure(name=f"{name}: {word}", runs=[of(run) for run in runs])
                for name, runs in self.runs.items()
            }

        p50, p99 = figures("p50", lambda run: run.p50_ms), figures("p99", lambda run: run.p99_ms)
        longest = figures("longest", lambda run: run.longest_ms)
        ratios = [
            ratio(f"{OURS} : {GO}, p99", p99[OURS], p99[GO], at_most=1.0),
            ratio(f"{OURS}, longest : p50", longest[OURS], p50[OURS], at_most=LONGEST_OF_MEDIAN),
            ratio(f"{GO}, longest : p50", longest[GO], p50[GO]),
        ]
        every = [*p50.values(), *p99.values(), *longest.values()]
        return Table(bench="rivals", title=title, unit="ms", figures=every, ratios=ratios)


def run(rig: Rig) -> list[Table]:
    """Keeps both servers running through all rounds, and loads only one at a time."""
    load = Load(rig.folder)
    settings = on_a_port(rig.fresh())
    sensorium(settings, "migrate")
    sensorium(settings, "tenants", "add", TENANT)
    endpoint = json.loads(sensorium(settings, "endpoints", "add", TENANT, "ycloud", "--json"))
    token, secret = endpoint["token"], endpoint["secret"]
    elsewhere = on_a_port(rig.fresh())
    tables = []
    with (
        rig.process(settings, "streams.commands.main", "receive") as ours,
        rig.program("gateway", _command(elsewhere, token, secret), os.environ) as go,
    ):
        ours.wait_ready(f"http://127.0.0.1:{settings.receiver.port}/readyz")
        go.wait_ready(f"http://127.0.0.1:{elsewhere.receiver.port}/readyz")
        for where in (settings, elsewhere):  # not counted: the broker compiles its code
            load.run(where, token, secret, CONNECTIONS[0])
        for connections in CONNECTIONS:
            sides, waits = Sides(), _Waits()
            for _ in range(ROUNDS):
                for name, where, server in ((OURS, settings, ours), (GO, elsewhere, go)):
                    one, pace = _measured(
                        server, partial(load.run, where, token, secret, connections)
                    )
                    sides.add(name, pace)
                    waits.runs.setdefault(name, []).append(one)
            title = f"receiver, {connections} connections"
            tables += sides.tables(title, "requests/s", [Goal(OURS, GO, 1.0)])
            tables.append(waits.table(f"{title}: wait for the answer"))
    return tables


def _measured(server: Worker, post: Callable[[], LoadRun]) -> tuple[LoadRun, Pace]:
    cpu = server.cpu_seconds()
    one = post()
    spent = (server.cpu_seconds() - cpu) / one.answered * 1e6
    return one, Pace(one.per_second, server.memory_mib(), spent)


def _command(settings: Settings, token: str, secret: str) -> list[str]:
    words = {
        "address": f"127.0.0.1:{settings.receiver.port}",
        "broker": settings.kafka.bootstrap_servers,
        "topic": Names(settings.namespace).topic("raw-messages"),
        "tenant": TENANT,
        "token": token,
        "secret": secret,
    }
    return [str(parts.gateway(print)), *(f"-{name}={value}" for name, value in words.items())]
