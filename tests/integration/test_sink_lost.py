"""Positions of the sink from which the log cannot be read.

Such a partition waits for a person, and the others continue.
"""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from connectors.postgres import lost_positions
from connectors.postgres.held_partitions import Partition
from connectors.postgres.lost_positions import Loss, LostPositions, PositionInLog
from connectors.postgres.positions import Positions, ids_of_all_topics
from connectors.postgres.sink import Sink
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import client_config, plain_producer_config
from storage.objects.store import ObjectStore
from storage.postgres.sql import queries
from storage.waiting import Deadline
from streams.audit.balance import Audit
from streams.audit.facts import AuditScope, Gathering
from streams.audit.findings import Finding
from streams.commands.stage_checks import stage_findings
from streams.roles.sink import serve_operations
from tests.integration.databases import Connection, schema
from tests.integration.test_sink_batches import at_work, produce
from tests.integration.waiting import until
from tests.topics import make_topics


class World:
    """Topics, rows and positions. Messages are written to all partitions of `topic` in turn."""

    def __init__(self, settings: Settings, database: Connection) -> None:
        self.settings, self.database = settings, database
        self.names, self.partitions = Names(settings.namespace), settings.kafka.partitions
        self.topic = self.names.topic("enriched-messages")
        self.admin = AdminClient(client_config(settings.kafka))

    async def rows(self) -> list[int]:
        found = await self.database.fetch("SELECT message_key FROM chat_messages")
        return sorted(int(row["message_key"].rpartition(":n")[2]) for row in found)

    async def position(self) -> int:
        at = "SELECT next_offset FROM sink_offsets WHERE topic = $1 AND partition = 0"
        return int(await self.database.fetchval(at, self.topic))

    async def begin_at(self, next_offset: int, name: str = "enriched-messages") -> None:
        ids = await asyncio.to_thread(ids_of_all_topics, self.admin, self.names)
        await self.database.execute(
            "INSERT INTO sink_offsets (topic, partition, topic_id, next_offset, epoch) VALUES ($1, 0, $2, $3, 1)",
            self.names.topic(name),  # type: ignore[arg-type]
            ids[name],
            next_offset,
        )

    async def stored(self, wanted: list[int]) -> None:
        async def there() -> bool:
            return await self.rows() == wanted

        await until(there, 60, f"rows {wanted}")

    def delete_before(self, offset: int) -> None:
        """Deletes the records before an offset.

        Brokers refuse that for a topic that is only compacted, so its policy is changed
        first.
        """
        entry = ConfigEntry(
            "cleanup.policy", "compact,delete", incremental_operation=AlterConfigOpType.SET
        )
        shortened = ConfigResource(ResourceType.TOPIC, self.topic, incremental_configs=[entry])
        self.admin.incremental_alter_configs([shortened])[shortened].result(30)
        place = TopicPartition(self.topic, 0, offset)
        deadline = Deadline(30.0)
        while True:
            try:
                self.admin.delete_records([place])[place].result(30)
                return
            except KafkaException as error:  # the leader has not heard of the new policy yet
                is_early = error.args[0].code() == KafkaError.POLICY_VIOLATION
                if not is_early or deadline.has_passed:
                    raise

    async def audited(self) -> list[Finding]:
        scope = AuditScope(datetime.now(UTC) - timedelta(days=1), None)
        gathering = Gathering(self.settings, scope)
        facts = await asyncio.to_thread(gathering.from_kafka)
        store = ObjectStore(self.settings.objects, threads=1)
        try:
            await gathering.from_stores(facts, self.database, store)
        finally:
            await store.close()
        return Audit(facts, scope, int(time.time() * 1000), 60.0).report().findings

    async def parked(self, sink: Sink) -> None:
        await until(lambda: (self.topic, 0) in sink.parked, 60, "the partition is parked")


