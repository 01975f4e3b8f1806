"""Measures deduplication by lanes and by other systems that forget no key in a horizon.

It compares lanes alone with each of them, and the whole of dedupe with the bare rivals.

All get the same records. The bare ones (lanes, Kafka Streams, Quix Streams) look up a
key and pass 480 B on undecoded, with 1.2 outputs, and remember it in a changelog. The
whole ones (`sensorium stream dedupe`, stock Faust with the same function) decode
webhooks and write messages.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from bench import dedupe, lanes
from bench.figures import Figure, Pace, Ratio, Table, percentile, ratio
from bench.rig import Rig, Worker, committed, fill
from bench.rivals import parts
from bench.rivals.measured import ROUNDS, SHARE, WARMING, Goal, Sides, count
from schemas.settings import Settings
from schemas.topics import Names

RECORDS = 400_000
QUIX_RECORDS = 100_000
DEDUPE_RECORDS = 50_000
STOCK_RECORDS = 15_000
LATENCY_WARMING_SECONDS, LATENCY_SECONDS = 6, 10
GOAL_MS = 100.0
"""The goal for the product's p99."""
LANES, MEMORY, ROCKSDB, QUIX = (
    "lanes",
    "Kafka Streams, memory",
    "Kafka Streams, RocksDB",
    "Quix Streams",
)
DEDUPE, STOCK = "dedupe, full work", "stock Faust, the same function"
_BARE_GOALS = (
    Goal(LANES, MEMORY, 1.0, is_jvm=True),
    Goal(LANES, ROCKSDB, 1.0, is_jvm=True),
    Goal(LANES, QUIX),
)
_FULL_GOALS = (Goal(DEDUPE, QUIX, 1.0), Goal(DEDUPE, STOCK, 8.0))


def run(rig: Rig) -> list[Table]:
    """Measures the rates, in turns."""
    bare, full = Sides(), Sides()
    # Not counted: the broker is faster once compiled.
    lanes.ours_run(rig, count(RECORDS))
    for _ in range(ROUNDS):
        bare.add(LANES, lanes.ours_run(rig, count(RECORDS), WARMING))
        bare.add(MEMORY, _bare(rig, _memory, RECORDS))
        bare.add(ROCKSDB, _bare(rig, _rocksdb, RECORDS))
        bare.add(QUIX, _bare(rig, _quix, QUIX_RECORDS))
        full.add(DEDUPE, dedupe.ours_run(rig, count(DEDUPE_RECORDS), WARMING))
        full.add(STOCK, dedupe.stock_run(rig, count(STOCK_RECORDS)))
    full.paces[QUIX] = bare.paces[QUIX]
    return [
        *bare.tables("dedup, bare, exactly-once", "records/s", _BARE_GOALS),
        *full.tables("dedupe with its full work", "records/s", _FULL_GOALS),
    ]


def latency(rig: Rig) -> list[Table]:
    """Measures the time from a record's send until a read_committed reader has the result."""
    sides: dict[str, dedupe.Started] = {
        DEDUPE: dedupe.ours_started,
        LANES: lanes.ours_started,
        MEMORY: _memory,
        ROCKSDB: _rocksdb,
    }
    runs: dict[str, list[list[float]]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, started in sides.items():
            waits = dedupe.milliseconds(
                rig,
                started,
                warming_seconds=LATENCY_WARMING_SECONDS,
                seconds=max(2, int(LATENCY_SECONDS * SHARE)),
            )
            print(f"  {name}: p99 {percentile(waits, 0.99):.1f} ms", flush=True)
            runs[name].append(waits)
    return [latency_table(runs, "p50", 0.5, at_most=0.0), latency_table(runs, "p99", 0.99, 1.0)]


def latency_table(
    runs: dict[str, list[list[float]]], word: str, part: float, at_most: float
) -> Table:
    """Returns a percentile of each side.

    The product's should be at most `at_most` times a rival's; 0 means no goal.
    """
    figures = {
        name: Figure(name=name, runs=[percentile(run, part) for run in of_side])
        for name, of_side in runs.items()
    }
    ratios = [
        ratio(f"{ours} : {rival}", figures[ours], figures[rival], at_most=at_most)
        for ours in (DEDUPE, LANES)
        for rival in (MEMORY, ROCKSDB)
    ]
    if at_most:
        ratios += [
            Ratio(name=f"{ours}, ms", value=figures[ours].median, at_most=GOAL_MS, of=ours)
            for ours in (DEDUPE, LANES)
        ]
    return Table(
        bench="rivals",
        title=f"produced to visible at {dedupe.LATENCY_PER_SECOND:,}/s, {word}",
        unit="ms",
        figures=list(figures.values()),
        ratios=ratios,
    )


def _bare(rig: Rig, started: dedupe.Started, usual: int) -> Pace:
    settings, records = rig.fresh(), count(usual)
    names = Names(settings.namespace)
    fill(settings.kafka, names.topic("raw-messages"), lanes.records(records))
    with started(rig, settings) as worker:
        done = committed(settings.kafka, _group(settings), names.topic("raw-messages"))
        return worker.pace(done, records, records, warming=WARMING)


def _group(settings: Settings) -> str:
    return f"{settings.namespace}-rival"


@contextmanager
def _memory(rig: Rig, settings: Settings) -> Iterator[Worker]:
    with _streams(rig, settings, "memory") as worker:
        yield worker


@contextmanager
def _rocksdb(rig: Rig, settings: Settings) -> Iterator[Worker]:
    with _streams(rig, settings, "rocksdb") as worker:
        yield worker


@contextmanager
def _streams(rig: Rig, settings: Settings, store: str) -> Iterator[Worker]:
    logging = rig.folder / "rivals-log4j2.yaml"
    logging.write_text(parts.LOGGING)
    command = [
        parts.java(),
        *parts.HEAP,
        f"-Dlog4j2.configurationFile={logging}",
        "-cp",
        parts.topology(print),
        "Dedup",
    ]
    with (
        _state_folder() as folder,
        rig.program(
            f"{settings.namespace}-streams",
            [*command, *_words(settings, folder), store],
            os.environ,
        ) as worker,
    ):
        yield worker


@contextmanager
def _quix(rig: Rig, settings: Settings) -> Iterator[Worker]:
    command = [str(parts.quix(print)), str(parts.QUIX / "dedup.py")]
    with (
        _state_folder() as folder,
        rig.program(
            f"{settings.namespace}-quix", [*command, *_words(settings, folder)], os.environ
        ) as worker,
    ):
        yield worker


def _words(settings: Settings, folder: str) -> list[str]:
    """The arguments of a rival."""
    names = Names(settings.namespace)
    topics = (names.topic("raw-messages"), names.topic("enriched-messages"), names.topic("media"))
    return [settings.kafka.bootstrap_servers, _group(settings), *topics, folder]


@contextmanager
def _state_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="sensorium-rival-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
