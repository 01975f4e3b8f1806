"""The sink on a loaded topic: it takes several batches at once and writes them one by one."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from connectors.postgres import sink as connector
from connectors.postgres import sink_consumer, staging
from connectors.postgres.decoding import SINK_TOPICS
from connectors.postgres.positions import Positions
from connectors.postgres.sink import Sink
from connectors.postgres.writer import Position, Work, Writer, Written
from schemas.codec import encode
from schemas.keys import MessageKey
from schemas.outcomes import Unavailable
from schemas.pipeline import Stage
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import plain_producer_config, reader_config
from streams.lanes.breaker import Breaker
from streams.lanes.gate import Gate
from tests.integration.databases import Connection, pooled, schema
from tests.integration.waiting import until
from tests.topics import make_topics
from tests.unit.records import message

KEYS, VERSIONS, BATCH = 7, 20, 10
RECORDS = KEYS * VERSIONS


@pytest.fixture
async def loaded(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Settings, Connection]]:
    """One partition of enriched-messages with the versions of each message in order.

    Batches are much smaller than usual.
    """
    settings = msgspec.structs.replace(stack, namespace=namespace)
    names = Names(namespace)
    await asyncio.to_thread(make_topics, settings.kafka, names)
    producer = Producer(plain_producer_config(settings.kafka))
    for version in range(1, VERSIONS + 1):
        for number in range(KEYS):
            one = message(
                message_key=MessageKey(f"acme:ycloud:{number}"),
                provider_message_id=str(number),
                version=version,
            )
            producer.produce(
                names.topic("enriched-messages"), encode(one), one.message_key.encode(), 0
            )
    assert await asyncio.to_thread(producer.flush, 30) == 0
    monkeypatch.setattr(connector, "BATCH_RECORDS", BATCH)
    async with schema(settings.postgres, names) as database:
        yield settings, database


async def positions(database: Connection) -> int:
    return int(
        await database.fetchval(
            "SELECT coalesce(sum(greatest(next_offset, 0)), 0) FROM sink_offsets"
        )
    )


async def versions(database: Connection) -> list[int]:
    return [row["version"] for row in await database.fetch("SELECT version FROM chat_messages")]


@asynccontextmanager
async def at_work(settings: Settings) -> AsyncIterator[Sink]:
    """Runs the sink until the end of the block. It must end soon after that."""
    async with pooled(settings.postgres, Names(settings.namespace)) as pool:
        sink = Sink(settings, pool)
        running = asyncio.create_task(sink.run())
        yield sink
        sink.stop()
        async with asyncio.timeout(60):
            await running


async def test_every_batch_is_written_and_the_last_version_is_the_row(
    loaded: tuple[Settings, Connection],
) -> None:
    settings, database = loaded

    async def whole() -> bool:
        return await positions(database) == RECORDS

    async with at_work(settings):
        await until(whole, 60)
    assert await versions(database) == [VERSIONS] * KEYS


async def test_the_next_batch_is_decoded_while_postgres_merges_and_not_before(
    loaded: tuple[Settings, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, database = loaded
    decode, copy, seen = connector.decode_batch, staging._copy, list[str]()
    take, taken = Sink._take, list[Message]()

    def take_all_at_once(sink: Sink) -> list[Message]:
        already = len(taken)
        while len(taken) < RECORDS and not sink._stopping:
            taken.extend(take(sink))
        return taken[already:] or take(sink)

    def decoding(*arguments: Any) -> Any:
        seen.append("decoded")
        return decode(*arguments)

    async def copying(*arguments: Any) -> None:
        await copy(*arguments)
        seen.append("copied")

    monkeypatch.setattr(connector, "decode_batch", decoding)
    monkeypatch.setattr(staging, "_copy", copying)
    monkeypatch.setattr(Sink, "_take", take_all_at_once)
    monkeypatch.setattr(connector, "BATCH_RECORDS", RECORDS // 2)
    await database.execute(
        """
        CREATE FUNCTION slow_merge() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_advisory_xact_lock_shared(hashtext(current_schema())); RETURN NULL; END';
        CREATE TRIGGER slow_merge BEFORE INSERT ON chat_messages EXECUTE FUNCTION slow_merge();
        SELECT pg_advisory_lock(hashtext(current_schema()));
        """
    )
    async with at_work(settings):
        await until(lambda: seen == ["decoded", "copied", "decoded"])
        assert await positions(database) == 0
        await database.execute("SELECT pg_advisory_unlock(hashtext(current_schema()))")
        await until(lambda: seen == ["decoded", "copied", "decoded", "copied"])


async def test_a_sink_that_is_told_to_stop_leaves_the_other_batches_to_the_next(
    loaded: tuple[Settings, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, database = loaded
    write = Writer.write

    async def write_and_stop(self: Writer, work: Work, positions: Sequence[Position]) -> Written:
        sink.stop()
        return await write(self, work, positions)

    monkeypatch.setattr(Writer, "write", write_and_stop)
    lives = 0
    while await positions(database) < RECORDS:
        before = await positions(database)
        async with pooled(settings.postgres, Names(settings.namespace)) as pool:
            sink = Sink(settings, pool)
            async with asyncio.timeout(60):
                await sink.run()
        assert 0 < await positions(database) - before <= connector.BATCH_RECORDS
        lives += 1
        if lives == 3:
            monkeypatch.setattr(connector, "BATCH_RECORDS", RECORDS)
    assert lives >= 4
    assert await versions(database) == [VERSIONS] * KEYS


class Ajar:
    """A proxy before Postgres that passes what is written once it is `open`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = False
        self.refused: set[Writer] = set()
        write = Writer.write

        async def when_open(writer: Writer, work: Work, positions: Sequence[Position]) -> Written:
            if not self.open:
                self.refused.add(writer)
                raise Unavailable("postgres", 0.0)
            return await write(writer, work, positions)

        monkeypatch.setattr(Writer, "write", when_open)


