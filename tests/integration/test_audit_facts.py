"""The audit's reads from Postgres and the store, beside its facts from Kafka."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from schemas.codec import decode, encode
from schemas.receipts import Ledger, Line, Span
from schemas.records import Quarantined, Receipt
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import plain_producer_config
from storage.objects.store import ObjectStore
from storage.postgres import erased
from streams.audit.balance import Audit
from streams.audit.facts import AuditScope, Facts, Gathering
from streams.audit.findings import Finding
from streams.audit.ledger import Seen, StagePartition
from streams.audit.versions import versions
from tests.integration.commands import Commands
from tests.integration.databases import Connection, schema
from tests.integration.test_commands_sweep import put
from tests.topics import make_topics
from tests.unit.records import KEY, TENANT, message

NOW = datetime.now(UTC)
SINCE, LONG_AGO = NOW - timedelta(days=1), NOW - timedelta(days=20)
STORED = "acme/1.jpg"


class Installation:
    """Tables and a bucket, and the audit's findings about them and `facts`."""

    def __init__(self, stack: Settings, names: Names, connection: Connection) -> None:
        self.settings, self.names, self.connection = stack, names, connection
        self.facts = Facts()

    async def put(self, *names: str) -> None:
        objects = ObjectStore(self.settings.objects, threads=1)
        await objects.ensure_bucket()
        for name in names:
            await objects.put_bytes(self.object_key(name), b"x" * 5, "image/jpeg")
        await objects.close()

    def object_key(self, name: str) -> str:
        return f"{self.names.object_prefix}media/{name}"

    async def insert_row(self, at: datetime) -> None:
        await self.connection.execute(
            "INSERT INTO chat_messages (tenant_id, message_key, provider, conversation_id, role, direction, kind, content_attributes, status, version,"
            " occurred_at, received_at, enriched_at) VALUES ('acme', $1, 'ycloud', 'c', 'user', 'inbound', 'text', '{}', 'complete', 1, $2, $2, $2)",
            *(KEY, at),
        )

    async def insert_arrival(self, at: datetime, deliveries: int) -> None:
        await self.connection.execute(
            'INSERT INTO inbound_messages (tenant_id, provider, provider_message_id, message_key, topic, partition, "offset", received_at, deliveries)'
            " VALUES ('acme', 'ycloud', 'wamid.1', $1, 'raw-messages', 3, 1, $2, $3)",
            *(KEY, at, deliveries),
        )

    async def insert_object(self, at: datetime) -> None:
        await self.connection.execute(
            "INSERT INTO media_objects (tenant_id, object_key, message_key, attachment_index, sha256, mime_type, bytes, original_url, stored_at)"
            " VALUES ('acme', $1, $2, 0, 'ab', 'image/jpeg', 5, '', $3)",
            *(self.object_key(STORED), KEY, at),
        )

    async def stands_at(self, topic: str, partition: int, next_offset: int) -> None:
        await self.connection.execute(
            "INSERT INTO sink_offsets (topic, partition, topic_id, next_offset, epoch) VALUES ($1, $2, 'x', $3, 1)",
            *(self.names.topic(topic), partition, next_offset),  # type: ignore[arg-type]
        )

    async def gathered(self, since: datetime = SINCE) -> Facts:
        objects = ObjectStore(self.settings.objects, threads=1)
        await Gathering(self.settings, AuditScope(since, None)).from_stores(
            self.facts, self.connection, objects
        )
        await objects.close()
        return self.facts

    async def findings(self) -> list[Finding]:
        later_ms = int((NOW + timedelta(hours=1)).timestamp() * 1000)
        return Audit(await self.gathered(), AuditScope(SINCE, None), later_ms, 60).report().findings


@pytest.fixture
async def installation(stack: Settings, namespace: str) -> AsyncIterator[Installation]:
    settings = msgspec.structs.replace(stack, namespace=namespace)
    async with schema(settings.postgres, Names(namespace)) as connection:
        made = Installation(settings, Names(namespace), connection)
        await made.put()
        yield made


