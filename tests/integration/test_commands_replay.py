"""The records that replays write to Kafka.

tests/acceptance/test_replay.py tests what the pipeline does with them.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from connectors.providers.catalogue import download_candidates
from connectors.providers.downloads import Authority
from schemas.codec import decode, encode
from schemas.headers import generation_of, header
from schemas.keys import MessageKey, TenantId
from schemas.pipeline import TopicName
from schemas.records import (
    Attachment,
    EnrichedMessage,
    Enrichment,
    MediaJob,
    RawMessage,
    Step,
    VisionJob,
)
from schemas.settings import Providers
from storage.kafka.client import plain_producer_config, reader_config
from storage.postgres.sql import queries
from streams.commands.main import main
from streams.lanes.transactions import Write
from streams.repair import applying
from streams.repair import raw as repair_raw
from streams.repair.raw import OffsetRange, RawReader, RawRecordPosition
from streams.repair.writing import Item, PortionLimits, committed_portions
from streams.settings import to_environment
from tests.integration.commands import Commands
from tests.integration.console import key_of, row
from tests.integration.databases import Connection
from tests.integration.test_commands_and_servers import store
from tests.unit.records import NOW


def produce(
    commands: Commands,
    count: int,
    *,
    partition: int = 0,
    tenant: str = "acme",
    at: datetime | None = None,
    begin: int = 0,
) -> None:
    producer = Producer(plain_producer_config(commands.settings.kafka))
    headers = [
        ("tenant", tenant.encode()),
        ("provider", b"ycloud"),
        ("traceparent", b"t"),
        ("generation", b"0"),
    ]
    for number in range(begin, begin + count):
        stamp = {"timestamp": int(at.timestamp() * 1000)} if at else {}
        producer.produce(
            commands.names.topic("raw-messages"),
            b"%d" % number,
            b"k%d" % number,
            partition,
            headers=headers,
            **stamp,
        )  # type: ignore[arg-type]
    assert producer.flush(30) == 0


def written(commands: Commands, topic: TopicName = "raw-messages") -> list[Any]:
    """All committed records of a topic, by partition and offset."""
    consumer = Consumer(
        reader_config(commands.settings.kafka, "test-replay") | {"enable.partition.eof": True}
    )
    partitions = range(commands.settings.kafka.partitions)
    consumer.assign(
        [TopicPartition(commands.names.topic(topic), partition, 0) for partition in partitions]
    )
    found, ended = [], set[int]()
    while len(ended) < len(partitions):
        for message in consumer.consume(5_000, 0.2):
            error = message.error()
            if error is None:
                found.append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF
                ended.add(message.partition())
    consumer.close()
    return sorted(found, key=lambda message: (message.partition(), message.offset()))


def again(commands: Commands, generation: int | None = None) -> list[bytes]:
    """The values of the copies, of one generation or of all."""
    copies = [(generation_of(message.headers()), message.value()) for message in written(commands)]
    return [value for of, value in copies if of and (generation is None or of == generation)]


# --- portions


def items(commands: Commands, count: int, size: int = 1) -> Iterator[Item[int]]:
    for number in range(count):
        yield Item(
            (Write(commands.names.topic("raw-messages"), b"k", b"%d" % number * size, 0, []),) * 2,
            number,
        )


@pytest.mark.parametrize(
    ("limits", "portions"),
    [
        (PortionLimits(records=4), [(4, 1), (4, 3), (2, 4)]),
        (PortionLimits(records=3), [(4, 1), (4, 3), (2, 4)]),  # an item is seen whole or not at all
        (PortionLimits(bytes=1), [(2, 0), (2, 1), (2, 2), (2, 3), (2, 4)]),
        (PortionLimits(seconds=0.0), [(2, 0), (2, 1), (2, 2), (2, 3), (2, 4)]),
        (PortionLimits(), [(10, 4)]),
    ],
)
def test_items_are_committed_in_portions_of_bounded_size_and_time(
    commands: Commands, limits: PortionLimits, portions: list[tuple[int, int]]
) -> None:
    found = committed_portions(commands.settings.kafka, commands.names, items(commands, 5), limits)
    assert [(portion.records, portion.mark) for portion in found] == portions
    assert len(written(commands)) == 10


def test_nothing_to_write_makes_no_portion(commands: Commands) -> None:
    assert list(committed_portions(commands.settings.kafka, commands.names, iter(()))) == []


def test_what_was_given_is_there_and_what_broke_is_not(commands: Commands) -> None:
    def breaking() -> Iterator[Item[int]]:
        yield from items(commands, 3)
        raise TimeoutError("silent")

    found = committed_portions(
        commands.settings.kafka, commands.names, breaking(), PortionLimits(records=4)
    )
    assert next(found).mark == 1
    with pytest.raises(TimeoutError):
        next(found)
    assert [message.value() for message in written(commands)] == [
        b"0",
        b"0",
        b"1",
        b"1",
    ]  # and no open transaction hides what follows


# --- raw


def test_offsets_are_replayed_both_ends_included_with_a_generation_of_their_own(
    commands: Commands,
) -> None:
    produce(commands, 5)
    produce(commands, 5, partition=1, begin=10)
    done = commands.json("replay", "raw", "--offsets", "0:1-2", "--offsets", "1:4-4")
    assert done == {"generation": done["generation"], "records": 3}
    copies = [message for message in written(commands) if generation_of(message.headers())]
    assert sorted((message.key(), message.value()) for message in copies) == [
        (b"k1", b"1"),
        (b"k14", b"14"),
        (b"k2", b"2"),
    ]
    for message in copies:
        assert (generation_of(message.headers()), header(message.headers(), "tenant"), header(message.headers(), "traceparent")) == (
            done["generation"], b"acme", b"t",
        )  # fmt: skip
    second = commands.json("replay", "raw", "--offsets", "0:0-0")
    assert second["generation"] > done["generation"]


def test_a_time_range_is_replayed_as_it_was_when_it_began(commands: Commands) -> None:
    now = datetime.now(UTC)
    for age, begin in ((3, 0), (2, 10), (1, 20)):
        produce(commands, 2, at=now - timedelta(hours=age), begin=begin)
    since, until = (str((now - timedelta(hours=age)).isoformat()) for age in (2.5, 1.5))
    first = commands.json("replay", "raw", "--since", since, "--until", until)
    assert again(commands, first["generation"]) == [b"10", b"11"]
    second = commands.json("replay", "raw", "--since", since)
    # the copies of the first replay are in the range too: dedupe claims each key once a generation
    assert sorted(again(commands, second["generation"])) == [
        b"10",
        b"10",
        b"11",
        b"11",
        b"20",
        b"21",
    ]
    assert commands.json("replay", "raw", "--since", (now + timedelta(hours=9)).isoformat()) == {
        "generation": None,
        "records": 0,
    }


def test_one_tenants_records_are_replayed_alone(commands: Commands) -> None:
    produce(commands, 3)
    produce(commands, 3, tenant="other", begin=10)
    commands.json("tenants", "add", "other")
    done = commands.json("replay", "raw", "--since", "2020-01-01", "--tenant", "other")
    assert (done["records"], sorted(again(commands))) == (3, [b"10", b"11", b"12"])


def test_a_tenant_or_a_reason_that_there_is_not_is_refused(commands: Commands) -> None:
    for words in (
        ("replay", "raw", "--since", "2020-01-01"),
        ("replay", "attachments", "--reason", "media_gone"),
        ("quarantine", "list"),
        ("quarantine", "replay"),
        ("quarantine", "dismiss"),
        ("audit",),
    ):
        assert "there is no tenant 'nobody'" in commands.fails(*words, "--tenant", "nobody")
    assert "is not one of" in commands.fails("replay", "attachments", "--reason", "nosuch")
    assert "is not one of" in commands.fails("quarantine", "replay", "--reason", "nosuch")


def test_a_dry_run_counts_by_tenant_and_writes_nothing(commands: Commands) -> None:
    produce(commands, 3)
    produce(commands, 2, tenant="other", begin=10)
    since = ("replay", "raw", "--since", "2020-01-01", "--dry-run")
    assert commands.json(*since) == {
        "dry_run": True,
        "generation": None,
        "records": 5,
        "tenants": {"acme": 3, "other": 2},
        "answers": 0,
        "unpriced_answers": 0,
        "cost_microusd": 0,
    }
    commands.json("tenants", "add", "other")
    assert commands.json(*since, "--tenant", "other")["tenants"] == {"other": 2}
    assert again(commands) == []


def test_a_dry_run_says_what_the_answers_about_its_files_have_cost(commands: Commands) -> None:
    produce(commands, 3)
    files = [("acme", "k1", "one"), ("acme", "k1", "two"), ("acme", "k9", "nine"), ("x", "k1", "x")]
    answers = [("acme", "one", 3_000), ("acme", "two", None), ("acme", "nine", 9), ("x", "x", 5)]

    async def recorded(connection: Connection) -> None:
        await connection.executemany(
            "INSERT INTO media_objects VALUES ($1, $2 || $3, $2, 0, $3, 'image/png', 1, '', now())",
            files,
        )
        await connection.executemany(
            "INSERT INTO ai_results VALUES ($1, $2, 'r', 'describe', 'x', false, 'm', 'v', 1, 1, $3, 1)",
            answers,
        )

    commands.database(recorded)
    words = ("replay", "raw", "--since", "2020-01-01", "--dry-run")
    plan = commands.json(*words)
    assert (plan["answers"], plan["unpriced_answers"], plan["cost_microusd"]) == (2, 1, 3_000)
    text = commands.run(*words).stdout
    assert "0.003000 USD and 1 without a known price" in text


def test_what_the_log_does_not_hold_is_told(commands: Commands) -> None:
    produce(commands, 3)
    result = commands.run("replay", "raw", "--offsets", "0:1-99", "--offsets", "2:0-5", "--json")
    assert json.loads(result.stdout)["records"] == 2
    assert (
        "of 0:1-99 the topic has 0:1-2" in result.stderr
        and "of 2:0-5 the topic has nothing" in result.stderr
    )
    assert (
        commands.run("replay", "raw", "--offsets", "2:0-5").stdout
        == "the topic has none of these records\n"
    )


def test_a_range_longer_than_a_portion_is_replayed_whole(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applying, "MOST_RECORDS", 300)
    produce(commands, 1_000)
    produce(commands, 1_000, partition=3, begin=5_000)
    result = commands.run("replay", "raw", "--since", "2020-01-01", "--json")
    assert json.loads(result.stdout)["records"] == 2_000
    assert sorted(map(int, again(commands))) == [*range(1_000), *range(5_000, 6_000)]
    assert result.stderr.splitlines()[-1].startswith(
        "2000 records replayed, partition 3 up to offset "
    )
    told = result.stderr.splitlines()
    assert len([line for line in told if " records replayed, " in line]) == 7
    assert "plan: 2000 records; they go through the pipeline again" in result.stderr


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (
            KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN, "3/3 brokers are down")),
            "Kafka: 3/3 brokers are down. ",
        ),
        (
            TimeoutError("no record of raw-messages[3] arrived within 30 s"),
            "Kafka: no record of raw-messages[3] arrived within 30 s. ",
        ),
        (KeyboardInterrupt(), "interrupted. "),
    ],
)
def test_a_replay_that_breaks_off_says_how_to_continue(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, trouble: BaseException, says: str
) -> None:
    commands.json("tenants", "add", "acme")
    produce(commands, 100)
    produce(commands, 100, partition=3, begin=500)
    monkeypatch.setattr(applying, "MOST_RECORDS", 40)
    whole, seen = RawReader._read, [0]

    def breaking(reader: RawReader, span: OffsetRange) -> Iterator[Any]:
        for message in whole(reader, span):
            seen[0] += 1
            if seen[0] == 200 + 150:  # after they were counted
                raise trouble
            yield message

    with monkeypatch.context() as broken:
        broken.setattr(RawReader, "_read", breaking)
        result = CliRunner().invoke(
            main,
            ["replay", "raw", "--since", "2020-01-01", "--tenant", "acme", "--json"],
            env=to_environment(commands.settings),
        )
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["records"], document["left"]) == (120, ["3:20-99"])
    go_on = "sensorium replay raw --offsets 3:20-99 --tenant acme"
    assert document["error"].startswith(says) and document["error"].endswith(
        f"replayed before that: 120 records as generation {document['generation']}; for the rest: {go_on}"
    )
    assert len(again(commands)) == 120
    assert commands.json(*go_on.split()[1:])["records"] == 80
    assert sorted(map(int, again(commands))) == [*range(100), *range(500, 600)]


def test_what_is_left_of_spans_is_what_was_not_passed() -> None:
    spans = [OffsetRange(0, 10, 20), OffsetRange(2, 0, 5), OffsetRange(0, 30, 31)]
    for done, left in (
        (None, ["0:10-19", "2:0-4", "0:30-30"]),
        (RawRecordPosition(0, 10), ["0:11-19", "2:0-4", "0:30-30"]),
        (RawRecordPosition(0, 19), ["2:0-4", "0:30-30"]),
        (RawRecordPosition(2, 3), ["2:4-4", "0:30-30"]),
        (RawRecordPosition(0, 30), []),
    ):
        assert [str(span) for span in repair_raw.left_of(spans, done)] == left


# --- attachments

URL = "https://api.ycloud.com/v2/whatsapp/media/download/77?sig=t%3D1"


def failed(index: int, reason: str, **fields: Any) -> Attachment:
    return Attachment(
        **{
            "index": index,
            "type": "image",
            "status": "failed",
            "reason": reason,
            "original_url": URL,
            **fields,
        }
    )


def outputs(commands: Commands, topic: TopicName, kind: Any) -> list[Any]:
    return [decode(kind, message.value()) for message in written(commands, topic)]


def opened_messages(commands: Commands) -> list[EnrichedMessage]:
    """The openings of repaired messages. assemble writes the first version of each."""
    assert written(commands, "enriched-messages") == []
    opened: list[Enrichment] = outputs(commands, "enrichments", Enrichment)
    return [decode(EnrichedMessage, one.snapshot) for one in opened]


def test_a_failed_attachment_is_tried_again_from_its_file_or_from_its_download(
    commands: Commands,
) -> None:
    kept = f"{commands.names.object_prefix}media/acme/1.jpg"
    steps = (
        Step(
            stage="dedupe",
            outcome="forwarded",
            topic="raw-messages",
            partition=3,
            offset=41,
            at=NOW,
        ),
    )
    at_store, at_model, at_quarantine = (
        failed(
            0,
            "model_unavailable",
            type="audio",
            url="/media/acme/1.jpg",
            object_key=kept,
            mime_type="audio/ogg",
            bytes=5,
            sha256="ab",
        ),
        failed(
            1,
            "model_unavailable",
            url="/media/acme/1.jpg",
            object_key=kept,
            mime_type="image/jpeg",
            bytes=5,
            sha256="cd",
            filename="f",
        ),
        failed(2, "media_gone"),
    )
    done_before = Attachment(
        index=3,
        type="image",
        status="described",
        description="Un perro.",
        url="/media/acme/3.jpg",
        object_key=f"{kept}3",
    )
    store(
        commands,
        row(
            "1",
            at_store,
            at_model,
            at_quarantine,
            done_before,
            attributes={"event_id": "e"},
            steps=steps,
            aliases=("other-name",),
        ),
    )
    store(
        commands,
        row("2", failed(0, "media_gone")),
        row("3", content="hola"),
        row("1", failed(0, "model_unavailable"), tenant="other"),
    )
    commands.json("tenants", "add", "acme")
    document = commands.json(
        "replay", "attachments", "--reason", "model_unavailable", "--tenant", "acme"
    )
    generation = document["generation"]
    assert document == {"generation": generation, "messages": 1, "attachments": 2}
    (message,) = opened_messages(commands)
    assert (message.message_key, message.version, message.status) == (
        key_of("1"),
        generation * 1000 + 1,
        "pending",
    )
    assert [(a.status, a.reason, a.description) for a in message.attachments] == [
        ("pending", None, None), ("pending", None, None), ("failed", "media_gone", None), ("described", None, "Un perro."),
    ]  # fmt: skip
    assert (message.aliases, message.steps, json.loads(message.content_attributes)["provider"]) == (
        ("other-name",),
        steps,
        {"event_id": "e"},
    )
    (opened,) = outputs(commands, "enrichments", Enrichment)
    assert (opened.kind, opened.generation, decode(EnrichedMessage, opened.snapshot)) == (
        "opened",
        generation,
        message,
    )
    (job,) = outputs(commands, "vision", VisionJob)
    assert (
        job.index,
        job.object_key,
        job.sha256,
        job.mime_type,
        job.bytes,
        job.filename,
        job.generation,
    ) == (
        1,
        kept,
        "cd",
        "image/jpeg",
        5,
        "f",
        generation,
    )
    assert len(written(commands, "audio")) == 1 and written(commands, "media") == []


def test_what_failed_before_it_was_stored_is_downloaded_again_by_its_tenants_endpoint(
    commands: Commands,
) -> None:
    commands.json("tenants", "add", "acme")
    endpoint = commands.json("endpoints", "add", "acme", "ycloud", "--api-key", "k")
    commands.json("endpoints", "add", "acme", "ycloud", "--api-key", "of another account")
    store(
        commands,
        row(
            "1",
            failed(0, "quarantined"),
            failed(1, "media_link_expired"),
            received_at=NOW,
            occurred_at=NOW - timedelta(days=3),
            endpoint_id=endpoint["endpoint_id"],
        ),
    )
    generation = commands.json("replay", "attachments", "--reason", "quarantined")["generation"]
    (message,) = opened_messages(commands)
    assert message.endpoint_id == endpoint["endpoint_id"]
    (job,) = outputs(commands, "media", MediaJob)
    assert (job.index, job.url, job.endpoint_id, job.unpaid_reason, job.generation) == (
        0,
        URL,
        endpoint["endpoint_id"],
        "old",
        generation,
    )
    # of the link and the key all ways follow, the one by the file's id among them
    given = Authority("ycloud", "k")
    assert [
        candidate.url
        for candidate in download_candidates(job.url, job.media_id, given, Providers())
    ] == [
        URL,
        URL,
        URL.partition("?")[0],
    ]
    assert (job.tenant_id, job.provider, job.received_at) == ("acme", "ycloud", NOW)


@pytest.mark.parametrize(
    ("fields", "endpoint_id"),
    [
        ({"endpoint_id": "direct"}, ""),
        ({}, ""),
        ({"attributes": {"event_type": "whatsapp.inbound_message.received"}}, "unrecorded"),
    ],
    ids=["a chat that names ycloud", "older, unproven", "older, proven by its event"],
)
def test_a_replay_has_the_authority_of_who_received_the_message_not_of_the_provider_it_names(
    commands: Commands, fields: dict[str, Any], endpoint_id: str
) -> None:
    commands.json("tenants", "add", "acme")
    commands.json("endpoints", "add", "acme", "ycloud", "--api-key", "k")
    store(commands, row("1", failed(0, "media_not_found"), **fields))
    commands.json("replay", "attachments", "--reason", "media_not_found")
    (job,) = outputs(commands, "media", MediaJob)
    assert (job.provider, job.endpoint_id) == ("ycloud", endpoint_id)


def test_an_attachment_without_file_and_address_stays_failed(commands: Commands) -> None:
    store(commands, row("1", failed(0, "media_unavailable", original_url=None)))
    result = commands.run("replay", "attachments", "--reason", "media_unavailable", "--json")
    assert (
        json.loads(result.stdout)["messages"],
        "1 have neither a file nor a URL" in result.stderr,
    ) == (0, True)
    assert written(commands, "enriched-messages") == []


def test_messages_are_tried_again_up_to_a_limit(commands: Commands) -> None:
    store(
        commands,
        *(
            row(
                str(number),
                failed(0, "media_not_found"),
                received_at=NOW + timedelta(seconds=number),
            )
            for number in range(5)
        ),
    )
    plan = commands.json("replay", "attachments", "--reason", "media_not_found", "--dry-run")
    assert (plan["messages"], plan["attachments"], plan["tenants"]) == (5, 5, {"acme": 5})
    assert opened_messages(commands) == []
    result = commands.run(
        "replay", "attachments", "--reason", "media_not_found", "--limit", "2", "--json"
    )
    assert (json.loads(result.stdout)["messages"], "there may be more than 2" in result.stderr) == (
        2,
        True,
    )
    assert sorted(message.message_key for message in opened_messages(commands)) == [
        key_of("0"),
        key_of("1"),
    ]
    assert commands.json("replay", "attachments", "--reason", "overloaded") == {
        "generation": None,
        "messages": 0,
        "attachments": 0,
    }


def test_files_that_the_provider_no_longer_has_are_tried_only_if_a_person_insists(
    commands: Commands,
) -> None:
    store(commands, row("1", failed(0, "media_gone")))
    command = ("replay", "attachments", "--reason", "media_gone")
    plan = commands.run(*command, "--dry-run", "--json")
    document = json.loads(plan.stdout)
    assert (document["messages"], document["gone"]) == (0, 1)
    assert "the provider no longer has them" in plan.stderr
    result = commands.run(*command, "--json")
    assert json.loads(result.stdout)["messages"] == 0
    assert "ask the sender to send it again" in result.stderr and opened_messages(commands) == []
    assert commands.json(*command, "--with-gone")["messages"] == 1
    assert len(outputs(commands, "media", MediaJob)) == 1


# --- quarantine


def set_aside(
    commands: Commands,
    offset: int,
    *,
    stage: str = "dedupe",
    tenant: str = "acme",
    topic: str = "raw-messages",
    value: bytes = b"{",
    topic_id: str = "",
) -> None:
    async def written_(connection: Connection) -> None:
        headers = json.dumps({"tenant": tenant, "traceparent": "\u00ff", "generation": "0"})
        columns = [[one] for one in (stage, topic, 0, tenant, "not_json", "no JSON", "k", offset, NOW + timedelta(seconds=offset), b"\xffk", value,
                                     headers, "1", topic_id)]  # fmt: skip
        await connection.execute(queries("sink")["insert_quarantined"], *columns)

    commands.database(written_)


def test_quarantine_is_listed_and_shown(commands: Commands) -> None:
    assert commands.json("quarantine", "list") == {"quarantined": []}
    commands.json("tenants", "add", "other")
    set_aside(commands, 7)
    set_aside(commands, 8, tenant="other", stage="describe", topic="vision")
    listed = commands.json("quarantine", "list")["quarantined"]
    assert [one["place"] for one in listed] == ["raw-messages[0]@7", "vision[0]@8"]
    assert listed[0] == {
        "place": "raw-messages[0]@7", "tenant_id": "acme", "stage": "dedupe", "reason": "not_json", "detail": "no JSON", "record_key": "k",
        "state": "new", "created_at": (NOW + timedelta(seconds=7)).isoformat(),
    }  # fmt: skip
    for option, value in (("--tenant", "other"), ("--stage", "describe")):
        assert [
            one["place"]
            for one in commands.json("quarantine", "list", option, value)["quarantined"]
        ] == ["vision[0]@8"]
    assert commands.json("quarantine", "list", "--reason", "stage_error") == {"quarantined": []}
    assert len(commands.json("quarantine", "list", "--limit", "1")["quarantined"]) == 1
    (shown,) = commands.json("quarantine", "show", "raw-messages[0]@7")["quarantined"]
    assert (shown["value_base64"], shown["headers"]["tenant"], shown["place"]) == (
        "ew==",
        "acme",
        "raw-messages[0]@7",
    )
    assert (
        commands.fails("quarantine", "show", "raw-messages[0]@9")
        == "nothing in quarantine came from raw-messages[0]@9"
    )


def test_a_quarantined_record_goes_back_whole_under_a_new_generation(commands: Commands) -> None:
    set_aside(commands, 7, value=b"whole")
    done = commands.json("quarantine", "replay", "raw-messages[0]@7", "--wait-seconds", "0")
    assert done == {
        "generation": done["generation"],
        "records": 1,
        "left": 0,
        "outcomes": {"written": 0, "quarantined": 0, "unsettled": 1},
    }
    (message,) = written(commands)
    assert (message.key(), message.value(), generation_of(message.headers())) == (
        b"\xffk",
        b"whole",
        done["generation"],
    )
    assert (header(message.headers(), "tenant"), header(message.headers(), "traceparent")) == (
        b"acme",
        b"\xff",
    )
    assert commands.json("quarantine", "list") == {"quarantined": []}
    assert len(commands.json("quarantine", "list", "--state", "replayed")["quarantined"]) == 1
    assert commands.json("quarantine", "replay", "--wait-seconds", "0", "--all") == {
        "generation": None,
        "records": 0,
        "left": 0,
    }
    assert (
        commands.json("quarantine", "replay", "raw-messages[0]@7", "--wait-seconds", "0")["records"]
        == 1
    )  # by its place it goes again
    assert (
        commands.fails("quarantine", "replay", "raw-messages[0]@8")
        == "nothing in quarantine came from raw-messages[0]@8"
    )


def test_of_two_topics_of_one_name_only_the_chosen_record_goes_back(commands: Commands) -> None:
    commands.json("tenants", "add", "acme")
    set_aside(commands, 7, value=b"former", tenant="other", topic_id="first")
    set_aside(commands, 7, value=b"chosen", topic_id="second")
    done = commands.json("quarantine", "replay", "--tenant", "acme", "--wait-seconds", "0")
    assert done["records"] == 1
    assert [message.value() for message in written(commands)] == [b"chosen"]
    left = commands.json("quarantine", "list", "--state", "new")["quarantined"]
    assert [one["tenant_id"] for one in left] == ["other"]


def test_many_quarantined_records_go_back_a_few_at_a_time(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applying, "MOST_RECORDS", 3)
    commands.json("tenants", "add", "acme")
    for offset in range(8):
        set_aside(commands, offset, value=b"%d" % offset, tenant="acme" if offset < 7 else "other")
    set_aside(commands, 90, stage="store_media", topic="media")
    result = commands.run(
        "quarantine", "replay", "--tenant", "acme", "--wait-seconds", "0", "--json"
    )
    document = json.loads(result.stdout)
    assert (document["records"], document["left"]) == (7, 1)
    assert [line for line in result.stderr.splitlines() if line.endswith("of 7 records")] == [
        "3 of 7 records",
        "6 of 7 records",
        "7 of 7 records",
    ]
    assert "sensorium replay attachments --reason quarantined" in result.stderr
    assert sorted(message.value() for message in written(commands)) == [
        b"%d" % offset for offset in range(7)
    ]
    assert [one["place"] for one in commands.json("quarantine", "list")["quarantined"]] == [
        "raw-messages[0]@7",
        "media[0]@90",
    ]


def test_records_of_later_stages_go_back_where_they_came_from(commands: Commands) -> None:
    set_aside(commands, 1, stage="assemble", topic="enrichments")
    set_aside(commands, 2, stage="sink", topic="enriched-messages")
    assert commands.json("quarantine", "replay", "--wait-seconds", "0", "--all")["records"] == 2
    for topic in ("enrichments", "enriched-messages"):
        (message,) = written(commands, topic)  # type: ignore[arg-type]
        assert (message.value(), generation_of(message.headers())) == (b"{", 0)


def test_a_quarantined_receipt_is_refused_and_holds_up_nothing_else(commands: Commands) -> None:
    set_aside(commands, 1, stage="sink", topic="receipts")
    refused = "receipts[0]@1 cannot be replayed: of the records that the sink refused, only those of enriched-messages can"
    assert commands.fails("quarantine", "replay", "receipts[0]@1") == refused
    assert commands.fails("quarantine", "replay", "--wait-seconds", "0", "--all") == refused
    set_aside(commands, 3, stage="store_media", topic="media")
    assert commands.json("quarantine", "replay", "--wait-seconds", "0", "--all") == {
        "generation": None,
        "records": 0,
        "left": 2,
    }
    set_aside(commands, 2, stage="sink", topic="enriched-messages")
    set_aside(commands, 4, stage="sink", topic="receipts")
    result = commands.run("quarantine", "replay", "--wait-seconds", "0", "--all", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["records"], document["left"]) == (0, 1, 3)
    assert refused.replace(" cannot", " and 1 more cannot") in result.stderr
    assert "1 are jobs of finished messages" in result.stderr
    assert [message.value() for message in written(commands, "enriched-messages")] == [b"{"]
    assert written(commands, "receipts") == []
    assert [one["place"] for one in commands.json("quarantine", "list")["quarantined"]] == [
        "receipts[0]@1",
        "media[0]@3",
        "receipts[0]@4",
    ]


def test_a_quarantined_record_is_shown_as_text_with_the_body_it_brought(commands: Commands) -> None:
    raw = RawMessage(
        tenant_id=TenantId("acme"),
        provider="ycloud",
        message_key=MessageKey("acme:ycloud:1"),
        endpoint_id="ep_1",
        received_at=NOW,
        body="this is not JSON { ñ".encode(),
    )
    set_aside(commands, 7, value=encode(raw))
    (shown,) = commands.json("quarantine", "show", "raw-messages[0]@7")["quarantined"]
    assert shown["record"]["body"] == "this is not JSON { ñ"
    assert shown["record"]["endpoint_id"] == "ep_1"
    text = commands.run("quarantine", "show", "raw-messages[0]@7").stdout
    assert "  body: this is not JSON { ñ\n" in text and "base64" not in text
    assert NOW.isoformat()[:10] in commands.run("quarantine", "list").stdout


def test_what_is_not_a_record_of_its_topic_is_shown_as_far_as_it_is_text(
    commands: Commands
) -> None:
    set_aside(commands, 1, value=b"{")
    set_aside(commands, 2, value=b"\xff\x00")
    shown = [
        commands.json("quarantine", "show", f"raw-messages[0]@{n}")["quarantined"][0]["record"]
        for n in (1, 2)
    ]
    assert [one["text"] for one in shown] == ["{", "base64:/wA="]
    assert all("not in the wire format" in one["undecodable"] for one in shown)


def test_dismissed_records_leave_the_list_and_are_not_replayed(commands: Commands) -> None:
    for offset in range(3):
        set_aside(commands, offset)
    assert commands.json("quarantine", "dismiss", "raw-messages[0]@1") == {"dismissed": 1}
    assert "nothing new in quarantine" in commands.fails(
        "quarantine", "dismiss", "raw-messages[0]@1"
    )
    assert "choose records" in commands.fails("quarantine", "dismiss")
    assert commands.json("quarantine", "dismiss", "--stage", "assemble") == {"dismissed": 0}
    assert commands.json("quarantine", "dismiss", "--reason", "not_json") == {"dismissed": 2}
    assert commands.json("quarantine", "list") == {"quarantined": []}
    listed = commands.json("quarantine", "list", "--state", "dismissed")["quarantined"]
    assert len(listed) == 3
    replayed = commands.json("quarantine", "replay", "--wait-seconds", "0", "--all")
    assert (replayed["records"], written(commands)) == (0, [])
    logged = commands.database(
        lambda connection: connection.fetch("SELECT tenant_id, action, detail FROM audit_log")
    )
    assert [tuple(row) for row in logged] == [
        ("acme", "quarantine dismiss", "1 record: raw-messages[0]@1"),
        ("acme", "quarantine dismiss", "2 records: not_json"),
    ]
