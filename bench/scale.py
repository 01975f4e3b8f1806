"""Measures whether a message costs the same with many ids and tenants as with few.

It measures the CPU of dedupe and of the sink, and of two workers. On a machine of two
cores, which the broker and the database also need, a second worker cannot double the
rate. There the CPU per record of both workers shows whether two do the work of two.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import msgspec

from bench.dedupe import ours_started
from bench.figures import Figure, Pace, Table, ratio
from bench.rig import BenchRecord, Rig, Worker, committed, fill
from bench.sink import first_version, sink_record
from bench.table import remember
from bench.traffic import TENANT, raw_record
from schemas.keys import MessageKey, TenantId
from schemas.records import EnrichedMessage
from schemas.settings import Settings
from schemas.topics import Names
from streams.local.lifecycle import sensorium

ROUNDS = int(os.environ.get("ROUNDS", "2"))
IDS = tuple(map(int, os.environ.get("IDS", "1000 100000 10000000").split()))
TENANTS = (10, 1_000, 10_000)
RECORDS = 30_000
WARMING = 0.2
FLAT = 1.15
"""The goal for the cost with the most, as a multiple of the cost with the fewest."""
GOAL_OF_TWO = 1.8
CORES_FOR_TWO = 4

Starter = Callable[[Rig, Settings], AbstractContextManager[Worker]]


def run(rig: Rig) -> list[Table]:
    dedupe(rig, RECORDS)  # not counted: the broker is faster once its code is compiled
    ids: dict[int, list[Pace]] = {count: [] for count in IDS}
    of_dedupe: dict[int, list[Pace]] = {count: [] for count in TENANTS}
    of_sink: dict[int, list[Pace]] = {count: [] for count in TENANTS}
    one, two = [], []
    messages = [first_version(number) for number in range(RECORDS)]
    for _ in range(ROUNDS):
        for count, paces in ids.items():
            paces.append(dedupe(rig, RECORDS, before=partial(remember, count=count)))
        for count in TENANTS:
            of_dedupe[count].append(dedupe(rig, RECORDS, tenants=count))
            of_sink[count].append(_sink(rig, messages, count))
        one.append(dedupe(rig, 2 * RECORDS))
        two.append(dedupe(rig, 2 * RECORDS, started=_two))
    return [
        _flat("dedupe, by the ids it remembers", ids, "ids"),
        _flat("dedupe, by tenants", of_dedupe, "tenants"),
        _flat("sink, by tenants", of_sink, "tenants"),
        *workers(one, two),
    ]


def dedupe(
    rig: Rig,
    count: int,
    *,
    tenants: int = 1,
    before: Callable[[Settings], None] = lambda _: None,
    started: Starter = ours_started,
) -> Pace:
    """Runs the role on `count` new messages, which `tenants` tenants send in turns."""
    settings = rig.fresh()
    names = Names(settings.namespace)
    before(settings)
    records = (raw_record(number, tenant_of(number, tenants)) for number in range(count))
    fill(settings.kafka, names.topic("raw-messages"), records)
    done = committed(settings.kafka, names.group("dedupe"), names.topic("raw-messages"))
    with started(rig, settings) as worker:
        return _shown("dedupe", worker.pace(done, count, count, warming=WARMING))


def _sink(rig: Rig, messages: list[EnrichedMessage], tenants: int) -> Pace:
    settings = rig.fresh()
    names = Names(settings.namespace)
    sensorium(settings, "migrate")
    topic = names.topic("enriched-messages")
    fill(settings.kafka, topic, of_tenants(messages, tenants, settings.kafka.partitions))
    done = committed(settings.kafka, names.group("sink"), topic)
    with rig.process(settings, "streams.commands.main", "sink") as worker:
        return _shown("sink", worker.pace(done, len(messages), len(messages), warming=WARMING))


def _shown(role: str, pace: Pace) -> Pace:
    """Prints the run for the person who waits, and returns it."""
    print(f"  {role}: {pace.per_second:,.0f}/s, {pace.cpu_microseconds:.0f} µs each", flush=True)
    return pace


def of_tenants(
    messages: list[EnrichedMessage], tenants: int, partitions: int
) -> Iterator[BenchRecord]:
    """Yields the messages as if `tenants` tenants had sent them in turns."""
    for number, message in enumerate(messages):
        tenant = tenant_of(number, tenants)
        key = MessageKey(message.message_key.replace(TENANT, tenant, 1))
        yield sink_record(
            msgspec.structs.replace(message, tenant_id=tenant, message_key=key), partitions
        )


def tenant_of(number: int, tenants: int) -> TenantId:
    """The tenant of message `number`."""
    return TenantId(f"{TENANT}-{number % tenants}")


@dataclass
class _Two(Worker):
    """A worker and another one beside it, measured together."""

    other: Worker

    def _tree(self) -> list[int]:
        return [*super()._tree(), *self.other._tree()]


@contextmanager
def _two(rig: Rig, settings: Settings) -> Iterator[Worker]:
    with ours_started(rig, settings) as one, ours_started(rig, settings) as other:
        yield _Two(one.process, one.log, other)


def _flat(title: str, paces_by_count: dict[int, list[Pace]], noun: str) -> Table:
    figures = [
        Figure(
            name=f"{count:,} {noun}",
            runs=[pace.cpu_microseconds for pace in paces],
            memory_mib=max(pace.memory_mib for pace in paces),
        )
        for count, paces in paces_by_count.items()
    ]
    last, first = figures[-1], figures[0]
    flat = ratio(f"{last.name} : {first.name}", last, first, at_most=FLAT)
    return Table(
        bench="scale",
        title=f"scale: {title}",
        unit="µs of CPU each",
        figures=figures,
        ratios=[flat],
    )


def workers(one: list[Pace], two: list[Pace]) -> list[Table]:
    """Compares rate and CPU of one worker and of two."""

    def table(what: str, unit: str, of: Callable[[Pace], float], **goal: float) -> Table:
        single, both = (
            Figure(name=name, runs=[of(pace) for pace in paces])
            for name, paces in (("one worker", one), ("two workers", two))
        )
        return Table(
            bench="scale",
            title=f"scale: {what}",
            unit=unit,
            figures=[single, both],
            ratios=[ratio("two : one", both, single, **goal)],
        )

    has_cores = (os.cpu_count() or 0) >= CORES_FOR_TWO
    return [
        table(
            "dedupe, workers",
            "records/s",
            lambda pace: pace.per_second,
            at_least=GOAL_OF_TWO if has_cores else 0.0,
        ),
        table(
            "dedupe, workers",
            "µs of CPU each",
            lambda pace: pace.cpu_microseconds,
            at_most=FLAT,
        ),
    ]
