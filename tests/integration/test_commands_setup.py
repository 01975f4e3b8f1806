"""`migrate` and `topics apply` make what is missing, once; `doctor` says what is wrong."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet

from schemas.settings import Secret, Settings
from schemas.topics import TOPICS
from storage.objects.store import ObjectStore
from tests.integration.commands import Commands
from tests.topics import wait_until_seen


@pytest.fixture
def commands(tables: Commands) -> Commands:
    """A namespace with tables and without topics."""
    return tables


def test_migrate_says_what_it_applied_and_then_nothing(stack: Settings, namespace: str) -> None:
    commands = Commands(msgspec.structs.replace(stack, namespace=namespace), {})
    assert "was never migrated: sensorium migrate" in commands.fails("tenants", "list")
    try:
        applied = commands.json("migrate")["applied"]
        assert applied[0] == "0001_rows" and applied == sorted(applied)
        assert commands.json("migrate") == {"applied": []}
        assert commands.run("migrate").stdout == "nothing to do\n"
    finally:
        commands.drop_tables()


def test_a_database_that_is_ahead_is_left_alone(commands: Commands) -> None:
    commands.database(
        lambda connection: connection.execute(
            "INSERT INTO schema_migrations (name, sha256) VALUES ('9999_later.post', 'x')"
        )
    )
    assert "9999_later.post" in commands.fails("migrate")


def test_topics_are_created_once_and_their_partitions_never_changed(commands: Commands) -> None:
    created = commands.json("topics", "apply")
    assert created == {
        "topics": [{"topic": commands.names.topic(name), "change": "created"} for name in TOPICS]
    }
    wait_until_seen(commands.settings.kafka, commands.names.topics)
    assert {one["change"] for one in commands.json("topics", "apply")["topics"]} == {"configured"}
    kafka = msgspec.structs.replace(
        commands.settings.kafka, partitions=commands.settings.kafka.partitions + 1
    )
    more = Commands(msgspec.structs.replace(commands.settings, kafka=kafka), {})
    assert "SENSORIUM_KAFKA__PARTITIONS" in more.fails("topics", "apply")


# --- doctor


def findings(commands: Commands) -> dict[str, dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:  # a busy server answers late
        patch.setattr("streams.commands.doctor._SECONDS", 60.0)
        document = json.loads(commands.run("doctor", "--json").stdout)
    assert document["ok"] == all(part["ok"] for part in document["parts"])
    return {part["part"]: part for part in document["parts"]}


def bucket(commands: Commands) -> None:
    async def made() -> None:
        objects = ObjectStore(commands.settings.objects)
        await objects.ensure_bucket()
        await objects.close()

    asyncio.run(made())


def test_doctor_says_what_is_well(acme: Commands) -> None:
    acme.make_topics()
    acme.json("endpoints", "add", "acme", "ycloud")
    bucket(acme)
    found = findings(acme)
    for part in ("kafka", "postgres", "objects", "secrets"):
        assert found[part]["ok"], found[part]
    assert (
        found["kafka"]["says"]
        == f"{len(TOPICS)} topics of {acme.settings.kafka.partitions} partitions"
    )
    assert found["secrets"]["says"] == "the key opens all 2 sealed values"
    assert (
        found["console"]["ok"] and "SENSORIUM_CONSOLE__URL is not set" in found["console"]["says"]
    )


def with_settings(commands: Commands, part: str, **fields: Any) -> Commands:
    replaced = msgspec.structs.replace(getattr(commands.settings, part), **fields)
    return Commands(
        msgspec.structs.replace(commands.settings, **{part: replaced}), dict(commands.more)
    )


def test_doctor_says_what_is_wrong_with_each_part(acme: Commands) -> None:
    bucket(acme)
    assert "sensorium topics apply" in findings(acme)["kafka"]["says"]
    acme.make_topics()
    wrong = {
        "kafka": (with_settings(acme, "kafka", partitions=99), "SENSORIUM_KAFKA__PARTITIONS"),
        "objects": (
            with_settings(acme, "objects", secret_key=Secret("wrong")),
            "SENSORIUM_OBJECTS__SECRET_KEY",
        ),
        "secrets": (
            with_settings(acme, "secrets", key=Secret(Fernet.generate_key().decode())),
            "add the old key after the new one",
        ),
        "model": (
            with_settings(acme, "openai", api_key=Secret(""), base_url="https://api.openai.com/v1"),
            "SENSORIUM_OPENAI__API_KEY is not set",
        ),
    }
    for part, (commands, remedy) in wrong.items():
        found = findings(commands)[part]
        assert not found["ok"] and remedy in found["says"], found
    found = findings(with_settings(acme, "objects", bucket="nobodys-bucket"))["objects"]
    assert not found["ok"] and "bucket does not exist" in found["says"]
    assert (
        "SENSORIUM_OBJECTS__ACCESS_KEY"
        in findings(with_settings(acme, "objects", access_key="nobody"))["objects"]["says"]
    )


def test_doctor_says_what_is_wrong_with_the_database(acme: Commands) -> None:
    never = Commands(
        msgspec.structs.replace(acme.settings, namespace=f"{acme.settings.namespace}-never"), {}
    )
    assert "sensorium migrate" in findings(never)["postgres"]["says"]
    acme.database(
        lambda connection: connection.execute(
            "DELETE FROM schema_migrations WHERE name LIKE '0005%'"
        )
    )
    assert findings(acme)["postgres"]["says"] == "1 migrations are missing: sensorium migrate"
    acme.database(
        lambda connection: connection.execute(
            "INSERT INTO schema_migrations (name, sha256) VALUES ('9999_later.post', 'x')"
        )
    )
    assert "run the newer program" in findings(acme)["postgres"]["says"]
    refused = with_settings(
        acme,
        "postgres",
        dsn=Secret(
            str(acme.settings.postgres.dsn)
            .replace("://", "://nobody:x@")
            .replace("@sensorium", "@")
        ),
    )
    said = findings(refused)["postgres"]
    assert not said["ok"] and "SENSORIUM_POSTGRES__DSN" in said["says"]


def test_after_a_rotation_doctor_opens_every_secret(acme: Commands) -> None:
    new = Fernet.generate_key().decode()
    both = with_settings(acme, "secrets", key=Secret(f"{new},{acme.settings.secrets.key}"))
    both.json("tenants", "add", "newer")
    assert findings(both)["secrets"]["ok"]
    assert findings(with_settings(acme, "secrets", key=Secret(new)))["secrets"]["says"].startswith(
        "1 of 2 secrets"
    )
