"""Measures the lanes alone: how fast are records deduplicated if the decision costs nothing?

Keys are looked up, and values passed on undecoded. Both sides write 1.2 outputs per
forwarded record and remember it in a changelog: stock by a record each, the lanes by
one per batch. The lanes also write their receipts. `python -m bench.lanes ours|stock`
is a worker.
"""

import random
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import uvloop

from bench.figures import Pace, Table, paced, ratio
from bench.rig import BenchRecord, Rig, Worker, committed, fill, written
from bench.stock import bytes_topic, stock_app, work
from bench.traffic import with_duplicates
from schemas.keys import claim_digest
from schemas.receipts import Line
from schemas.settings import Settings
from schemas.topics import Names
from streams.lanes.app import lane_app
from streams.lanes.batches import Batch
from streams.lanes.claims import ClaimedKeys
from streams.lanes.receipts import line
from streams.lanes.transactions import Write
from streams.settings import read_settings

ROUNDS = 3
RECORDS = 200_000
STOCK_RECORDS = 30_000
_VALUE_BYTES = 480
_DAY_SECONDS = 86_400


def run(rig: Rig) -> list[Table]:
    lanes, stock = [], []
    # Not counted: the broker is faster once its own code is compiled.
    ours_run(rig, RECORDS)
    for _ in range(ROUNDS):
        lanes.append(ours_run(rig, RECORDS))
        stock.append(_stock(rig))
    ours, reference = (
        paced("lanes, exactly-once", lanes),
        paced("stock Faust, at-least-once", stock),
    )
    title = f"lanes alone: dedup of {_VALUE_BYTES} B values by key, 10 % duplicates, 1.2 outputs"
    goal = ratio("lanes : stock", ours, reference, at_least=10)
    return [
        Table(
            bench="lanes", title=title, unit="records/s", figures=[ours, reference], ratios=[goal]
        )
    ]


def ours_run(rig: Rig, count: int, warming: float = 0.0) -> Pace:
    """Runs the lanes on `count` records. The share `warming` of them is not counted."""
    settings = rig.fresh()
    names = Names(settings.namespace)
    fill(settings.kafka, names.topic("raw-messages"), records(count))
    with ours_started(rig, settings) as worker:
        return worker.pace(
            committed(settings.kafka, names.group("dedupe"), names.topic("raw-messages")),
            count,
            count,
            warming=warming,
        )


def ours_started(rig: Rig, settings: Settings) -> AbstractContextManager[Worker]:
    """Starts the lanes as a process."""
    return rig.process(settings, "bench.lanes", "ours")


def _stock(rig: Rig) -> Pace:
    settings = rig.fresh()
    names = Names(settings.namespace)
    fill(settings.kafka, names.topic("raw-messages"), records(STOCK_RECORDS))
    survivors = set(with_duplicates(STOCK_RECORDS))
    outputs = len(survivors) + sum(has_media(_key(number)) for number in survivors)
    with rig.process(settings, "bench.lanes", "stock") as worker:
        return worker.pace(
            written(settings.kafka, names.topic("enriched-messages"), names.topic("media")),
            outputs,
            STOCK_RECORDS,
        )


def records(count: int) -> Iterator[BenchRecord]:
    value = random.Random(7).randbytes(_VALUE_BYTES)
    for number in with_duplicates(count):
        yield BenchRecord(_key(number), value, [])


def _key(number: int) -> bytes:
    return b"acme:ycloud:wamid.HBgLNTQ5MTE1MTIzNDU2Nz%020d" % number


def has_media(key: bytes) -> bool:
    """True if the key gets a second output, as one key in five does."""
    return key[-1:] in (b"0", b"5")


def ours(settings: Settings) -> Any:
    """Runs this project's lanes under an agent that decides by the key alone."""
    names = Names(settings.namespace)
    enriched, media = names.topic("enriched-messages"), names.topic("media")
    app = lane_app("dedupe", settings)
    claimed = app.lane_table(
        "claimed",
        partitions=settings.kafka.partitions,
        new_state=ClaimedKeys,
        extra_topic_configs={"cleanup.policy": "delete"},
    )
    batches = app.batch_lanes(claimed)

    @app.agent(batches)
    async def forward(stream: Any) -> None:
        async for batch in stream:
            decide(batch) if batch.current else batch.discard()

    def decide(batch: Batch[ClaimedKeys]) -> None:
        day = int(time.time()) // _DAY_SECONDS
        writes: list[Write] = []
        lines: list[Line] = []
        for message in batch.messages:
            key, value = message.key() or b"", message.value() or b""
            digest = claim_digest(key, 0)
            if digest in batch.state:
                lines.append(line(message, "duplicate"))
            else:
                lines.append(line(message, "forwarded"))
                batch.state.claim(digest, day)
                writes.append(Write(enriched, key, value, batch.partition, []))
                if has_media(key):
                    writes.append(Write(media, key, value[:64], batch.partition, []))
        batch.settle(writes, batch.state.changelog(), lines)

    return app


def stock(settings: Settings) -> Any:
    """Does the same with Faust's own streams and Table."""
    names = Names(settings.namespace)
    app = stock_app(f"{settings.namespace}-stock", settings.kafka)
    enriched, media = (
        bytes_topic(app, names.topic("enriched-messages")),
        bytes_topic(app, names.topic("media")),
    )
    seen = app.Table("seen", partitions=settings.kafka.partitions, key_type=bytes, value_type=bytes)

    @app.agent(bytes_topic(app, names.topic("raw-messages")))
    async def forward(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            digest = claim_digest(message.key, 0)
            if digest not in seen:
                await enriched.send(
                    key=message.key, value=message.value, partition=message.partition
                )
                if has_media(message.key):
                    await media.send(
                        key=message.key, value=message.value[:64], partition=message.partition
                    )
                seen[digest] = b"1"

    return app


if __name__ == "__main__":
    uvloop.install()
    work({"ours": ours, "stock": stock}[sys.argv[1]](read_settings()))