@pytest.fixture
async def world(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setattr(lost_positions, "BEYOND_SECONDS", 0.0)
    monkeypatch.setattr(lost_positions, "PARKED_SECONDS", 0.2)
    settings = msgspec.structs.replace(stack, namespace=namespace)
    await asyncio.to_thread(make_topics, settings.kafka, Names(namespace))
    async with schema(settings.postgres, Names(namespace)) as database:
        yield World(settings, database)


@contextmanager
def served(settings: Settings, sink: Sink) -> Iterator[Callable[[str], str]]:
    """Reads pages of the role's operations port, whatever their status."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    worker = msgspec.structs.replace(settings.worker, metrics_host="127.0.0.1", metrics_port=port)
    server = serve_operations(worker, sink)
    assert server is not None
    try:
        yield lambda page: httpx.get(f"http://127.0.0.1:{server.server_port}/{page}").text
    finally:
        server.shutdown()
        server.server_close()


def gauge(count: int) -> str:
    return f'sensorium_stage_partitions_parked{{reason="offset_lost",stage="sink"}} {count}.0'


async def test_a_position_beyond_the_end_parks_its_partition_until_a_person_sets_it(
    world: World,
) -> None:
    count = world.partitions
    await asyncio.to_thread(produce, world.settings, 0, 3 * count)
    await world.begin_at(5)  # two records were lost
    others = [n for n in range(3 * count) if n % count]
    async with at_work(world.settings) as sink:
        await world.stored(others)
        await world.parked(sink)
        with served(world.settings, sink) as read:
            pages = [
                await asyncio.to_thread(read, page) for page in ("metrics", "status", "readyz")
            ]
        assert gauge(1) in pages[0] and f"{world.topic}[0] is parked" in pages[2]
        (shown,) = json.loads(pages[1])["parked"]
        where = (shown["topic"], shown["partition"], shown["reason"])
        assert where == (world.topic, 0, "offset_lost")
        assert "ends at 3, before position 5" in shown["detail"]
        await asyncio.to_thread(produce, world.settings, 3 * count, 7 * count)
        more = [n for n in range(7 * count) if n % count]
        await world.stored(more)
    async with at_work(world.settings) as sink:  # the log has grown past the position
        await world.parked(sink)
        await world.stored(more)
        by_part = {one.part: one for one in await stage_findings(world.settings, 60.0)}
        assert not by_part["sink"].ok
        assert f"{world.topic}[0] (position 5, the log ended at 3)" in by_part["sink"].says
        assert await world.position() == 5 and "ended at 3" in sink.parked[world.topic, 0].detail
        await world.database.execute(
            "UPDATE sink_offsets SET next_offset = lost_end WHERE lost_end < next_offset"
        )
        await world.stored(sorted(more + [n for n in range(3 * count, 7 * count) if not n % count]))
        await until(lambda: not sink.parked)
        with served(world.settings, sink) as read:
            assert gauge(0) in await asyncio.to_thread(read, "metrics")
    noted = await world.database.fetchval("SELECT count(lost_end) FROM sink_offsets")
    assert noted == 0


async def test_records_that_were_deleted_unread_park_their_partition_and_the_others_continue(
    world: World,
) -> None:
    count = world.partitions
    await asyncio.to_thread(produce, world.settings, 0, 3 * count)
    await world.begin_at(1)
    await asyncio.to_thread(world.delete_before, 2)
    others = [n for n in range(3 * count) if n % count]
    async with at_work(world.settings) as sink:
        await world.stored(others)
        await world.parked(sink)
        assert "begins at 2, after position 1" in sink.parked[world.topic, 0].detail
        assert await world.position() == 1
        await world.database.execute(
            "UPDATE sink_offsets SET next_offset = 2 WHERE next_offset = 1 AND topic = $1 AND partition = 0",
            world.topic,
        )
        await world.stored(sorted([*others, 2 * count]))


async def test_a_position_that_the_brokers_refuse_while_the_sink_reads_parks_its_partition(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def any_bounds(
        _: Positions, places: list[Partition], __: AdminClient
    ) -> dict[Partition, tuple[int, int]]:
        return dict.fromkeys(places, (0, 1_000))

    monkeypatch.setattr(Positions, "_bounds", any_bounds)
    count = world.partitions
    await asyncio.to_thread(produce, world.settings, 0, 3 * count)
    await world.begin_at(50)
    async with at_work(world.settings) as sink:
        await world.stored([n for n in range(3 * count) if n % count])
        await world.parked(sink)
        assert "the log changed before position 50" in sink.parked[world.topic, 0].detail
        assert await world.position() == 50
        lost = await world.database.fetch(queries("sink")["lost_positions"], [world.topic])
        assert [(row["partition"], row["lost_end"]) for row in lost] == [(0, 49)]


async def test_a_log_that_has_grown_past_the_position_before_a_sink_looks_is_read_on_from_there(
    world: World,
) -> None:
    count = world.partitions
    await world.begin_at(5)  # the log was cut to 3 and has grown to 8 since
    await asyncio.to_thread(produce, world.settings, 0, 8 * count)
    passed_over = [n * count for n in range(5)]
    async with at_work(world.settings) as sink:
        await world.stored([n for n in range(8 * count) if n not in passed_over])
        assert not sink.parked
    found = await world.audited()
    assert {one.message_key for one in found} == {f"acme:ycloud:n{n}" for n in passed_over}
    assert {(one.kind, one.what) for one in found} == {("lost", "version 1 has no row")}


async def test_what_expired_unread_of_a_topic_that_deletes_by_age_is_passed_over(
    world: World,
) -> None:
    world.topic = world.names.topic("receipts")
    producer = Producer(plain_producer_config(world.settings.kafka))
    for _ in range(5):
        producer.produce(world.topic, b"", b"assemble:0", 0)
    assert await asyncio.to_thread(producer.flush, 30) == 0
    await world.begin_at(1, "receipts")
    await asyncio.to_thread(world.delete_before, 4)

    async def went_on() -> bool:
        return await world.position() == 5

    async with at_work(world.settings) as sink:
        await until(went_on, 60)
        assert not sink.parked


def test_an_end_that_is_too_low_for_a_moment_parks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lost, partition = LostPositions(), ("enriched-messages", 0)
    now = [100.0]
    monkeypatch.setattr(lost_positions.time, "monotonic", lambda: now[0])
    beyond, within = PositionInLog(9, None, 0, 7), PositionInLog(9, None, 0, 9)
    assert lost.is_unsettled(partition, beyond)
    now[0] += lost_positions.BEYOND_SECONDS - 1
    assert lost.is_unsettled(partition, beyond)
    assert not lost.is_unsettled(partition, within), "a log that has grown looks like this too"
    assert lost.loss(partition, within, may_expire=False) is None
    now[0] += 2
    assert lost.is_unsettled(partition, beyond), "it counts from the first of the looks that follow"
    now[0] += lost_positions.BEYOND_SECONDS
    assert not lost.is_unsettled(partition, beyond)
    assert lost.loss(partition, beyond, may_expire=False) == Loss(
        "the log ends at 7, before position 9", 7
    )
