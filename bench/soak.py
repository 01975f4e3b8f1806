"""Measures the resident memory of each role over MINUTES of paced mixed load.

The load passes through the whole pipeline, after a warm-up. The load has real
photographs and voice notes, each with unique trailing bytes so that none is in a cache,
and a bot that asks the console for contexts.
"""

import os
import random
import secrets
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from bench.figures import Figure, Ratio, Table
from bench.rig import BenchFailed, Rig, Worker
from storage.waiting import Deadline
from streams.local.samples import MEDIA_DIR
from tests.chaos.book import Book
from tests.chaos.generator import Generator
from tests.chaos.media import MediaServer, media_server
from tests.chaos.traffic import Mix, Sender, Traffic
from tests.pipeline import ROLES, Pipeline, Tenant

MINUTES = float(os.environ.get("MINUTES", "3"))
DELIVERIES_PER_SECOND = 20.0
WARMING_SHARE = 0.2
WARMING_SECONDS = 60.0
MIX = Mix(not_json=0.0)
_SAMPLE_SECONDS = 1.0
_PERIODS = 8
"""The number of periods. The median of each is printed."""
_PICTURES = ("cat.jpg", "coffee.jpg", "rocket.webp", "astronaut.heic")
_SOUNDS = ("voice-note-es.ogg", "voice-memo-en.m4a", "voice-es.mp3", "voice-es.amr")
"""One picture and one sound per tenant."""


def run(rig: Rig) -> list[Table]:
    seconds = MINUTES * 60
    warming = max(WARMING_SECONDS, WARMING_SHARE * seconds)
    if warming >= seconds:
        raise BenchFailed(f"MINUTES={MINUTES:g} is no longer than the warm-up")
    with (
        _pipeline(rig) as pipeline,
        media_server(pipeline.ports["media"]) as media,
        _load(pipeline, media) as (generator, tenants),
    ):
        _samples(pipeline, tenants, warming)
        sampled = _samples(pipeline, tenants, seconds - warming)
    return [_table(sampled, warming / 60, sum(generator.statuses.values()), generator.refused)]


def _table(
    sampled: dict[str, list[float]], warming_minutes: float, deliveries: int, refused: int
) -> Table:
    figures = [Figure(name=role, runs=_periods(samples)) for role, samples in sampled.items()]
    title = (
        f"resident memory over {MINUTES:g} minutes at {DELIVERIES_PER_SECOND:g} "
        f"deliveries/s, the first {warming_minutes:g} of them warm-up; {deliveries:,} "
        f"deliveries, {refused} not answered 2xx"
    )
    growth = [
        Ratio(name=f"{one.name}, last : first", value=one.runs[-1] / one.runs[0], at_most=1.05)
        for one in figures
    ]
    return Table(bench="soak", title=title, unit="MiB", figures=figures, ratios=growth)


def _periods(samples: list[float]) -> list[float]:
    ends = [len(samples) * number // _PERIODS for number in range(_PERIODS + 1)]
    return [statistics.median(samples[begin:end]) for begin, end in pairwise(ends)]


def _samples(pipeline: Pipeline, tenants: list[Tenant], seconds: float) -> dict[str, list[float]]:
    """Samples the MiB of each role with its children.

    One request for a context goes with each sample.
    """
    memory: dict[str, list[float]] = defaultdict(list)
    deadline, printed_at = Deadline(seconds), time.monotonic()
    while not deadline.has_passed:
        for role in ROLES:
            worker = Worker(pipeline.processes[role], pipeline.folder / f"{role}.log")
            worker.wait(lambda: True)  # raises if it has ended
            memory[role].append(worker.memory_mib("VmRSS"))
        tenant = random.choice(tenants)
        pipeline.get(f"/api/conversations/{random.randrange(200)}/context", tenant.key)
        if time.monotonic() - printed_at > 60:
            printed_at = time.monotonic()
            print(
                "  " + ", ".join(f"{role} {samples[-1]:.0f}" for role, samples in memory.items()),
                flush=True,
            )
        time.sleep(_SAMPLE_SECONDS)
    return memory


@contextmanager
def _pipeline(rig: Rig) -> Iterator[Pipeline]:
    pipeline = Pipeline(rig.settings, f"b{secrets.token_hex(3)}", rig.folder)
    try:
        pipeline.start_all()
        yield pipeline
    finally:
        pipeline.stop_all()


@contextmanager
def _load(pipeline: Pipeline, media: MediaServer) -> Iterator[tuple[Generator, list[Tenant]]]:
    tenants, senders = [], []
    for number, files in enumerate(zip(_PICTURES, _SOUNDS, strict=True)):
        for extension, name in zip(("jpg", "wav"), files, strict=True):
            media.keep(extension, number, (MEDIA_DIR / name).read_bytes())
        tenant = Tenant(pipeline, f"soak-{number}")
        tenants.append(tenant)
        senders.append(
            Sender(
                tenant.name,
                number,
                {name: (one["token"], one["secret"]) for name, one in tenant.endpoints.items()},
            )
        )
    book = Book(Path(pipeline.folder) / "accepted.jsonl")
    generator = Generator(
        pipeline.receiver,
        Traffic(senders, media, random.Random(7), MIX),
        book,
        DELIVERIES_PER_SECOND,
        7,
    )
    generator.start()
    try:
        yield generator, tenants
    finally:
        generator.close()
        book.close()
