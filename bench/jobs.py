"""Measures a job stage whose jobs wait for a server.

It measures jobs per second, the cost per job, and what a hanging server does to other
tenants.

The stage is the product's (`job_app`: queue, schedule, settlement, receipts, one
transaction for many jobs). Its `work` only asks a server over one connection and waits
50 ms for the answer, so the cost of an HTTP client is not included. `python -m
bench.jobs server` is the server, `stage PORT` the stage, and `pictures WORKERS`
prepares pictures without a stage.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from confluent_kafka import Producer

from bench.figures import Figure, Pace, Ratio, Table, paced, percentile, ratio
from bench.rig import BenchRecord, Rig, Worker, fill, reading
from bench.stock import work
from connectors.media.frames import PreparedImage
from connectors.media.preparation import Decoder
from schemas.codec import encode
from schemas.headers import Routing, new_traceparent
from schemas.keys import TenantId, message_key
from schemas.outcomes import Forward, Output
from schemas.records import Enrichment, VisionJob
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import plain_producer_config
from streams.apps.jobs import JobStage, StageAttempt, job_app
from streams.lanes.app import LaneApp
from streams.local.lifecycle import sensorium
from streams.roles.logs import configure_logs
from streams.settings import read_settings

JOB_SECONDS = 0.05
IN_FLIGHT = 256
JOBS = 60_000
TENANTS = 50
ROUNDS = 3
PER_SECOND = 400
LATENCY_SECONDS = 6
STUCK = TenantId("stuck")
STUCK_JOBS = 500
PICTURES = 60
PHOTOGRAPH = Path(__file__).parents[1] / "tests" / "media" / "coffee.jpg"
CEILING = IN_FLIGHT / JOB_SECONDS


def run(rig: Rig) -> list[Table]:
    with _server(rig) as port:
        paces = [_throughput(rig, port) for _ in range(ROUNDS)]
        alone = [_latency(rig, port, stuck=0) for _ in range(ROUNDS)]
        beside = [_latency(rig, port, stuck=STUCK_JOBS) for _ in range(ROUNDS)]
    rate = paced(f"{IN_FLIGHT} in flight, ceiling {CEILING:,.0f}", paces)
    p99 = Figure(name="p99 beside a tenant whose server hangs", runs=_p99(beside))
    return [
        _pictures(rig),
        Table(
            bench="jobs",
            title=f"jobs: of {JOB_SECONDS * 1000:g} ms each, {TENANTS} tenants, one process",
            unit="jobs/s",
            figures=[rate],
            ratios=[Ratio(name="of 4,000/s", value=rate.median / 4_000, at_least=1)],
        ),
        Table(
            bench="jobs",
            title=f"jobs: produced to visible at {PER_SECOND}/s, the job's "
            f"{JOB_SECONDS * 1000:g} ms included",
            unit="ms",
            figures=[Figure(name="p99 without it", runs=_p99(alone)), p99],
            ratios=[Ratio(name="of 200 ms", value=p99.median / 200, at_most=1)],
        ),
    ]


def _pictures(rig: Rig) -> Table:
    """Measures whether twice the cores prepare twice the pictures.

    That needs an otherwise idle machine.
    """
    cores = len(os.sched_getaffinity(0))
    figures = [
        Figure(
            name=f"{workers} at a time",
            runs=[
                rig.result(rig.settings, "bench.jobs", "pictures", str(workers))["per_second"]
                for _ in range(ROUNDS)
            ],
        )
        for workers in (1, cores)
    ]
    goal = ratio(f"{cores} : 1", figures[1], figures[0], at_least=0.8 * cores)
    title = f"jobs: photographs made fit for a model, in child processes, on {cores} cores"
    return Table(bench="jobs", title=title, unit="pictures/s", figures=figures, ratios=[goal])


async def pictures(workers: int) -> dict[str, float]:
    """Measures how many photographs per second this number of child processes prepares."""
    data = PHOTOGRAPH.read_bytes()
    async with Decoder(workers) as decoder:

        async def prepare(owner: str) -> None:
            assert isinstance(
                await decoder.prepare_image(data, owner, longest_side=512), PreparedImage
            )

        while len(decoder.workers.alive) < workers:
            await asyncio.gather(*(prepare(f"tenant-{number}") for number in range(workers)))
        began = time.monotonic()
        await asyncio.gather(*(prepare(f"tenant-{number}") for number in range(PICTURES)))
        return {"per_second": PICTURES / (time.monotonic() - began)}


def _p99(runs: list[list[float]]) -> list[float]:
    return [percentile(run, 0.99) for run in runs]


def _fresh(rig: Rig) -> Settings:
    settings = rig.fresh()
    worker = msgspec.structs.replace(settings.worker, jobs=IN_FLIGHT)
    settings = msgspec.structs.replace(settings, worker=worker)
    sensorium(settings, "migrate")
    return settings


def _throughput(rig: Rig, port: int) -> Pace:
    settings = _fresh(rig)
    names = Names(settings.namespace)
    fill(settings.kafka, names.topic("vision"), map(_record, range(JOBS)))
    seen: dict[bytes, float] = {}
    with (
        reading(settings.kafka, names.topic("enrichments"), seen),
        rig.process(settings, "bench.jobs", "stage", str(port)) as stage,
    ):
        return stage.pace(lambda: len(seen), JOBS, JOBS)


def _latency(rig: Rig, port: int, stuck: int) -> list[float]:
    """Returns the milliseconds of each other tenant's job while one tenant is stuck.

    `stuck` jobs of that tenant wait for an answer that never comes.
    """
    settings = _fresh(rig)
    names = Names(settings.namespace)
    sent: dict[bytes, float] = {}
    seen: dict[bytes, float] = {}
    with (
        reading(settings.kafka, names.topic("enrichments"), seen),
        rig.process(settings, "bench.jobs", "stage", str(port)) as stage,
    ):
        _send(settings, range(1), sent)
        _all_seen(stage, sent, seen)
        fill(settings.kafka, names.topic("vision"), map(_stuck_record, range(stuck)))
        _send(settings, range(1, PER_SECOND), sent)  # to warm up
        _all_seen(stage, sent, seen)
        first = len(sent)
        _send(settings, range(first, first + LATENCY_SECONDS * PER_SECOND), sent)
        _all_seen(stage, sent, seen)
    return [(seen[key] - at) * 1000 for key, at in list(sent.items())[first:]]


def _all_seen(stage: Worker, sent: dict[bytes, float], seen: dict[bytes, float]) -> None:
    stage.wait(lambda: len(seen) == len(sent))


def _send(settings: Settings, numbers: range, sent: dict[bytes, float]) -> None:
    """Sends at an even pace, and records when each job was given to the producer."""
    producer = Producer(plain_producer_config(settings.kafka))
    topic = Names(settings.namespace).topic("vision")
    records = [_record(number) for number in numbers]
    began = time.monotonic()
    for place, (key, value, headers, _) in enumerate(records):
        time.sleep(max(0.0, began + place / PER_SECOND - time.monotonic()))
        sent[key] = time.monotonic()
        producer.produce(topic, value, key, headers=list(headers))
        producer.poll(0)
    producer.flush()


def _record(number: int) -> BenchRecord:
    return _job(TenantId(f"tenant-{number % TENANTS}"), number)


def _stuck_record(number: int) -> BenchRecord:
    return _job(STUCK, number)


def _job(tenant: TenantId, number: int) -> BenchRecord:
    key = message_key(tenant, "ycloud", f"wamid.HBgLMTIwMjU1NTAxNDcVAgASGCBBQzc0{number:020d}QQA=")
    job = VisionJob(
        tenant_id=tenant,
        message_key=key,
        provider="ycloud",
        index=0,
        object_key=f"{tenant}/{number}.jpeg",
        mime_type="image/jpeg",
        bytes=120_000,
        sha256="0" * 64,
    )
    routing = Routing(tenant_id=tenant, provider="ycloud", traceparent=new_traceparent())
    return BenchRecord(key.encode(), encode(job), routing.to_headers())


class _Answers(asyncio.Protocol):
    """The server.

    It repeats each line after 50 ms, but never answers a line that begins with a minus
    sign.
    """

    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        self._write = transport.write

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        answered = b"".join(line + b"\n" for line in lines if not line.startswith(b"-"))
        asyncio.get_running_loop().call_later(JOB_SECONDS, self._write, answered)


class _Asking(asyncio.Protocol):
    """The stage's side of the connection that all jobs share."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._numbers = itertools.count()
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        self._write = transport.write

    async def ask(self, *, hangs: bool) -> None:
        number = b"%s%d\n" % (b"-" if hangs else b"", next(self._numbers))
        self._waiting[number] = answer = asyncio.get_running_loop().create_future()
        self._write(number)
        try:
            await answer
        finally:
            self._waiting.pop(number, None)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if (answer := self._waiting.get(line + b"\n")) is not None and not answer.done():
                answer.set_result(None)


