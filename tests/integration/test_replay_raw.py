"""`replay raw` writes the chosen records again under a new generation, on the real log.

What the pipeline makes of them is in tests/acceptance/test_replay.py.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import KafkaError, KafkaException

from schemas.headers import generation_of, header
from streams.commands.main import main
from streams.repair import applying
from streams.repair import raw as repair_raw
from streams.repair.raw import OffsetRange, RawReader, RawRecordPosition
from streams.settings import to_environment
from tests.integration.commands import Commands
from tests.integration.databases import Connection
from tests.integration.replays import again, produce, written


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
        "is_cost_whole": True,
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