async def test_a_delivery_after_the_horizon_finds_the_row_of_the_first_one(
    installation: Installation,
) -> None:
    await installation.insert_row(LONG_AGO)
    await installation.stands_at("enriched-messages", 0, 1)
    installation.facts.versions = versions(
        [(0, 0, KEY.encode(), message(version=2, received_at=NOW, enriched_at=NOW))]
    )
    assert await installation.findings() == []
    assert list(installation.facts.rows) == [KEY]
    assert installation.facts.versions.reopened_beside(installation.facts.rows) == {KEY}


async def test_a_row_without_a_record_is_found_by_its_time(installation: Installation) -> None:
    await installation.insert_row(NOW)
    assert [(one.kind, one.message_key) for one in await installation.findings()] == [
        ("unexplained", KEY)
    ]


async def test_a_key_delivered_again_finds_its_count_whenever_it_came_first(
    installation: Installation,
) -> None:
    await installation.insert_arrival(LONG_AGO, deliveries=2)
    raw = [KEY.encode(), b"no key", b"acme:ycloud:\0"]
    installation.facts.sources[StagePartition("dedupe", 3)] = {
        offset: Seen(offset, key, int(NOW.timestamp() * 1000), 0) for offset, key in enumerate(raw)
    }
    assert {
        key: row["deliveries"] for key, row in (await installation.gathered()).arrivals.items()
    } == {KEY: 2}


async def test_a_file_put_again_is_known_whenever_it_was_stored_first(
    installation: Installation,
) -> None:
    await installation.insert_object(LONG_AGO)
    await installation.put(STORED, "acme/orphan.jpg")
    assert [one.what for one in await installation.findings()] == [
        f"{installation.object_key('acme/orphan.jpg')} is in the store and no message has it"
    ]


async def test_a_quarantined_record_finds_its_row_whenever_it_was_made(
    installation: Installation,
) -> None:
    await installation.connection.execute(
        'INSERT INTO quarantined_messages (tenant_id, stage, reason, detail, record_key, topic, partition, "offset", created_at, program_version)'
        " VALUES ('acme', 'dedupe', 'not_json', '', '', 'raw-messages', 3, 7, $1, '')",
        LONG_AGO,
    )
    known, unknown = ("dedupe", "raw-messages", 3, 7), ("dedupe", "raw-messages", 3, 8)
    installation.facts.quarantined |= {known: (0, 0), unknown: (0, 1)}
    assert (await installation.gathered()).quarantine_rows == {known}


async def test_of_older_files_only_those_are_kept_that_a_row_names(
    installation: Installation,
) -> None:
    await installation.insert_object(datetime.now(UTC) + timedelta(hours=1))
    await installation.put(STORED, "acme/old.jpg")
    facts = await installation.gathered(since=datetime.now(UTC) + timedelta(minutes=1))
    assert list(facts.objects) == [installation.object_key(STORED)]


def test_a_key_that_was_accepted_may_hold_spaces(commands: Commands, tmp_path: Path) -> None:
    put(commands)
    accepted = tmp_path / "accepted"
    accepted.write_text("acme:ycloud:two words\n\nacme:ycloud:é\u2028é\n", encoding="utf-8")
    told = commands.json("audit", "--accepted", str(accepted), exit_code=1)
    assert [one["message_key"] for one in told["findings"]] == [
        "acme:ycloud:two words",
        "acme:ycloud:é\u2028é",
    ]


@pytest.mark.parametrize("tenant", [(), ("--tenant", "acme"), ("--parts", "3")])
def test_a_receipt_that_does_not_hold_together_is_a_finding(
    commands: Commands, tenant: tuple[str, ...]
) -> None:
    put(commands)
    commands.json("tenants", "add", "acme")
    (value,) = Ledger("dedupe", "raw-messages", 0).receipts(
        Span(0, 1), [Line(0, KEY.encode(), 1, "forwarded", "", 0)]
    )
    producer = Producer(plain_producer_config(commands.settings.kafka))
    producer.produce(
        commands.names.topic("receipts"),
        encode(msgspec.structs.replace(decode(Receipt, value), keys=())),
        b"dedupe:0",
        0,
    )
    assert producer.flush(30) == 0
    (finding,) = commands.json("audit", *tenant, exit_code=1)["findings"]
    assert (finding["kind"], finding["stage"]) == ("unexplained", "receipts")
    assert "receipts[0]@0: the columns of a receipt do not match" in finding["what"]


