"""Measures the whole way from a webhook to its row, and where the time goes.

Every role is a process, and the model takes 300 ms. The roles run as `sensorium up`
runs them, one process each. Webhooks are sent at an even pace, whether or not earlier
ones are answered. Each picture has unique trailing bytes, so that neither the store nor
the model has seen it before.
"""

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import fmean
from typing import NamedTuple

from bench.figures import Figure, Ratio, Table, percentile, read
from bench.receiver import Load
from bench.rig import BenchFailed, Rig, Worker
from bench.traffic import webhook
from bench.way_watch import Journey, Watch
from schemas.keys import TenantId, message_key
from streams.local.samples import MEDIA_DIR
from tests.chaos.media import MediaServer, media_server
from tests.pipeline import ROLES, Pipeline, Tenant

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = int(os.environ.get("SECONDS", "10"))
WARMING_SECONDS = 4
MODEL_SECONDS = 0.3
TENANTS = tuple(TenantId(f"bench-{number}") for number in range(4))
CONNECTIONS = 64
MEMORY_GOAL = 0.4
_PICTURE = "cat.jpg"
_ID = "wamid.HBgLMTIwMjU1NTAxNDcVAgASGCBBQzc0"


class Scenario(NamedTuple):
    """The load of a scenario, its rate, its tenants, and the goal for the p99 to the row.

    Photos come from several tenants, because one tenant has 16 jobs at a time and two
    decoding workers: with a model that takes 300 ms, it cannot have 50 photos per second.
    """

    name: str
    per_second: int
    tenants: Sequence[TenantId]
    is_photo: bool
    goal_ms: float


SCENARIOS = (
    Scenario("texts at 200/s", 200, TENANTS[:1], False, 150),
    Scenario("texts at 1,000/s", 1_000, TENANTS[:1], False, 250),
    Scenario("photos at 50/s", 50, TENANTS, True, 1_000),
)


class Round(NamedTuple):
    """One round of a scenario. CPU is in microseconds per message, by role."""

    journeys: list[Journey]
    cpu: dict[str, float]


def run(rig: Rig) -> list[Table]:
    rounds: dict[str, list[Round]] = {scenario.name: [] for scenario in SCENARIOS}
    first = 0
    with _pipeline(rig) as pipeline, media_server(pipeline.ports["media"]) as media:
        media.keep("jpg", 0, (MEDIA_DIR / _PICTURE).read_bytes())
        pipeline.control({"fault": "slow", "seconds": MODEL_SECONDS})
        endpoints = [Tenant(pipeline, name).endpoints["ycloud"] for name in TENANTS]
        driver = _Driver(rig, pipeline, media, Load(rig.folder), endpoints)
        for _ in range(ROUNDS):
            for scenario in SCENARIOS:
                rounds[scenario.name].append(driver.round(scenario, first))
                first += scenario.per_second * (WARMING_SECONDS + SECONDS)
        memory = {role: driver.worker(role).memory_mib() for role in ROLES}
    tables = [table for one in SCENARIOS for table in _tables(one, rounds[one.name])]
    return [*tables, _memory(memory)]


class _Driver:
    """Sends the webhooks of one round after another, and follows them."""

    def __init__(
        self,
        rig: Rig,
        pipeline: Pipeline,
        media: MediaServer,
        load: Load,
        endpoints: list[dict[str, str]],
    ) -> None:
        self._folder = rig.folder
        self._pipeline, self._media = pipeline, media
        self._load, self._endpoints = load, endpoints

    def round(self, scenario: Scenario, first: int) -> Round:
        """Sends and awaits one round. Messages of the warm-up are not counted."""
        count = scenario.per_second * (WARMING_SECONDS + SECONDS)
        body, times = self._folder / "way-body.json", self._folder / "way-times"
        body.write_bytes(self._body(scenario))
        cpu = {role: self.worker(role).cpu_seconds() for role in ROLES}
        with Watch(self._pipeline.settings, scenario.tenants, scenario.is_photo) as watch:
            self._load.post(
                self._pipeline.settings,
                self._endpoints[: len(scenario.tenants)],
                **{"per-second": scenario.per_second},
                body=body,
                count=count,
                first=first,
                times=times,
                connections=CONNECTIONS,
            )
            watch.wait(count)
        spent = {
            role: (self.worker(role).cpu_seconds() - before) / count * 1e6
            for role, before in cpu.items()
        }
        sent = [tuple(map(int, line.split())) for line in times.read_text().splitlines()]
        counted = sent[scenario.per_second * WARMING_SECONDS :]
        journeys = [
            watch.journey(key_of(scenario, number), due / 1e9, answered / 1e9, MODEL_SECONDS)
            for number, due, answered in counted
        ]
        p99 = percentile([one.whole_ms for one in journeys], 0.99)
        print(f"  {scenario.name}: p99 {p99:.0f} ms", flush=True)
        return Round(journeys, spent)

    def worker(self, role: str) -> Worker:
        """The process of a role."""
        return Worker(self._pipeline.processes[role], self._pipeline.folder / f"{role}.log")

    def _body(self, scenario: Scenario) -> bytes:
        """A delivery of YCloud with the load generator's placeholders."""
        _, _, plain = webhook(0)
        event = json.loads(plain)
        # Pictures of old messages are not described.
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
        message = event["whatsappInboundMessage"]
        message |= {"wamid": f"{_ID}ID_HERE", "from": "+1202555CALLER_HERE", "sendTime": now}
        if scenario.is_photo:
            del message["text"]
            link = self._media.link(TENANTS[0], 0, "ID_HERE", "jpg")
            message |= {"type": "image", "image": {"link": link, "mime_type": "image/jpeg"}}
        return json.dumps(event).encode()


