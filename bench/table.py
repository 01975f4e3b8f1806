"""Measures the cost of the ids that dedupe remembers.

It measures the memory per id, and how long a lane's `open` takes to load them.

`IDS="1000000 100000000"` names other numbers of ids. `python -m bench.table COUNT`
opens all partitions at once, as a worker does at start, and prints the figures.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from bench.figures import Figure, Table
from bench.rig import PARTITIONS, BenchRecord, Rig, fill
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import client_config, reader_config
from streams.lanes.claims import BLOCK, BLOCK_IDS, TAIL, ClaimedKeys, with_day
from streams.lanes.digests import DIGEST_BYTES
from streams.lanes.transactions import PartitionTransactions
from streams.repair.take_over import lane_of
from streams.settings import read_settings

COUNTS = tuple(map(int, os.environ.get("IDS", "1000000 5000000").split()))
ROUNDS = 3
DAYS = 8
"""The horizon in days, over which the ids are spread."""
TAILS = 50_000
"""Small records per partition, with one claim each, that are not compacted yet: 10 MB."""


def run(rig: Rig) -> list[Table]:
    seconds, cpu, sizes = [], [], []
    for count in COUNTS:
        settings = rig.fresh()
        remember(settings, count)
        runs = [rig.result(settings, "bench.table", str(count)) for _ in range(ROUNDS)]
        name = f"{count:,} ids"
        peak = max(run["peak_mib"] for run in runs)
        seconds.append(Figure(name=name, runs=[run["seconds"] for run in runs], memory_mib=peak))
        cpu.append(Figure(name=name, runs=[run["cpu"] for run in runs]))
        sizes.append(Figure(name=name, runs=[run["bytes"] / count for run in runs]))
        # No memory is returned: what a load needs besides is in the peak.
        sizes.append(
            Figure(name=f"{name}, at the peak", runs=[run["peak_bytes"] / count for run in runs])
        )
    of_load = f"dedupe's table: a cold load through `open`, {PARTITIONS} partitions at once"
    grown = "dedupe's table: growth of resident memory for each id"
    return [
        Table(bench="table", title=of_load, unit="s", figures=seconds),
        Table(bench="table", title=f"{of_load}: CPU of the process", unit="s", figures=cpu),
        Table(bench="table", title=grown, unit="bytes", figures=sizes),
    ]


def remember(settings: Settings, count: int) -> None:
    """Writes the changelog as claims leave it, and commits offsets.

    Without them, a lane with ids does not open.
    """
    identity = lane_of(Names(settings.namespace), 0)
    topic = NewTopic(identity.changelog, PARTITIONS, 1, config={"cleanup.policy": "delete"})
    # Bound to a name, because the client must outlive its call.
    admin = AdminClient(client_config(settings.kafka))
    admin.create_topics([topic])[identity.changelog].result(30)
    today = int(time.time()) // 86_400
    # All at once would not fit the producer's queue.
    for day in range(today - DAYS + 1, today + 1):
        fill(settings.kafka, identity.changelog, _claims(count, day, is_last=day == today))
    group = Consumer(reader_config(settings.kafka, identity.group))
    group.commit(
        offsets=[TopicPartition(identity.source, partition, 0) for partition in range(PARTITIONS)],
        asynchronous=False,
    )
    group.close()


def _claims(count: int, day: int, *, is_last: bool) -> Iterator[BenchRecord]:
    """The claims of one day as lanes leave them.

    They are blocks, and on the last day also the tails since the last compaction.
    """
    tails = min(TAILS, count // DAYS // PARTITIONS // 2) if is_last else 0
    for partition in range(PARTITIONS):
        left = count // DAYS // PARTITIONS - tails
        while left > 0:
            yield _record(
                BLOCK + os.urandom(16).hex().encode(), day, min(left, BLOCK_IDS), partition
            )
            left -= BLOCK_IDS
        for number in range(tails):
            yield _record(TAIL + b"%d" % (number % BLOCK_IDS), day, 1, partition)


def _record(key: bytes, day: int, ids: int, partition: int) -> BenchRecord:
    return BenchRecord(key, with_day(day, os.urandom(DIGEST_BYTES * ids)), [], partition)


def load(settings: Settings, count: int) -> dict[str, float]:
    """Returns seconds, seconds of CPU, the growth of resident memory in bytes, and its peaks."""
    lanes = [
        (
            PartitionTransactions(settings.kafka, lane_of(Names(settings.namespace), partition)),
            ClaimedKeys(),
        )
        for partition in range(PARTITIONS)
    ]
    before, began, worked = _resident("VmRSS"), time.monotonic(), time.process_time()
    with ThreadPoolExecutor(PARTITIONS) as threads:
        for opening in [threads.submit(transactions.open, held) for transactions, held in lanes]:
            opening.result()
    seconds = time.monotonic() - began
    cpu = time.process_time() - worked
    assert sum(len(held) for _, held in lanes) == count
    return {
        "seconds": seconds,
        "cpu": cpu,
        "bytes": _resident("VmRSS") - before,
        "peak_bytes": _resident("VmHWM") - before,
        "peak_mib": _resident("VmHWM") / 2**20,
    }


def _resident(which: str) -> int:
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith(which)
    )
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    print(json.dumps(load(read_settings(), int(sys.argv[1]))))