@pytest.mark.parametrize("is_refused", [True, False])
def test_a_version_may_be_there_twice_if_the_sink_refused_it(
    commands: Commands, is_refused: bool
) -> None:
    put(commands)
    value = encode(message(received_at=NOW, enriched_at=datetime.now(UTC)))
    refused = Quarantined(
        tenant_id=TENANT,
        stage="sink" if is_refused else "assemble",
        reason="not_storable",
        detail="",
        topic="enriched-messages",
        partition=0,
        offset=0,
        key=KEY.encode(),
        value=value,
        program_version="",
        created_at=NOW,
    )
    producer = Producer(plain_producer_config(commands.settings.kafka))
    for topic, content in (
        ("enriched-messages", value),
        ("quarantine", encode(refused)),
        ("enriched-messages", value),
    ):
        producer.produce(commands.names.topic(topic), content, KEY.encode(), 0)  # type: ignore[arg-type]
    assert producer.flush(30) == 0
    document = commands.json("audit", exit_code=0 if is_refused else 1)
    assert [one["kind"] for one in document["findings"]] == ([] if is_refused else ["twice"])


def test_an_audit_in_parts_finds_what_one_in_a_piece_finds(
    commands: Commands, tmp_path: Path
) -> None:
    names = [f"t{number}" for number in range(6)]
    put(commands, *(f"{name}/orphan.jpg" for name in names))
    for name in names:
        commands.json("tenants", "add", name)
    accepted = tmp_path / "accepted"
    accepted.write_text("".join(f"{name}:ycloud:1\n" for name in names))
    words = ("audit", "--accepted", str(accepted), "--stuck-seconds", "0")

    def told(*more: str) -> dict[str, Any]:
        document: dict[str, Any] = commands.json(*words, *more, exit_code=1)
        found = [(one["kind"], one["tenant"], one["what"]) for one in document["findings"]]
        return {
            "found": sorted(found),
            "totals": document["totals"],
            "checked": document["checked"],
        }

    whole = told()
    assert len(whole["found"]) == 12 and told("--parts", "4") == whole
    assert len(told("--parts", "4", "--from-part", "4")["found"]) < 12


def test_an_audit_names_the_other_sets_of_topics(commands: Commands) -> None:
    put(commands)
    assert commands.json("audit")["other_sets"] == []
    further = Names(f"{commands.settings.namespace}.2")
    make_topics(msgspec.structs.replace(commands.settings.kafka, partitions=3), further)
    assert commands.json("audit")["other_sets"] == [further.namespace]
    told = commands.run("audit").stderr
    assert f"SENSORIUM_NAMESPACE={further.namespace} SENSORIUM_KAFKA__PARTITIONS=3" in told


async def test_the_erased_messages_of_a_part_are_read_in_portions(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erased, "ERASED_AT_ONCE", 3)
    tenants = [f"tenant-{number}" for number in range(4)]
    names = [(tenant, f"{tenant}:ycloud:{n}") for tenant in tenants for n in range(5)]
    async with schema(stack.postgres, Names(namespace)) as connection:
        await erased.remember_erased(connection, names)
        parts = [AuditScope(SINCE, None, part=part, parts=2) for part in range(2)]
        found = [await erased.all_erased(connection, None, one.includes) for one in parts]
        for tenant, key in names:
            assert [one.has(tenant, key.encode()) for one in found] == [
                part.includes(tenant) for part in parts
            ]
        assert len((await erased.all_erased(connection, tenants[1])).digests) == 5
        await connection.execute("ANALYZE erased_messages")
        assert await erased.about_erased(connection) == len(names)