def produce(settings: Settings, begin: int, end: int) -> None:
    """Produces one message each, over all partitions in turn."""
    producer = Producer(plain_producer_config(settings.kafka))
    for number in range(begin, end):
        one = message(
            message_key=MessageKey(f"acme:ycloud:n{number}"),
            provider_message_id=f"n{number}",
            version=1,
        )
        topic = Names(settings.namespace).topic("enriched-messages")
        producer.produce(
            topic, encode(one), one.message_key.encode(), number % settings.kafka.partitions
        )
    assert producer.flush(30) == 0


async def test_partitions_that_come_and_go_while_postgres_is_away_lose_nothing_and_make_progress(
    loaded: tuple[Settings, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, database = loaded
    postgres = Ajar(monkeypatch)

    async def owned(sink: Sink, count: int) -> None:
        async def there() -> bool:
            return len(sink._positions.owned) == count

        await until(there, 60)

    async def rows(count: int) -> None:
        async def there() -> bool:
            return (
                await database.fetchval(
                    "SELECT count(*) FROM chat_messages WHERE message_key LIKE 'acme:ycloud:n%'"
                )
                == count
            )

        await until(there, 60)

    everything = settings.kafka.partitions * len(SINK_TOPICS)
    async with pooled(settings.postgres, Names(settings.namespace)) as pool:
        first, second = Sink(settings, pool), Sink(settings, pool)
        runs = [asyncio.create_task(first.run())]
        await owned(first, everything)
        await asyncio.to_thread(produce, settings, 0, 40)
        runs.append(asyncio.create_task(second.run()))

        async def both_wait() -> bool:
            return len(postgres.refused) == 2

        await until(both_wait, 60)
        second.stop()
        await runs[1]
        await owned(first, everything)  # while it waits: it was given the other one's partitions
        await asyncio.to_thread(produce, settings, 40, 80)
        postgres.open = True
        await rows(80)
        await asyncio.to_thread(
            produce, settings, 80, 120
        )  # all partitions are read, also those that went and came back
        await rows(120)
        first.stop()
        await runs[0]


async def test_a_sink_is_told_to_stop_while_postgres_is_away(
    loaded: tuple[Settings, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, database = loaded
    postgres = Ajar(monkeypatch)
    async with at_work(settings):
        await until(lambda: bool(postgres.refused), 60)
    assert await positions(database) == 0


async def test_what_is_set_aside_keeps_its_headers(loaded: tuple[Settings, Connection]) -> None:
    settings, database = loaded
    producer = Producer(plain_producer_config(settings.kafka))
    headers: list[tuple[str, str | bytes | None]] = [
        ("tenant", b"acme"),
        ("generation", b"7"),
        ("empty", None),
    ]
    producer.produce(
        Names(settings.namespace).topic("enriched-messages"),
        b"no avro",
        b"acme:ycloud:1",
        1,
        headers=headers,
    )
    assert await asyncio.to_thread(producer.flush, 30) == 0

    async def stored() -> str | None:
        found: str | None = await database.fetchval(
            "SELECT headers FROM quarantined_messages WHERE stage = 'sink'"
        )
        return found

    async def there() -> bool:
        return await stored() is not None

    async with at_work(settings):
        await until(there, 60)
    assert json.loads(await stored() or "") == {"tenant": "acme", "generation": "7", "empty": ""}
    (record,) = await asyncio.to_thread(quarantined_by_the_sink, settings)
    assert dict(record.headers() or []) == {
        "tenant": b"acme",
        "provider": b"unknown",
        "traceparent": b"",
        "generation": b"7",
    }


def quarantined_by_the_sink(settings: Settings) -> list[Message]:
    consumer = Consumer(reader_config(settings.kafka, "test-headers"))
    topic = Names(settings.namespace).topic("quarantine")
    consumer.assign([TopicPartition(topic, n, 0) for n in range(settings.kafka.partitions)])
    found = consumer.consume(1, 20)
    consumer.close()
    return found


async def test_a_sink_is_told_to_stop_while_it_cannot_take_partitions_over(
    loaded: tuple[Settings, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = loaded
    tries: list[None] = []

    async def away(self: Positions) -> None:
        tries.append(None)
        raise Unavailable("postgres", 0.0)

    monkeypatch.setattr(Positions, "take", away)
    async with at_work(settings):
        await until(lambda: len(tries) > 1, 60)


async def test_a_sink_whose_place_in_the_group_another_one_took_ends(
    loaded: tuple[Settings, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client reports this by an error that ends it permanently, and returns nothing more.

    A sink that continued would make no progress.
    """
    settings, database = loaded
    settings = msgspec.structs.replace(
        settings, worker=msgspec.structs.replace(settings.worker, name="one")
    )
    names = Names(settings.namespace)
    group = names.group("sink")
    monkeypatch.setattr(sink_consumer, "static_member", lambda group, name: f"{group}-{name}")
    other = Consumer(reader_config(settings.kafka, group) | {"group.instance.id": f"{group}-one"})

    async def whole() -> bool:
        return await positions(database) == RECORDS

    async def ended() -> bool:
        await asyncio.to_thread(other.poll, 0.1)
        return running.done()

    async with pooled(settings.postgres, names) as pool:
        sink = Sink(settings, pool)
        running = asyncio.create_task(sink.run())
        await until(whole, 60)
        other.subscribe([names.topic("receipts")])
        await until(ended, 60)
        with pytest.raises(KafkaException, match="fenced by other consumer"):
            await running
    other.close()


async def test_a_batch_that_takes_too_long_is_read_again_in_smaller_ones(
    loaded: tuple[Settings, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, database = loaded
    write, sizes = Writer.write, list[int]()

    async def slow(writer: Writer, work: Work, positions: Sequence[Position]) -> Written:
        sizes.append(len(work.placed))
        if len(work.placed) > 3:
            raise TimeoutError
        return await write(writer, work, positions)

    monkeypatch.setattr(Writer, "write", slow)

    async def is_whole() -> bool:
        return await positions(database) == RECORDS

    async with at_work(settings):
        await until(is_whole, 60)
    assert await versions(database) == [VERSIONS] * KEYS
    assert max(sizes) > 3


async def test_nothing_is_lost_when_a_commit_is_not_heard_of_and_other_partitions_have_records_by_then(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, names = msgspec.structs.replace(stack, namespace=namespace), Names(namespace)
    await asyncio.to_thread(make_topics, settings.kafka, names)
    producer = Producer(plain_producer_config(settings.kafka))

    def put(partition: int) -> None:
        one = message(message_key=MessageKey(f"acme:ycloud:{partition}"))
        topic = names.topic("enriched-messages")
        producer.produce(topic, encode(one), one.message_key.encode(), partition)
        assert producer.flush(30) == 0

    write, unheard = Writer.write, list[Work]()

    async def commit_unheard(writer: Writer, work: Work, ends: Sequence[Position]) -> Written:
        written = await write(writer, work, ends)
        if work.placed and not unheard:
            unheard.append(work)
            await asyncio.to_thread(put, 0)
            raise TimeoutError
        return written

    monkeypatch.setattr(Writer, "write", commit_unheard)
    await asyncio.to_thread(put, 1)
    async with schema(settings.postgres, names) as database, at_work(settings):

        async def both_are_read() -> bool:
            return unheard != [] and await positions(database) == 2

        await until(both_are_read, 60)
        assert await database.fetchval("SELECT count(*) FROM chat_messages") == 2


class Unresumed:
    """Stops that no person resumes."""

    async def quiet(self, stage: Stage) -> float:
        return 0.0

    async def tenants(self) -> int:
        return 5

    async def stopped(self, stage: Stage, detail: str) -> object:
        return object()

    async def resumed(self, stage: Stage, stop: object, detail: str) -> float | None:
        return None


async def test_a_sink_that_every_tenants_rows_are_refused_by_sets_none_aside_and_says_so(
    loaded: tuple[Settings, Connection],
) -> None:
    """A constraint of a migration is wrong. The topic must not end in quarantine."""
    settings, database = loaded
    producer = Producer(plain_producer_config(settings.kafka))
    for number in range(100):
        tenant = f"t{number % 5}"
        key = f"{tenant}:ycloud:{number}"
        one = message(tenant_id=tenant, message_key=key, provider_message_id=str(number))
        topic = Names(settings.namespace).topic("enriched-messages")
        producer.produce(topic, encode(one), key.encode(), 1)
    assert await asyncio.to_thread(producer.flush, 30) == 0
    await database.execute(
        "ALTER TABLE chat_messages ADD CONSTRAINT wrong CHECK (tenant_id = 'acme')"
    )
    gate = Gate("assemble", Breaker(settings.breaker), Unresumed())
    async with pooled(settings.postgres, Names(settings.namespace)) as pool:
        sink = Sink(settings, pool, gate)
        running = asyncio.create_task(sink.run())
        await until(lambda: gate.is_shut, 60)
        assert not sink.ready
        refused = "SELECT count(*) FROM quarantined_messages"
        assert await database.fetchval(refused) < settings.breaker.consecutive
        await database.execute("ALTER TABLE chat_messages DROP CONSTRAINT wrong")

        async def the_rest() -> bool:
            stored = await database.fetchval("SELECT count(*) FROM chat_messages")
            return bool(stored + await database.fetchval(refused) == KEYS + 100)

        await until(the_rest, 60)
        sink.stop()
        await running
    assert gate._asking is not None
    gate._asking.cancel()
