"""Measures the cost of the ids that dedupe remembers: memory per id, and the time of a lane's
`open` to load them.

`python -m bench.table COUNT` opens all partitions at once, as a worker does at start, and prints
the figures.
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
from bench.rig import PARTITIONS, Record, Rig, fill
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import client_config, reader_config
from streams.lanes.state import ClaimedKeys
from streams.lanes.transactions import LaneIdentity, PartitionTransactions
from streams.settings import read_settings

COUNTS = (1_000_000, 5_000_000)
ROUNDS = 3
DAYS = 8
"""The horizon. The ids are spread over as many sets."""


def run(rig: Rig) -> list[Table]:
    seconds, sizes = [], []
    grown: dict[int, list[int]] = {}
    for count in COUNTS:
        settings = rig.fresh()
        remember(settings, count)
        runs = [rig.result(settings, "bench.table", str(count)) for _ in range(ROUNDS)]
        name = f"{count:,} ids"
        seconds.append(
            Figure(
                name=name,
                runs=[run["seconds"] for run in runs],
                memory_mib=max(run["peak_mib"] for run in runs),
            )
        )
        grown[count] = [run["bytes"] for run in runs]
        sizes.append(Figure(name=name, runs=[size / count for size in grown[count]]))
    fewest, most = min(COUNTS), max(COUNTS)
    further = [
        (much - little) / (most - fewest)
        for little, much in zip(grown[fewest], grown[most], strict=True)
    ]
    sizes.append(
        Figure(
            name="each further id",
            runs=further,
            note="the rest is what loading leaves behind, once",
        )
    )
    return [
        Table(
            bench="table",
            title=f"dedupe's table: a cold load through `open`, {PARTITIONS} partitions at once",
            unit="s",
            figures=seconds,
        ),
        Table(
            bench="table",
            title="dedupe's table: growth of resident memory for each id",
            unit="bytes",
            figures=sizes,
        ),
    ]


def remember(settings: Settings, count: int) -> None:
    """Writes the changelog as claims leave it, and commits the offsets without which a lane with
    ids does not open.
    """
    identity = _identity(settings, 0)
    topic = NewTopic(identity.changelog, PARTITIONS, 1, config={"cleanup.policy": "delete"})
    # Bound to a name, because the client must outlive its call.
    admin = AdminClient(client_config(settings.kafka))
    admin.create_topics([topic])[identity.changelog].result(30)
    fill(settings.kafka, identity.changelog, _claims(count))
    group = Consumer(reader_config(settings.kafka, identity.group))
    group.commit(
        offsets=[TopicPartition(identity.source, partition, 0) for partition in range(PARTITIONS)],
        asynchronous=False,
    )
    group.close()


def _claims(count: int) -> Iterator[Record]:
    today = int(time.time()) // 86_400
    for number in range(count):
        yield Record(
            os.urandom(16),
            b"%d" % (today - DAYS + 1 + number * DAYS // count),
            [],
            number % PARTITIONS,
        )


def _identity(settings: Settings, partition: int) -> LaneIdentity:
    names = Names(settings.namespace)
    group = names.group("dedupe")
    return LaneIdentity(
        "dedupe",
        group,
        names.topic("raw-messages"),
        f"{group}-claimed-changelog",
        names.topic("receipts"),
        partition,
        frozenset(),
        names,
    )


def load(settings: Settings, count: int) -> dict[str, float]:
    """Returns the seconds, the growth of resident memory in bytes, and its peak in MiB."""
    lanes = [
        (PartitionTransactions(settings.kafka, _identity(settings, partition)), ClaimedKeys())
        for partition in range(PARTITIONS)
    ]
    before, began = _resident("VmRSS"), time.monotonic()
    with ThreadPoolExecutor(PARTITIONS) as threads:
        for opening in [threads.submit(transactions.open, held) for transactions, held in lanes]:
            opening.result()
    seconds = time.monotonic() - began
    assert sum(len(held) for _, held in lanes) == count
    return {
        "seconds": seconds,
        "bytes": _resident("VmRSS") - before,
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
