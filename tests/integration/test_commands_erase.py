"""Erasing messages: what is deleted, what stays, and that a second run completes the first one."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from connectors.console.pages.refs import page_refs
from schemas.keys import TenantId
from schemas.providers import PROVIDERS, ProviderTraits
from schemas.records import Attachment, EnrichedMessage
from schemas.topics import Names
from storage.kafka.client import plain_producer_config, reader_config
from storage.postgres.erased import key_digest
from storage.postgres.vault import Vault
from streams.repair import tombstones as writing
from streams.repair.erasure import choose_contact
from streams.settings import to_environment
from tests.integration.commands import Commands, store
from tests.integration.console import CONVERSATION, key_of, row
from tests.integration.databases import Connection
from tests.integration.test_commands_sweep import left, put
from tests.topics import make_topics

CAT, DOG = "ca" * 32, "d0" * 32
BESIDE = "15550109999~15550100002"
TABLES = (
    "chat_messages",
    "arrival_records",
    "inbound_messages",
    "message_steps",
    "media_objects",
    "conversation_aliases",
    "quarantined_messages",
    "ai_results",
)


def picture(commands: Commands, name: str, sha256: str) -> Attachment:
    key = f"{commands.names.object_prefix}media/{name}"
    return Attachment(
        index=0, type="image", status="described", object_key=key, url=f"/media/{name}",
        sha256=sha256, mime_type="image/jpeg", bytes=5, description="a cat",
    )  # fmt: skip


async def model_answers(connection: Connection) -> None:
    for tenant, sha256 in (("acme", CAT), ("acme", DOG), ("other", CAT)):
        await connection.execute(
            "INSERT INTO ai_results (tenant_id, sha256, recipe, kind, text, refused, model, prompt_version, "
            "input_tokens, output_tokens, latency_ms) VALUES ($1, $2, 'r', 'describe', 'a cat', false, 'm', '1', 0, 0, 0)",
            tenant,
            sha256,
        )


async def quarantined(connection: Connection) -> None:
    for offset, (tenant, key) in enumerate(
        (("acme", key_of("1")), ("other", key_of("1", "other")))
    ):
        await connection.execute(
            'INSERT INTO quarantined_messages (tenant_id, stage, reason, detail, record_key, topic, partition, "offset", '
            "created_at, program_version, value) VALUES ($1, 'describe', 'stage_error', '', $2, 'vision', 0, $3, now(), '0', 'secret')",
            tenant,
            key,
            offset,
        )


async def arrived(connection: Connection) -> None:
    """Stores an arrival of each message, and one of an earlier program with its step."""
    await connection.execute(
        'INSERT INTO arrival_records (tenant_id, provider, provider_message_id, topic, partition, "offset", received_at, outcome, reason, deliveries) '
        "SELECT tenant_id, provider, split_part(message_key, ':', 3), 'raw-messages', 0, 0, received_at, 'forwarded', '', 1 FROM chat_messages"
    )
    await connection.execute(
        'INSERT INTO inbound_messages (tenant_id, provider, provider_message_id, message_key, topic, partition, "offset", received_at) '
        "SELECT tenant_id, provider, split_part(message_key, ':', 3), message_key, 'raw-messages', 0, 0, received_at FROM chat_messages "
        "WHERE message_key = $1",
        key_of("2"),
    )
    await connection.execute(
        'INSERT INTO message_steps (tenant_id, message_key, stage, topic, partition, "offset", outcome, at) '
        "SELECT tenant_id, message_key, 'dedupe', 'raw-messages', 0, 0, 'forwarded', received_at FROM inbound_messages"
    )


@pytest.fixture
def filled(commands: Commands) -> Commands:
    """Stores messages of two tenants with the same keys.

    acme has three messages of one customer, two of them with a picture, and one of
    another customer.
    """
    for tenant in ("acme", "other"):
        commands.json("tenants", "add", tenant)
    put(commands, "acme/1.jpg", "acme/2.jpg", "acme/3.jpg", "other/1.jpg")
    store(commands, *messages(commands))
    commands.database(model_answers)
    commands.database(quarantined)
    commands.database(arrived)
    return commands


def messages(commands: Commands) -> list[EnrichedMessage]:
    return [
        row("1", picture(commands, "acme/1.jpg", CAT), sender_id="+15550100001"),
        row("2", picture(commands, "acme/2.jpg", DOG), sender_id="+15550100001"),
        row("answer", direction="outbound", role="agent", sender_id="+15550109999"),
        row("3", picture(commands, "acme/3.jpg", CAT), conversation_id=BESIDE, sender_id="+15550100002"),
        row("1", picture(commands, "other/1.jpg", CAT), tenant="other", sender_id="+15550100001"),
    ]  # fmt: skip


def kept(commands: Commands, tenant: str) -> dict[str, int]:
    async def counted(connection: Connection) -> dict[str, int]:
        return {
            table: await connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE tenant_id = $1", tenant
            )
            for table in TABLES
        }

    return {table: count for table, count in commands.database(counted).items() if count}


def keys(commands: Commands, tenant: str) -> list[str]:
    async def found(connection: Connection) -> list[str]:
        rows = await connection.fetch(
            "SELECT message_key FROM chat_messages WHERE tenant_id = $1 ORDER BY 1", tenant
        )
        return [one["message_key"] for one in rows]

    return commands.database(found)


def tombstones(commands: Commands, names: Names | None = None, partitions: int = 0) -> list[str]:
    settings = commands.settings.kafka
    partitions = partitions or settings.partitions
    consumer = Consumer(reader_config(settings, "erase-test") | {"enable.partition.eof": True})
    topic = (names or commands.names).topic("enriched-messages")
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    found, ended = [], 0
    while ended < partitions:
        message = consumer.poll(10)
        assert message is not None
        if message.error() is not None:
            ended += 1
        elif message.value() is None:
            found.append((message.key() or b"").decode())
    consumer.close()
    return sorted(found)


def test_a_message_is_buried_in_every_set_of_topics_of_the_pipeline(filled: Commands) -> None:
    further = Names(f"{filled.settings.namespace}.2")
    make_topics(msgspec.structs.replace(filled.settings.kafka, partitions=3), further)
    done = filled.json("erase", "message", key_of("2"), "--yes")["erased"]
    assert (done["messages"], done["tombstones"]) == (1, 2)
    assert tombstones(filled) == tombstones(filled, further, 3) == [key_of("2")]
    filled.json("tenants", "remove", "acme", "--yes")
    assert tombstones(filled, further, 3) == [key_of(one) for one in ("1", "2", "3", "answer")]


def test_without_yes_it_says_what_would_go_and_changes_nothing(filled: Commands) -> None:
    before = kept(filled, "acme")
    told = filled.json("erase", "message", key_of("1"))
    assert told["dry_run"] is True and told["tenant_id"] == "acme"
    assert {name: count for name, count in told["erased"].items() if count} == {
        "messages": 1, "conversations": 1, "files": 1, "file_bytes": 5, "shared_answers": 1,
        "quarantined": 1, "arrivals": 1,
    }  # fmt: skip
    assert {"topic": "raw-messages", "days": 7} in told["expires"]
    assert "with --yes" in filled.run("erase", "message", key_of("1")).stdout
    assert kept(filled, "acme") == before and tombstones(filled) == []


def test_a_message_goes_with_all_that_belongs_to_it_and_nothing_else(filled: Commands) -> None:
    beside = kept(filled, "other")
    done = filled.json("erase", "message", key_of("2"), "--yes")["erased"]
    rows = ("messages", "files", "model_answers", "tombstones", "arrivals", "steps")
    assert [done[name] for name in rows] == [1, 1, 1, 1, 2, 1]
    assert "inbound_messages" not in kept(filled, "acme")
    assert keys(filled, "acme") == [key_of("1"), key_of("3"), key_of("answer")]
    assert left(filled) == ["acme/1.jpg", "acme/3.jpg", "other/1.jpg"]
    assert tombstones(filled) == [key_of("2")]
    done = filled.json("erase", "message", key_of("1"), "--yes")["erased"]
    assert (done["quarantined"], done["model_answers"], done["shared_answers"]) == (1, 0, 1)
    assert kept(filled, "acme")["ai_results"] == 1  # message 3 shows the same picture
    filled.json("erase", "message", key_of("3"), "--yes")
    assert "ai_results" not in kept(filled, "acme")
    assert kept(filled, "other") == beside


def test_the_audit_log_keeps_who_looked_and_no_name_of_what_is_gone(filled: Commands) -> None:
    refs = page_refs(Vault(filled.settings.secrets.key))
    gone_ref, left_ref = (refs.of(TenantId("acme"), "c", one) for one in (CONVERSATION, BESIDE))
    looks = [
        ("acme", "media_seen", f"{key_of('1')} file 0"),
        ("acme", "record_seen", f"{key_of('1')} raw-messages[0]@5"),
        ("acme", "conversation_unmasked", f"{CONVERSATION}: Ana asked"),
        ("acme", "context_seen", gone_ref),
        ("acme", "media_seen", f"{key_of('3')} file 0"),
        ("acme", "record_seen", f"{key_of('3')} versions"),
        ("acme", "conversation_unmasked", f"{BESIDE}: Ben asked"),
        ("acme", "context_seen", left_ref),
        ("acme", "key_added", CONVERSATION),
        ("other", "media_seen", f"{key_of('1')} file 0"),
    ]

    async def noted(connection: Connection) -> None:
        for look in looks:
            await connection.execute(
                "INSERT INTO audit_log (tenant_id, action, detail, actor) VALUES ($1, $2, $3, 'eve')",
                *look,
            )

    async def told(connection: Connection) -> list[tuple[str, str, str]]:
        rows = await connection.fetch(
            "SELECT tenant_id, action, detail FROM audit_log WHERE actor = 'eve' ORDER BY id"
        )
        return [tuple(row) for row in rows]

    filled.database(noted)
    filled.json("erase", "message", key_of("1"), "--yes")
    gone = [("acme", action, "erased") for _, action, _ in looks[:4]]
    assert filled.database(told) == [*gone[:2], *looks[2:]]  # other messages are left of it
    filled.json("erase", "conversation", "acme", CONVERSATION, "--yes")
    assert filled.database(told) == [*gone, *looks[4:]]
    filled.json("tenants", "remove", "acme", "--yes")
    gone += [("acme", action, "erased") for _, action, _ in looks[4:8]]
    assert filled.database(told) == [*gone, *looks[8:]]


def test_a_conversation_goes_with_the_other_names_it_has(filled: Commands) -> None:
    alias = "15550109999~US.1"
    store(
        filled,
        row("4", conversation_id=alias, aliases=(CONVERSATION,), sender_id="US.1"),
        row("5", kind="note", direction="outbound"),
    )
    assert kept(filled, "acme")["conversation_aliases"] == 1
    done = filled.json("erase", "conversation", "acme", CONVERSATION, "--yes")["erased"]
    assert (done["messages"], done["aliases"]) == (5, 1)
    assert keys(filled, "acme") == [key_of("3")]
    assert left(filled) == ["acme/3.jpg", "other/1.jpg"]
    assert (
        filled.json("erase", "conversation", "acme", CONVERSATION, "--yes")["erased"]["messages"]
        == 0
    )
    assert (
        "nothing of it is stored"
        in filled.run("erase", "conversation", "acme", CONVERSATION).stdout
    )


@pytest.mark.parametrize("contact", ["+15550100001", "15550100001"])
def test_a_contact_goes_with_the_answers_it_was_given(filled: Commands, contact: str) -> None:
    store(
        filled,
        row("g1", conversation_id="group~1", sender_id="+15550100001"),
        row("g2", conversation_id="group~1", sender_id="+15550100002"),
    )
    done = filled.json("erase", "contact", "acme", contact, "--yes")
    assert done["shared_conversations"] == ["group~1"]
    assert keys(filled, "acme") == [key_of("3"), key_of("g2")]
    assert done["erased"]["messages"] == 4
    assert kept(filled, "other")["chat_messages"] == 1


def test_a_contact_of_another_provider_is_known_by_its_id(filled: Commands) -> None:
    chatwoot = {"provider": "chatwoot", "conversation_id": "7~41"}
    store(
        filled,
        row("c1", sender_id="9101", **chatwoot),
        row("c2", sender_id="12", direction="outbound", role="agent", **chatwoot),
        row("c3", sender_id="9101", provider="chatwoot", conversation_id="7~42"),
        row("c4", sender_id="9102", provider="chatwoot", conversation_id="7~42"),
    )
    # An agent's id is no contact's, and the number of a conversation neither.
    for nobody in ("12", "41"):
        assert filled.json("erase", "contact", "acme", nobody)["erased"]["messages"] == 0
    done = filled.json("erase", "contact", "acme", "9101", "--yes")
    assert done["shared_conversations"] == ["7~42"] and done["erased"]["messages"] == 3
    assert key_of("c4") in keys(filled, "acme")


@pytest.mark.parametrize("is_customer", [True, False])
def test_the_traits_of_a_provider_decide_whose_its_conversations_are(
    filled: Commands, monkeypatch: pytest.MonkeyPatch, is_customer: bool
) -> None:
    telegraph = ProviderTraits("telegraph", "Telegraph", conversation_is_customer=is_customer)
    monkeypatch.setitem(PROVIDERS, "telegraph", telegraph)
    store(
        filled,
        row(
            "t1", provider="telegraph", conversation_id="7~Ana", direction="outbound", role="agent"
        ),
    )

    async def of_contact(connection: Connection) -> tuple[str, ...]:
        return (await choose_contact(connection, TenantId("acme"), "Ana")).conversations

    assert filled.database(of_contact) == (("7~Ana",) if is_customer else ())


def test_a_key_without_a_row_is_remembered_and_a_second_time_is_told(filled: Commands) -> None:
    key = key_of("on-its-way")
    assert "nothing of it is stored" in filled.run("erase", "message", key).stdout
    assert filled.json("erase", "message", key, "--yes")["erased"]["messages"] == 0
    assert f"{key}: was erased on 20" in filled.run("erase", "message", key).stdout

    async def digests(connection: Connection) -> list[bytes]:
        rows = await connection.fetch("SELECT key_digest FROM erased_messages")
        return [one["key_digest"] for one in rows]

    assert filled.database(digests) == [key_digest(key)]


def test_what_is_not_a_key_of_one_known_tenant_is_refused(filled: Commands) -> None:
    assert "is not a message key" in filled.fails("erase", "message", "m5")
    assert "several tenants" in filled.fails("erase", "message", "acme:x:1", "other:x:1")
    assert "there is no tenant 'nobody'" in filled.fails("erase", "message", "nobody:x:1")
    assert "there is no tenant 'nobody'" in filled.fails("erase", "contact", "nobody", "1")


@pytest.mark.parametrize("place", ["erase_remembered", "erase_files_gone", "erase_buried"])
def test_a_run_that_is_killed_is_completed_by_the_next_one(filled: Commands, place: str) -> None:
    words = ["erase", "conversation", "acme", CONVERSATION, "--yes", "--json"]
    environment = (
        os.environ | to_environment(filled.settings) | {"SENSORIUM_FAILPOINT": f"{place}:1"}
    )
    killed = subprocess.run(
        [sys.executable, "-m", "streams.commands.main", *words],
        env=environment,
        capture_output=True,
        timeout=120,
    )
    assert killed.returncode == -9
    assert len(keys(filled, "acme")) == 4  # by the rows the next run finds the rest
    filled.json(*words[:-1])
    assert keys(filled, "acme") == [key_of("3")]
    assert left(filled) == ["acme/3.jpg", "other/1.jpg"]
    assert set(tombstones(filled)) == {key_of(one) for one in ("1", "2", "answer")}


def test_a_replay_leaves_out_what_was_erased(filled: Commands) -> None:
    producer = Producer(plain_producer_config(filled.settings.kafka))
    for key, tenant in (
        (key_of("1"), "acme"),
        (key_of("2"), "acme"),
        (key_of("1", "other"), "other"),
    ):
        headers = [("tenant", tenant.encode())]
        producer.produce(filled.names.topic("raw-messages"), b"{}", key.encode(), headers=headers)  # type: ignore[arg-type]
    assert producer.flush(30) == 0
    dry: Any = filled.json("replay", "raw", "--since", "2026-01-01", "--dry-run")
    assert dry["records"] == 3
    filled.json("erase", "message", key_of("1"), "--yes")
    assert filled.json("replay", "raw", "--since", "2026-01-01", "--dry-run")["records"] == 2
    assert filled.json("replay", "raw", "--since", "2026-01-01")["records"] == 2


def test_an_erasure_is_in_the_log_without_a_name(filled: Commands) -> None:
    filled.json("erase", "contact", "acme", "+15550100001", "--yes")

    async def last(connection: Connection) -> Any:
        return await connection.fetchrow("SELECT * FROM audit_log ORDER BY id DESC LIMIT 1")

    entry = filled.database(last)
    assert entry["action"] == "messages_erased" and "15550100001" not in entry["detail"]
    assert entry["at"] <= datetime.now(UTC) and "3 messages, 2 files" in entry["detail"]


def test_nothing_is_erased_while_kafka_does_not_take_the_tombstones(
    filled: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "ACKNOWLEDGED_SECONDS", 0.5)
    filled.more["SENSORIUM_KAFKA__BOOTSTRAP_SERVERS"] = "127.0.0.1:1"
    assert "is not completely erased yet" in filled.fails("erase", "message", key_of("2"), "--yes")
    assert key_of("2") in keys(filled, "acme")
    filled.more.clear()
    assert filled.json("erase", "message", key_of("2"), "--yes")["erased"]["messages"] == 1
    assert tombstones(filled) == [key_of("2")]
