"""Measures the time from SIGKILL of dedupe's worker to the next committed output.

It also measures for how long nothing was visible to readers of the enriched topic.

Records come at an even pace. Beside them a probe goes to each enriched partition,
outside of any transaction: its delay is how long a dead worker's open transaction hides
what others wrote. Each kill hits a role that was started for it: one that dies again
within half a minute is held back on purpose. The worker is a static member, its parent
fences and restarts it, as in `up`.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

import msgspec
from confluent_kafka import Producer

from bench.figures import Figure, Ratio, Table, percentile
from bench.rig import PARTITIONS, PATIENCE_SECONDS, Rig, Worker, reading
from bench.traffic import raw_record
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import plain_producer_config

KILLS = 15
RECORDS_PER_SECOND = 200
STEADY_RECORDS = 200
"""Records that are sent after the first output and visible before the worker is killed.

The moment of the kill is drawn from the second after it.
"""
WANTED_SECONDS = 6.0


class _Kill(NamedTuple):
    """The times of one kill, in seconds."""

    next_output: float
    every_partition: float
    hidden: float


@dataclass
class _Load:
    """Record and probe number n go out together, to partition n mod 4.

    `at[n]` is the time of sending, `seen` the time at which a reader received the key.
    """

    keys: list[bytes] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    seen: dict[bytes, float] = field(default_factory=dict)

    def visible(self, begin: int, end: int) -> bool:
        """True if these records were sent and are visible, each after its probe."""
        return len(self.at) >= end and all(
            key in self.seen and _probe(begin + number) in self.seen
            for number, key in enumerate(self.keys[begin:end])
        )


def run(rig: Rig) -> list[Table]:
    settings = rig.fresh()
    settings = msgspec.structs.replace(
        settings, worker=msgspec.structs.replace(settings.worker, name="dedupe-1")
    )
    draws = random.Random(7)
    with _loaded(settings) as load:
        kills = [_kill(rig, settings, load, draws.random()) for _ in range(KILLS)]
    title = (
        f"recovery: from SIGKILL of dedupe's worker at {RECORDS_PER_SECOND} records/s; "
        f"{KILLS} kills"
    )
    figures = [
        _figure("next committed output", [kill.next_output for kill in kills]),
        _figure("next of every partition", [kill.every_partition for kill in kills]),
        _figure("others' records hidden from readers", [kill.hidden for kill in kills]),
    ]
    aim = Ratio(
        name="p95 of the next committed output, seconds",
        value=percentile([kill.next_output for kill in kills], 0.95),
        at_most=WANTED_SECONDS,
    )
    return [Table(bench="recovery", title=title, unit="ms", figures=figures, ratios=[aim])]


def _figure(name: str, seconds: list[float]) -> Figure:
    note = ", ".join(
        f"{part} {percentile(seconds, share):.2f} s"
        for part, share in (("p50", 0.5), ("p95", 0.95), ("largest", 1.0))
    )
    return Figure(name=name, runs=[one * 1000 for one in seconds], note=note)


def _kill(rig: Rig, settings: Settings, load: _Load, moment: float) -> _Kill:
    """The first record of each partition after the kill.

    It is also the first of its partition to come out again, because a partition is
    processed in order.
    """
    with rig.process(settings, "streams.commands.main", "stream", "dedupe") as worker:
        _wait_visible(worker, load, len(load.at), PARTITIONS)
        _wait_visible(worker, load, len(load.at), STEADY_RECORDS)
        time.sleep(moment)
        (child,) = worker.children()
        os.kill(child, signal.SIGKILL)
        killed, place = time.monotonic(), len(load.at)
        _wait_visible(worker, load, place, PARTITIONS)
        back = [load.seen[key] - killed for key in load.keys[place : place + PARTITIONS]]
        end = len(load.at)
        _wait_visible(worker, load, end - PARTITIONS, PARTITIONS)
    hidden = max(
        load.seen[_probe(number)] - load.at[number]
        for number in range(place - RECORDS_PER_SECOND, end)
    )
    return _Kill(min(back), max(back), hidden)


def _wait_visible(worker: Worker, load: _Load, begin: int, number: int) -> None:
    worker.wait(lambda: load.visible(begin, begin + number))


@contextmanager
def _loaded(settings: Settings) -> Iterator[_Load]:
    """Sends the load while the block runs, and notes when a reader receives each record."""
    names = Names(settings.namespace)
    enriched = names.topic("enriched-messages")
    load, ending = _Load(), threading.Event()

    def send() -> None:
        producer = Producer(plain_producer_config(settings.kafka))
        began = time.monotonic()
        for number in count():
            if ending.wait(max(0.0, began + number / RECORDS_PER_SECOND - time.monotonic())):
                break
            key, value, headers, _ = raw_record(number)
            load.keys.append(key)
            load.at.append(time.monotonic())
            producer.produce(enriched, b"", _probe(number), number % PARTITIONS)
            producer.produce(
                names.topic("raw-messages"), value, key, number % PARTITIONS, headers=list(headers)
            )
            producer.poll(0)
        producer.flush(PATIENCE_SECONDS)

    with reading(settings.kafka, enriched, load.seen):
        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield load
        finally:
            ending.set()
            thread.join()


def _probe(number: int) -> bytes:
    return b"probe-%d" % number
