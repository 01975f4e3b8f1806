"""Receivers as processes, a proxy whose connections can be cut, and the raw topic."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition

from connectors.providers.catalogue import sign
from schemas.codec import decode
from schemas.records import RawMessage
from schemas.settings import Settings
from schemas.tenants import Endpoint
from schemas.topics import Names
from storage.kafka.client import reader_config
from streams.local.ports import free_port
from streams.settings import to_environment
from tests.integration.waiting import until

START_SECONDS = 90.0
PATIENT = """
import streams.roles.receive as role
from streams.commands.main import main

role.START_SECONDS = 90.0
main()
"""
"""The program of a receiver that listens only when it is ready, even on a busy machine.

Other receivers listen at its port.
"""
_taken: set[int] = set()


def unused_port() -> int:
    port = free_port(_taken)
    _taken.add(port)
    return port


class Receiver:
    """One process of the role."""

    def __init__(self, settings: Settings, log: Path, *, patient: bool = False) -> None:
        self.settings = settings
        self.url = f"http://127.0.0.1:{settings.receiver.port}"
        self._log = log
        plain = {
            key: value for key, value in os.environ.items() if not key.startswith("SENSORIUM_")
        }
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    *(("-c", PATIENT) if patient else ("-m", "streams.commands.main")),
                    "receive",
                ],
                env=plain | to_environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    async def answers(self, path: str, status: int) -> bool:
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(f"{self.url}{path}", timeout=30)).status_code == status
            except httpx.TransportError:
                assert self.process.poll() is None, self.log()
                return False

    async def wait_ready(self) -> None:
        await until(lambda: self.answers("/readyz", 200), START_SECONDS, f"ready: {self._log}")

    async def wait_listening(self, listeners: int) -> None:
        """Waits until this many processes listen at the port."""
        await until(
            lambda: self.listeners() == listeners,
            START_SECONDS,
            f"{listeners} at port {self.settings.receiver.port}",
        )

    def listeners(self) -> int:
        at = f"0100007F:{self.settings.receiver.port:04X}"
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
        return sum(row[1] == at and row[3] == "0A" for row in rows)

    async def wait_ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, 60)

    def resident_bytes(self, which: str = "VmRSS") -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))

    def log(self) -> str:
        return self._log.read_text(errors="replace")


@contextmanager
def receiving(
    settings: Settings, folder: Path, *, patient: bool = False, **changed: Any
) -> Iterator[Receiver]:
    """Runs a receiver with these settings, on a port of its own unless one is given."""
    wanted = msgspec.structs.replace(settings.receiver, **{"port": unused_port(), **changed})
    receiver = Receiver(
        msgspec.structs.replace(settings, receiver=wanted),
        folder / f"receiver-{time.monotonic_ns()}.log",
        patient=patient,
    )
    try:
        yield receiver
    finally:
        receiver.process.kill()
        receiver.process.wait()


def signed(endpoint: Endpoint, body: bytes, *, secret: str | None = None) -> dict[str, str]:
    return (
        {}
        if endpoint.unsigned
        else sign(endpoint.provider, secret or endpoint.secrets[0], body, int(time.time()))
    )


def request(endpoint: Endpoint, body: bytes) -> bytes:
    """A signed delivery, as bytes of HTTP."""
    lines = [f"POST {path(endpoint)} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
    return (
        "\r\n".join(
            [
                *lines,
                *(f"{name}: {value}" for name, value in signed(endpoint, body).items()),
                "",
                "",
            ]
        ).encode()
        + body
    )


def path(endpoint: Endpoint) -> str:
    return f"/webhooks/{endpoint.provider}/{endpoint.token}"


def event(name: str, size: int = 0) -> bytes:
    """A body of an event with this id, filled up to `size` bytes."""
    body = b'{"id":"%s","type":"test.event","more":"' % name.encode()
    return body + b"x" * (size - len(body) - 2) + b'"}'


async def deliver(
    client: httpx.AsyncClient,
    receiver: Receiver,
    endpoint: Endpoint,
    body: bytes,
    *,
    secret: str | None = None,
) -> int:
    return (
        await client.post(
            receiver.url + path(endpoint),
            content=body,
            headers=signed(endpoint, body, secret=secret),
        )
    ).status_code


def written(settings: Settings) -> list[RawMessage]:
    """All records of the raw topic."""
    topic = Names(settings.namespace).topic("raw-messages")
    consumer = Consumer(
        reader_config(settings.kafka, "test-reader") | {"enable.partition.eof": True}
    )
    consumer.assign(
        [TopicPartition(topic, partition, 0) for partition in range(settings.kafka.partitions)]
    )
    found, ended, deadline = [], set[int](), time.monotonic() + 60
    while len(ended) < settings.kafka.partitions:
        assert time.monotonic() < deadline, "the topic could not be read to its end"
        message = consumer.poll(0.5)
        if message is None:
            continue
        if (error := message.error()) is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            ended.add(message.partition())
        else:
            found.append(decode(RawMessage, message.value()))
    consumer.close()
    return found


class Proxy:
    """A TCP proxy that can be cut: connections end, and new ones are refused, until it is mended."""

    def __init__(self, host: str, port: int) -> None:
        self.port = unused_port()
        self._to = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._to)
            self._writers.add(there_writer)
            await asyncio.gather(self._copy(reader, there_writer), self._copy(there_reader, writer))
        except OSError:
            writer.transport.abort()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.transport.abort()
        self._writers.discard(target)


@asynccontextmanager
async def proxied(host: str, port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(host, port)
    await proxy.mend()
    try:
        yield proxy
    finally:
        await proxy.cut()