class _OneServer:
    """The clients of the stage, as `StageClients` describes them."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        _, self.asking = await loop.create_connection(_Asking, "127.0.0.1", self._port)

    async def close(self) -> None:
        pass

    def healthy(self) -> bool:
        return True


def stage(settings: Settings, port: int) -> LaneApp:
    """Builds the product's stage `describe` with a `work` that asks the server once."""
    server = _OneServer(port)

    async def ask(attempt: StageAttempt[VisionJob]) -> Forward:
        job = attempt.job
        await server.asking.ask(hangs=job.tenant_id == STUCK)
        described = Enrichment(
            tenant_id=job.tenant_id,
            message_key=job.message_key,
            provider=job.provider,
            kind="described",
            index=job.index,
            stage="describe",
            source=attempt.arrival.source,
            at=datetime.now(UTC),
            text="A receipt on a wooden table, beside a cup of coffee.",
        )
        return Forward((Output("enrichments", job.message_key, described, 0),))

    return job_app(settings, JobStage("describe", VisionJob, ask, server))


@contextmanager
def _server(rig: Rig) -> Iterator[int]:
    """Runs the server in a process of its own and yields its port."""
    with rig.process(rig.settings, "bench.jobs", "server") as server:
        port: list[int] = []

        def listens() -> bool:
            port[:] = [int(word) for word in server.log.read_text().split()]
            return bool(port)

        server.wait(listens)
        yield port[0]


async def serve() -> None:
    """Prints its port and answers until SIGTERM."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answers, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


if __name__ == "__main__":
    uvloop.install()
    configure_logs(read_settings().log, "describe")
    match sys.argv[1]:
        case "server":
            asyncio.run(serve())
        case "pictures":
            print(json.dumps(asyncio.run(pictures(int(sys.argv[2])))))
        case _:
            work(stage(read_settings(), int(sys.argv[2])))
