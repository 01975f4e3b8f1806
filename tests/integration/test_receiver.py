import asyncio
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from cryptography.fernet import Fernet

from schemas.settings import Kafka, Secret, SecretSettings, Settings
from schemas.tenants import Endpoint
from schemas.topics import Names
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.local import kafka
from streams.local.probes import answers
from tests.integration.databases import schema
from tests.integration.receivers import (
    Proxy,
    Receiver,
    deliver,
    event,
    path,
    proxied,
    receiving,
    request,
    signed,
    unused_port,
    written,
)
from tests.integration.waiting import until
from tests.topics import make_topics
from tests.unit.speaking import connected

KNOWN_WITHIN_SECONDS = 25.0
"""Shorter than the time after which a role queries changes without a notification."""
LIMIT = 256 * 1024
ACK_SECONDS = 1.0
MARGIN_SECONDS = 2.0
"""The time that a busy machine may need beyond the promised one."""
replace = msgspec.structs.replace


class World:
    """A namespace with topics, tables and tenants, with a proxy before Postgres that can be cut."""

    def __init__(self, settings: Settings, tenancy: Tenancy, proxy: Proxy) -> None:
        self.settings = settings
        self.tenancy = tenancy
        self.proxy = proxy

    async def endpoint(self, tenant: str = "acme", provider: str = "ycloud") -> Endpoint:
        await self.tenancy.add_tenant(tenant)
        return await self.tenancy.add_endpoint(
            tenant, provider, secret=None, unsigned=False, api_key=None
        )

    def written(self) -> set[str]:
        return {record.message_key.split(":", 2)[2] for record in written(self.settings)}


@pytest.fixture
async def world(stack: Settings, namespace: str) -> AsyncIterator[World]:
    key = Fernet.generate_key().decode()
    names, there = Names(namespace), urlsplit(stack.postgres.dsn)
    async with proxied(there.hostname or "", there.port or 5432) as proxy:
        dsn = Secret(stack.postgres.dsn.replace(f":{there.port}/", f":{proxy.port}/"))
        settings = replace(
            stack,
            namespace=namespace,
            postgres=replace(stack.postgres, dsn=dsn),
            secrets=SecretSettings(key=Secret(key)),
        )
        await asyncio.to_thread(make_topics, settings.kafka, names)
        async with schema(stack.postgres, names) as connection:
            yield World(settings, Tenancy(connection, Vault(key)), proxy)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=None)) as opened:
        yield opened


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Future[Broker]"]:
    """A broker that may be stopped. It starts while other tests run."""
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(Broker, tmp_path_factory.mktemp("broker"))
        yield starting
        starting.result().stop()


class Broker:
    def __init__(self, folder: Path) -> None:
        port = unused_port()
        argv = kafka.prepare(folder / "data", port=port, controller_port=unused_port(), say=print)
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.settings = Kafka(
            bootstrap_servers=f"127.0.0.1:{port}",
            partitions=2,
            replication_factor=1,
            min_insync_replicas=1,
        )
        deadline = time.monotonic() + 60
        while not answers(f"kafka://127.0.0.1:{port}"):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


# --- bodies, heads and time


async def test_bodies_up_to_the_limit_reach_the_topic_and_slow_requests_hold_back_nobody(
    world: World, client: httpx.AsyncClient, tmp_path: Path, broker: "Future[Broker]"
) -> None:
    endpoint = await world.endpoint()
    with receiving(
        world.settings, tmp_path, max_body_bytes=LIMIT, header_seconds=4.0, body_seconds=4.0
    ) as receiver:
        await receiver.wait_ready()
        port = receiver.settings.receiver.port

        exact, over = event("exact", LIMIT), event("over", LIMIT + 1)
        assert await deliver(client, receiver, endpoint, exact) == 200
        assert await deliver(client, receiver, endpoint, over) == 413
        assert await deliver(client, receiver, endpoint, event("after")) == 200

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, LIMIT, 1000):
                yield chunked[start : start + 1000]

        chunked = event("chunked", LIMIT)
        answer = await client.post(
            receiver.url + path(endpoint), content=pieces(), headers=signed(endpoint, chunked)
        )
        assert answer.status_code == 200

        async with connected(port) as pipelining:
            await pipelining.say(
                b"".join(request(endpoint, event(f"piped-{n}", n * 100)) for n in range(20))
            )
            assert [(await pipelining.hear())[0] for _ in range(20)] == [200] * 20

        async with connected(port) as slow_body, connected(port) as slow_head:
            heads = [await asyncio.open_connection("127.0.0.1", port) for _ in range(300)]
            for _, writer in heads:
                writer.write(request(endpoint, b"")[:40])
            await slow_body.say(request(endpoint, event("slow", 1000))[:-1])
            await slow_head.say(b"POST / HTTP/1.1\r\nHost")
            assert await deliver(client, receiver, endpoint, event("quick")) == 200
            for slow in (slow_body, slow_head):
                status, headers, _ = await slow.hear()
                assert (status, headers["content-type"]) == (408, "application/problem+json")
            for reader, writer in heads:
                assert (await asyncio.wait_for(reader.read(), 60)).startswith(b"HTTP/1.1 408 ")
                writer.close()

        found = {
            record.message_key.split(":", 2)[2]: record.body for record in written(world.settings)
        }
        assert found["exact"] == exact
        assert found["chunked"] == chunked
        assert found.keys() == {"exact", "chunked", "after", "quick"} | {
            f"piped-{n}" for n in range(20)
        }
        assert endpoint.token not in receiver.log()