def key_of(scenario: Scenario, number: int) -> str:
    """The key of a message, whose tenant follows from its number as in bench/load."""
    tenant = scenario.tenants[number % len(scenario.tenants)]
    return message_key(tenant, "ycloud", f"{_ID}{number:020d}")


@contextmanager
def _pipeline(rig: Rig) -> Iterator[Pipeline]:
    pipeline = Pipeline(rig.settings, f"b{secrets.token_hex(3)}", rig.folder)
    try:
        pipeline.start_all()
        yield pipeline
    except AssertionError as error:
        raise BenchFailed(str(error)) from error
    finally:
        pipeline.stop_all()


def _tables(scenario: Scenario, rounds: list[Round]) -> list[Table]:
    def over(part: float, name: str) -> list[float]:
        return [
            percentile([getattr(one, name) for one in round.journeys], part) for round in rounds
        ]

    whole = [
        Figure(name="to the row, p50", runs=over(0.5, "whole_ms")),
        Figure(name="to the row, p99", runs=over(0.99, "whole_ms")),
        Figure(name="to the answer 200, p50", runs=over(0.5, "answer_ms")),
        Figure(name="to the answer 200, p99", runs=over(0.99, "answer_ms")),
    ]
    goal = Ratio(name="p99 to the row, ms", value=whole[1].median, at_most=scenario.goal_ms)
    names = list(rounds[0].journeys[0].parts_ms)
    parts = [
        Figure(
            name=name,
            runs=[fmean(one.parts_ms[name] for one in round.journeys) for round in rounds],
        )
        for name in names
    ]
    cpu = [Figure(name=role, runs=[round.cpu[role] for round in rounds]) for role in ROLES]
    title = f"whole way, {scenario.name}"
    return [
        Table(
            bench="way",
            title=f"{title}: from the webhook",
            unit="ms",
            figures=whole,
            ratios=[goal],
        ),
        Table(bench="way", title=f"{title}: where the time goes, mean", unit="ms", figures=parts),
        Table(bench="way", title=f"{title}: CPU of each role", unit="µs/message", figures=cpu),
    ]


def _memory(peaks: dict[str, float]) -> Table:
    """The peak of each role, divided by that of the JVM rival.

    The latter comes from the last run of `rivals`, if there was one.
    """
    figures = [Figure(name=role, runs=[mib]) for role, mib in peaks.items()]
    ratios = []
    for role, mib in peaks.items():
        rival = _jvm_rival(role)
        if rival is not None:
            name = f"{role} : {rival.name}"
            value = mib / rival.median
            ratios.append(Ratio(name=name, value=value, at_most=MEMORY_GOAL, of=role))
    return Table(
        bench="way",
        title="whole way: peak of resident memory of each role with its children",
        unit="MiB",
        figures=figures,
        ratios=ratios,
    )


def _jvm_rival(role: str) -> Figure | None:
    """The JVM rival of a role: Kafka Connect for the sink, Kafka Streams for a stage.

    It is None for the other roles. For a stage, the smaller of two is used.
    """
    report = read("rivals")
    prefix = {"sink": "Kafka Connect", "receive": "-", "console": "-"}.get(role, "Kafka Streams")
    rivals = [
        figure
        for table in (report.tables if report else [])
        if table.unit == "MiB"
        for figure in table.figures
        if figure.name.startswith(prefix)
    ]
    return min(rivals, key=lambda one: one.median, default=None)
