"""Measures dedupe with its real stage function on real bodies.

Beside it runs stock Faust that calls the same function and writes the same bytes.

The product's side is the role itself, `sensorium stream dedupe`.
`python -m bench.dedupe` is the worker of the other side.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import uvloop
from confluent_kafka import Producer

from bench.figures import Figure, Pace, Table, paced, percentile, ratio
from bench.rig import PATIENCE_SECONDS, Rig, Worker, committed, fill, reading, written
from bench.stock import bytes_topic, stock_app, work
from bench.traffic import is_image, raw_record, with_duplicates
from connectors.providers.catalogue import read
from schemas.arrival import Arrival
from schemas.outcomes import Forward
from schemas.settings import Kafka, Settings
from schemas.topics import Names
from storage.kafka.client import plain_producer_config
from streams.apps.encoding import Encoding, utc_now
from streams.settings import read_settings
from streams.stages.dedupe import dedupe, digest

ROUNDS = 3
RECORDS = 50_000
STOCK_RECORDS = 20_000
LATENCY_PER_SECOND = 1_000
LATENCY_SECONDS = 6
LATENCY_WARMING_SECONDS = 2
LATENCY_ROUNDS = 2
Started = Callable[[Rig, Settings], AbstractContextManager[Worker]]
"""Starts one side as a process."""


def run(rig: Rig) -> list[Table]:
    return [_throughput(rig), _latency(rig)]


def _throughput(rig: Rig) -> Table:
    product, stock = [], []
    # Not counted: the broker is faster once its own code is compiled.
    ours_run(rig, RECORDS)
    for _ in range(ROUNDS):
        product.append(ours_run(rig, RECORDS))
        stock.append(stock_run(rig, STOCK_RECORDS))
    ours, reference = (
        paced("dedupe, exactly-once", product),
        paced("stock Faust, at-least-once", stock),
    )
    title = (
        "dedupe: raw webhooks to enriched messages by the real stage function, "
        "10 % duplicates, 20 % images"
    )
    goal = ratio("dedupe : stock", ours, reference, at_least=3)
    return Table(
        bench="dedupe", title=title, unit="records/s", figures=[ours, reference], ratios=[goal]
    )


def ours_run(rig: Rig, count: int, warming: float = 0.0) -> Pace:
    """Measures the role on `count` records, of which the first share `warming` is not counted."""
    settings = rig.fresh()
    names = Names(settings.namespace)
    fill(settings.kafka, names.topic("raw-messages"), map(raw_record, with_duplicates(count)))
    with ours_started(rig, settings) as worker:
        return worker.pace(
            committed(settings.kafka, names.group("dedupe"), names.topic("raw-messages")),
            count,
            count,
            warming=warming,
        )


def stock_run(rig: Rig, count: int) -> Pace:
    """Measures stock Faust on `count` records."""
    settings = rig.fresh()
    names = Names(settings.namespace)
    numbers = list(with_duplicates(count))
    fill(settings.kafka, names.topic("raw-messages"), map(raw_record, numbers))
    outputs = sum(3 if is_image(number) else 1 for number in set(numbers))
    topics = [names.topic(name) for name in ("enriched-messages", "enrichments", "media")]
    with stock_started(rig, settings) as worker:
        return worker.pace(written(settings.kafka, *topics), outputs, count)


def ours_started(rig: Rig, settings: Settings) -> AbstractContextManager[Worker]:
    """Starts the role as a process."""
    return rig.process(settings, "streams.commands.main", "stream", "dedupe")


def stock_started(rig: Rig, settings: Settings) -> AbstractContextManager[Worker]:
    """Starts stock Faust as a process."""
    return rig.process(settings, "bench.dedupe")


def _latency(rig: Rig) -> Table:
    """The time from a raw record's send until a read_committed reader has its first version."""
    sides = {"dedupe, exactly-once": ours_started, "stock Faust, at-least-once": stock_started}
    runs: dict[str, list[list[float]]] = {side: [] for side in sides}
    for _ in range(LATENCY_ROUNDS):
        for side, started in sides.items():
            runs[side].append(milliseconds(rig, started))
    figures = [
        Figure(name=f"{side}: {name}", runs=[percentile(run, part) for run in of_side])
        for side, of_side in runs.items()
        for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    ]
    title = (
        "dedupe: produced to visible for a read_committed reader at "
        f"{LATENCY_PER_SECOND:,}/s; aim: p99 under 100"
    )
    return Table(bench="dedupe", title=title, unit="ms", figures=figures)


def milliseconds(
    rig: Rig,
    started: Started,
    *,
    warming_seconds: int = LATENCY_WARMING_SECONDS,
    seconds: int = LATENCY_SECONDS,
) -> list[float]:
    """The times of each record that is sent after the warm-up."""
    settings = rig.fresh()
    names = Names(settings.namespace)
    sent: dict[bytes, float] = {}
    seen: dict[bytes, float] = {}
    warming = LATENCY_PER_SECOND * warming_seconds
    with (
        started(rig, settings) as worker,
        reading(settings.kafka, names.topic("enriched-messages"), seen),
    ):
        _send(settings.kafka, names.topic("raw-messages"), range(1), sent)
        worker.wait(lambda: len(seen) == 1)  # its start is not what is measured
        _send(
            settings.kafka,
            names.topic("raw-messages"),
            range(1, warming + LATENCY_PER_SECOND * seconds),
            sent,
        )
        worker.wait(lambda: len(seen) == len(sent))
    return [(seen[key] - at) * 1000 for key, at in list(sent.items())[warming:]]


def _send(kafka: Kafka, topic: str, numbers: range, sent: dict[bytes, float]) -> None:
    """Sends at an even pace, and records when each record was given to the producer."""
    producer = Producer(plain_producer_config(kafka))
    records = [raw_record(number) for number in numbers]
    began = time.monotonic()
    for place, (key, value, headers, _) in enumerate(records):
        wait = began + place / LATENCY_PER_SECOND - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        sent[key] = time.monotonic()
        producer.produce(topic, value, key, headers=list(headers))
        producer.poll(0)
    producer.flush(PATIENCE_SECONDS)


def stock(settings: Settings) -> Any:
    """The agent that a user of Faust would write.

    The stage asks the Table, outputs are sent, then the key is stored.
    """
    names = Names(settings.namespace)
    encoding = Encoding(names, settings.kafka.partitions)
    app = stock_app(f"{settings.namespace}-stock", settings.kafka)
    topics = {
        names.topic(name): bytes_topic(app, names.topic(name))
        for name in ("enriched-messages", "enrichments", "media")
    }
    seen = app.Table("seen", partitions=settings.kafka.partitions, key_type=bytes, value_type=bytes)

    @app.agent(bytes_topic(app, names.topic("raw-messages")))
    async def forward(stream: Any) -> None:
        async for event in stream.events():
            at = event.message
            arrival = Arrival("raw-messages", at.partition, at.offset, at.key, at.value, at.headers)
            outcome = dedupe(arrival, claimed=seen, read=read, now=utc_now())
            if isinstance(outcome, Forward):
                for output in outcome.outputs:
                    topic, key, value, partition, headers = encoding.write(
                        output, arrival.traceparent
                    )
                    await topics[topic].send(
                        key=key,
                        value=value,
                        partition=at.partition if partition < 0 else partition,
                        headers=headers,
                    )
                seen[digest(arrival)] = b"1"

    return app


if __name__ == "__main__":
    uvloop.install()
    work(stock(read_settings()))