# --- endpoints


async def test_endpoints_are_known_and_secrets_end_within_two_seconds_and_the_copy_serves_without_postgres(
    world: World, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    with receiving(world.settings, tmp_path) as receiver:
        await receiver.wait_ready()
        endpoint = await world.endpoint()

        async def is_answered(status: int, secret: str) -> bool:
            return await deliver(client, receiver, endpoint, event("one"), secret=secret) == status

        old = endpoint.secrets[0]
        assert await until(lambda: is_answered(200, old)) < KNOWN_WITHIN_SECONDS
        _, new = await world.tenancy.rotate(endpoint.token, drop=None)
        assert new is not None
        assert await until(lambda: is_answered(200, new)) < KNOWN_WITHIN_SECONDS
        assert await is_answered(200, old)
        await world.tenancy.rotate(endpoint.token, drop=old)
        assert await until(lambda: is_answered(401, old)) < KNOWN_WITHIN_SECONDS
        assert await is_answered(200, new)

        await world.proxy.cut()
        await until(lambda: "directory_unreachable" in receiver.log(), what="Postgres is missed")
        assert await is_answered(200, new)
        assert await is_answered(401, old)
        assert await receiver.answers("/readyz", 200)
        _, third = await world.tenancy.rotate(endpoint.token, drop=None)
        assert third is not None
        await world.proxy.mend()
        await until(lambda: is_answered(200, third), what="the change made while Postgres was away")
        for secret in (old, new, third, endpoint.token):
            assert secret not in receiver.log()


async def test_until_postgres_was_there_once_nobody_is_refused(
    world: World, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    endpoint = await world.endpoint()
    await world.proxy.cut()
    with receiving(world.settings, tmp_path) as receiver:
        await until(lambda: receiver.answers("/livez", 200), 60)
        assert await receiver.answers("/readyz", 503)
        assert await deliver(client, receiver, endpoint, event("early")) == 503
        assert (
            await deliver(client, receiver, replace(endpoint, token="unknown"), event("early"))
            == 503
        )
        await world.proxy.mend()
        await receiver.wait_ready()
        assert await deliver(client, receiver, endpoint, event("late")) == 200
        assert world.written() == {"late"}


# --- Kafka


async def test_a_frozen_kafka_is_503_in_time_and_not_ready_and_forgotten_when_it_is_back(
    world: World, client: httpx.AsyncClient, tmp_path: Path, broker: "Future[Broker]"
) -> None:
    frozen = await asyncio.wrap_future(broker)
    settings = replace(world.settings, kafka=frozen.settings)
    await asyncio.to_thread(make_topics, settings.kafka, Names(settings.namespace))
    endpoint = await world.endpoint()
    with silent_server() as address:
        nowhere = replace(settings, kafka=replace(settings.kafka, bootstrap_servers=address))
        with (
            receiving(settings, tmp_path, ack_seconds=ACK_SECONDS) as receiver,
            receiving(nowhere, tmp_path, ack_seconds=ACK_SECONDS) as deaf,
        ):
            await receiver.wait_ready()

            async def is_taken(name: str) -> bool:
                return await deliver(client, receiver, endpoint, event(name)) == 200

            await until(lambda: is_taken("before"), 60)
            frozen.process.send_signal(signal.SIGSTOP)
            await all_are_asked_to_come_again(client, receiver, endpoint)
            await until(lambda: receiver.answers("/readyz", 503), 60, "not ready")
            frozen.process.send_signal(signal.SIGCONT)
            await receiver.wait_ready()
            await until(lambda: is_taken("after"), 60)
            assert {"before", "after"} <= {
                record.message_key.split(":", 2)[2] for record in written(settings)
            }

            await until(lambda: deaf.answers("/livez", 200), 60)
            assert await deaf.answers("/readyz", 503)
            await all_are_asked_to_come_again(client, deaf, endpoint)


async def all_are_asked_to_come_again(
    client: httpx.AsyncClient, receiver: Receiver, endpoint: Endpoint
) -> None:
    """Posts fifty deliveries at once, three times.

    Each is answered 503 with Retry-After. The quickest time counts, because a busy
    machine delays some.
    """
    body, took = event("lost"), []
    for _ in range(3):
        began = time.monotonic()
        sent = [
            client.post(receiver.url + path(endpoint), content=body, headers=signed(endpoint, body))
            for _ in range(50)
        ]
        found = await asyncio.gather(*sent)
        took.append(time.monotonic() - began)
        assert {(answer.status_code, answer.headers.get("retry-after")) for answer in found} == {
            (503, "1")
        }
    assert min(took) < ACK_SECONDS + MARGIN_SECONDS


@contextmanager
def silent_server() -> Iterator[str]:
    """A listening socket that never accepts, so that the kernel connects and nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


async def test_concurrent_requests_share_batches_and_a_lone_one_waits_for_nobody(
    world: World, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    endpoint = await world.endpoint()
    many = 400
    with receiving(world.settings, tmp_path) as receiver:
        await receiver.wait_ready()
        lone = []
        for n in range(30):
            began = time.monotonic()
            assert await deliver(client, receiver, endpoint, event(f"lone-{n}")) == 200
            lone.append(time.monotonic() - began)

        async def some(worker: int) -> None:
            async with connected(receiver.settings.receiver.port) as connection:
                for n in range(many // 40):
                    await connection.say(request(endpoint, event(f"many-{worker}-{n}")))
                    assert (await connection.hear())[0] == 200

        began = time.monotonic()
        await asyncio.gather(*(some(worker) for worker in range(40)))
        together = time.monotonic() - began
    assert together < many * statistics.median(lone) / 2
    assert len(world.written()) == 30 + many


# --- memory


async def test_many_large_bodies_are_held_within_the_budget_and_refused_beyond(
    world: World, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    size, budget, flood = 1024 * 1024, 16 * 1024 * 1024, 60
    endpoints = [await world.endpoint(tenant) for tenant in ("acme", "other")]
    with receiving(
        world.settings, tmp_path, max_pending_bytes=budget, body_seconds=60.0
    ) as receiver:
        await receiver.wait_ready()
        port = receiver.settings.receiver.port
        before = receiver.resident_bytes()

        async def one(n: int) -> int:
            """Sends all but the last byte, and that one only when all others have done the same."""
            whole = request(endpoints[n % 2], event(f"flood-{n}", size))
            async with connected(port) as connection:
                await connection.say(whole[:-1])
                hearing = asyncio.create_task(connection.hear())
                await asyncio.wait(
                    {hearing, asyncio.create_task(full.wait())}, return_when=asyncio.FIRST_COMPLETED
                )
                if not hearing.done():
                    await connection.say(whole[-1:])
                return (await hearing)[0]

        full = asyncio.Event()
        flooding = [asyncio.create_task(one(n)) for n in range(flood)]
        await until(
            lambda: sum(task.done() for task in flooding) >= flood - budget // size, 60, "refusals"
        )
        held = receiver.resident_bytes() - before
        strangers = replace(endpoints[0], token="unknown")
        assert await deliver(client, receiver, strangers, event("stranger", size)) == 401
        full.set()
        statuses = await asyncio.gather(*flooding)
        assert set(statuses) == {200, 503}
        assert 1 <= statuses.count(200) <= budget // size
        assert held < 3 * budget
        assert receiver.resident_bytes("VmHWM") - before < 6 * budget
        taken = {f"flood-{n}" for n, status in enumerate(statuses) if status == 200}
        assert world.written() == taken
        for endpoint in endpoints:
            assert await deliver(client, receiver, endpoint, event("after", size)) == 200


# --- the end


class Load:
    """Clients that deliver without pause, on kept and on fresh connections.

    They stop when told to, or when they cannot connect. Like HTTP clients, they repeat
    a request on a fresh connection if a kept one ended before the first byte of the
    answer.
    """

    def __init__(self, port: int, endpoint: Endpoint) -> None:
        self.accepted: set[str] = set()
        self.refused: list[int] = []
        self.broken: list[str] = []
        self.sent_again = 0
        self.turned_away = 0
        self._port, self._endpoint = port, endpoint
        self._ending = asyncio.Event()
        self._clients: list[asyncio.Task[None]] = []

    def start(self, kept: int, fresh: int) -> None:
        self._clients = [
            asyncio.create_task(self._deliver(f"k{n}", keep=True)) for n in range(kept)
        ]
        self._clients += [
            asyncio.create_task(self._deliver(f"f{n}", keep=False)) for n in range(fresh)
        ]

    async def stop(self) -> None:
        self._ending.set()
        await asyncio.gather(*self._clients)

    async def _deliver(self, name: str, *, keep: bool) -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        number, used = 0, False
        while not self._ending.is_set():
            if connection is None:
                try:
                    connection, used = (
                        await asyncio.wait_for(
                            asyncio.open_connection("127.0.0.1", self._port), 60
                        ),
                        False,
                    )
                except (ConnectionRefusedError, TimeoutError):
                    self.turned_away += 1
                    return
                except ConnectionError as error:
                    self.broken.append(f"{name}-{number}: {error!r}")
                    continue
            reader, writer = connection
            key = f"{name}-{number}"
            try:
                writer.write(request(self._endpoint, event(key)))
                await writer.drain()
                head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).lower()
                length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                got = error.partial if isinstance(error, asyncio.IncompleteReadError) else b""
                if not used or got:
                    self.broken.append(f"{key}: {error!r}")
                    number += 1
                self.sent_again += 1
                writer.close()
                connection = None
                continue
            status = int(head.split()[1])
            self.accepted.add(key) if status == 200 else self.refused.append(status)
            number, used = number + 1, True
            if not keep or b"connection: close" in head:
                writer.close()
                connection = None
        if connection is not None:
            connection[1].close()


async def test_an_end_in_mid_traffic_loses_nothing_and_refuses_nobody_who_was_let_in(
    world: World, tmp_path: Path
) -> None:
    endpoint = await world.endpoint()
    with receiving(world.settings, tmp_path) as receiver:
        await receiver.wait_ready()
        port = receiver.settings.receiver.port
        load = Load(port, endpoint)
        load.start(kept=10, fresh=10)
        await until(lambda: len(load.accepted) > 300, 60, "traffic")
        async with connected(port) as slow, connected(port) as silent:
            body = request(endpoint, event("slow", 5000))
            await slow.say(body[:-2000])
            receiver.process.send_signal(signal.SIGTERM)
            await until(lambda: receiver.listeners() == 0, 30, "the door closes")
            await slow.say(body[-2000:])
            assert (await slow.hear())[0] == 200
            await silent.say(request(endpoint, event("silent")))
            status, headers, _ = await silent.hear()
            assert (status, headers["connection"]) == (200, "close")
        assert await receiver.wait_ended() == 0, receiver.log()
        await load.stop()
    assert (load.refused, load.broken) == ([], [])
    assert load.turned_away > 0
    assert load.accepted | {"slow", "silent"} <= world.written()


async def test_receivers_at_one_port_are_replaced_one_by_one_and_no_client_notices(
    world: World, tmp_path: Path
) -> None:
    endpoint = await world.endpoint()
    with (
        receiving(world.settings, tmp_path, patient=True) as first,
        receiving(
            world.settings, tmp_path, patient=True, port=first.settings.receiver.port
        ) as second,
    ):
        port = first.settings.receiver.port
        await second.wait_listening(2)  # so both are ready
        load = Load(port, endpoint)
        load.start(kept=10, fresh=10)
        await until(lambda: len(load.accepted) > 200, 60, "traffic")
        first.process.send_signal(signal.SIGTERM)
        assert await first.wait_ended() == 0, first.log()
        with receiving(world.settings, tmp_path, patient=True, port=port) as third:
            await third.wait_listening(2)
            second.process.send_signal(signal.SIGTERM)
            assert await second.wait_ended() == 0, second.log()
            so_far = len(load.accepted)
            await until(lambda: len(load.accepted) > so_far + 200, 60, "traffic through the third")
            await load.stop()
    assert (load.refused, load.broken, load.turned_away) == ([], [], 0)
    assert load.accepted <= world.written()
