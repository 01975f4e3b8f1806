import asyncio
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from cryptography.fernet import Fernet

from connectors.providers.catalogue import check_signature
from schemas.codec import encode
from schemas.records import Attachment, EnrichedMessage, Step
from schemas.settings import Secret, Settings
from schemas.signatures import Claim
from schemas.tenants import TenantSettings
from schemas.topics import TOPICS
from storage.kafka.client import plain_producer_config
from storage.objects.store import ObjectStore
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.local.home import write
from streams.local.ports import free_port
from tests.integration.commands import Commands
from tests.integration.console import key_of, row
from tests.integration.databases import Connection, merge
from tests.topics import wait_until_seen
from tests.unit.records import NOW


@pytest.fixture
def commands(stack: Settings, namespace: str) -> Iterator[Commands]:
    """Migrated, without topics."""
    made = Commands(msgspec.structs.replace(stack, namespace=namespace), {})
    made.make_tables()
    yield made
    made.drop_tables()


@pytest.fixture
def acme(commands: Commands) -> Commands:
    commands.json("tenants", "add", "acme")
    return commands


def settings_of(commands: Commands, tenant: str = "acme") -> TenantSettings:
    async def read(connection: Connection) -> TenantSettings:
        sealed = await connection.fetchval(
            "SELECT settings FROM tenants WHERE tenant_id = $1", tenant
        )
        return msgspec.json.decode(
            Vault(str(commands.settings.secrets.key)).open(sealed), type=TenantSettings
        )

    return commands.database(read)


def store(commands: Commands, *messages: EnrichedMessage) -> None:
    async def written(connection: Connection) -> None:
        await merge(connection, *messages)

    commands.database(written)


# --- set-up


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


# --- tenants, endpoints, keys


def test_a_tenant_is_added_once(commands: Commands) -> None:
    assert commands.json("tenants", "add", "acme") == {"tenant_id": "acme", "added": True}
    commands.json("tenants", "set", "acme", "language=es")
    assert commands.json("tenants", "add", "acme") == {"tenant_id": "acme", "added": False}
    assert settings_of(commands).language == "es"
    assert commands.json("tenants", "list") == {"tenants": ["acme"]}
    again = commands.run("tenants", "add", "acme")
    assert again.stdout == "acme\n" and "was there already" in again.stderr


@pytest.mark.parametrize("name", ["Acme", "a_b", "", "a" * 64, "ñ", "a b", "a:b"])
def test_a_bad_name_of_a_tenant_is_refused(commands: Commands, name: str) -> None:
    assert "is not a tenant name" in commands.fails("tenants", "add", name)
    assert commands.json("tenants", "list") == {"tenants": []}


def test_settings_of_a_tenant_are_set_and_taken_back(acme: Commands) -> None:
    words = [
        "openai-key=sk-1",
        "rate=2.5",
        "language=es",
        "vision-prompt=Di qué ves = todo",
        "context-text=<{description}>",
        "describe-old=yes",
        "describe-outgoing=Off",
    ]
    document = acme.json("tenants", "set", "acme", *words)
    assert (document["tenant_id"], document["set"]) == (
        "acme",
        sorted(word.partition("=")[0] for word in words),
    )
    assert "sk-1" not in str(document)
    assert acme.json("tenants", "show", "acme")["settings"]["describe-old"] is True
    assert settings_of(acme) == TenantSettings(
        openai_key="sk-1",
        rate=2.5,
        language="es",
        vision_prompt="Di qué ves = todo",
        context_text="<{description}>",
        describe_old=True,
    )
    acme.json("tenants", "set", "acme", "openai-key=", "rate=", "vision-prompt= ", "describe-old=")
    assert settings_of(acme) == TenantSettings(language="es", context_text="<{description}>")


def test_a_model_that_nobody_knows_is_set_with_a_remark(acme: Commands) -> None:
    result = acme.run("tenants", "set", "acme", "vision-model=gpt-4o,gpt-9")
    assert result.exit_code == 0
    assert "gpt-9 is neither known to this version nor named" in result.stderr
    assert "sensorium doctor --tenant acme" in result.stderr and "gpt-4o is" not in result.stderr
    known = acme.run("tenants", "set", "acme", f"vision-model={acme.settings.openai.vision_model}")
    assert known.stderr == ""


def test_an_unknown_tenant_is_said_to_be_one(commands: Commands) -> None:
    for words in (
        ("tenants", "set", "acme", "rate=1"),
        ("endpoints", "add", "acme", "ycloud"),
        ("keys", "add", "acme", "--scope", "read"),
    ):
        assert commands.fails(*words) == "there is no tenant 'acme': sensorium tenants add acme"


@pytest.mark.parametrize("provider", ["ycloud", "chatwoot"])
def test_each_endpoint_is_a_new_one_with_a_secret_of_its_own(acme: Commands, provider: str) -> None:
    acme.more["SENSORIUM_RECEIVER__URL"] = "https://hooks.example.com"
    first, second = (acme.json("endpoints", "add", "acme", provider) for _ in range(2))
    for one in (first, second):
        assert (one["tenant_id"], one["provider"]) == ("acme", provider)
        assert one["url"] == f"https://hooks.example.com/webhooks/{provider}/{one['token']}"
        assert len(one["secret"]) >= 40
    assert first["token"] != second["token"] and first["secret"] != second["secret"]
    listed = acme.json("endpoints", "list")["endpoints"]
    assert [one["endpoint_id"] for one in listed] == [first["endpoint_id"], second["endpoint_id"]]
    assert not any(
        secret in str(listed) for one in (first, second) for secret in (one["token"], one["secret"])
    )


def test_a_second_chatwoot_server_has_a_label(acme: Commands) -> None:
    first = acme.run("endpoints", "add", "acme", "chatwoot", "--json")
    again = acme.run("endpoints", "add", "acme", "chatwoot", "--json")
    second = acme.run("endpoints", "add", "acme", "chatwoot", "--instance", "shop-2", "--json")
    assert [result.exit_code for result in (first, again, second)] == [0, 0, 0]
    assert ["--instance" in result.stderr for result in (first, again, second)] == [
        False,
        True,
        False,
    ]
    for provider, label in (("chatwoot", "Shop"), ("chatwoot", "direct"), ("ycloud", "b")):
        said = acme.fails("endpoints", "add", "acme", provider, "--instance", label)
        assert said.startswith(f"'{label}' cannot label a server of {provider}")


def test_an_endpoint_takes_a_given_secret_or_none(acme: Commands) -> None:
    assert (
        acme.json(
            "endpoints", "add", "acme", "ycloud", "--secret", "whsec_given", "--api-key", "k"
        )["secret"]
        == "whsec_given"
    )
    assert acme.json("endpoints", "add", "acme", "chatwoot", "--unsigned")["secret"] is None
    assert "(unsigned)" in acme.run("endpoints", "add", "acme", "chatwoot", "--unsigned").stdout


def test_a_secret_is_rotated_without_a_gap(acme: Commands) -> None:
    added = acme.json("endpoints", "add", "acme", "ycloud")
    token, old = added["token"], added["secret"]
    assert acme.fails("endpoints", "rotate", token, "--drop", old).startswith(
        "this is the endpoint's last secret: add another one first"
    )
    rotated = acme.json("endpoints", "rotate", token)
    assert rotated["token"] == token and rotated["secret"] != old

    async def live(connection: Connection) -> tuple[str, ...]:
        found = await Tenancy(connection, Vault(str(acme.settings.secrets.key))).endpoint_of(
            "acme", "ycloud"
        )
        assert found is not None
        return found.secrets

    assert acme.database(live) == (rotated["secret"], old)
    assert (
        acme.fails("endpoints", "rotate", token, "--drop", "whsec_nobody's")
        == "this endpoint has no such secret"
    )
    assert acme.json("endpoints", "rotate", token, "--drop", old) == {
        "token": token,
        "secret": rotated["secret"],
    }
    assert acme.database(live) == (rotated["secret"],)
    assert acme.fails("endpoints", "rotate", "no-token") == "no endpoint has this token"


@pytest.mark.parametrize("scope", ["chat", "read", "admin"])
def test_a_key_is_shown_once(acme: Commands, scope: str) -> None:
    document = acme.json("keys", "add", "acme", "--scope", scope)
    assert document == {"key": document["key"], "scope": scope} and document["key"].startswith(
        f"sk_{scope}_"
    )
    stored = acme.database(lambda connection: connection.fetch("SELECT * FROM api_keys"))
    assert document["key"] not in str(stored)


def test_every_change_is_in_the_audit_log_without_secrets(acme: Commands) -> None:
    endpoint = acme.json("endpoints", "add", "acme", "ycloud")
    rotated = acme.json("endpoints", "rotate", endpoint["token"])
    acme.json("tenants", "set", "acme", "openai-key=sk-secret")
    key = acme.json("keys", "add", "acme", "--scope", "read")["key"]
    acme.json("tenants", "add", "acme")
    log = acme.database(
        lambda connection: connection.fetch(
            "SELECT tenant_id, action, detail FROM audit_log ORDER BY id"
        )
    )
    assert [entry["action"] for entry in log] == [
        "tenant_added",
        "endpoint_added",
        "endpoint_rotated",
        "tenant_set",
        "key_added",
    ]
    for secret in (endpoint["token"], endpoint["secret"], rotated["secret"], "sk-secret", key):
        assert secret not in str(log)


# --- send


class Receiver:
    """Accepts webhooks, checks their signatures with the product's own check, and keeps them."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.status = [200]
        self.secret = ""
        outer = self

        class Takes(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                provider = self.path.split("/")[2]
                headers = {name.lower(): value for name, value in self.headers.items()}
                claim = Claim(headers, body, time.time())
                examined = check_signature(provider, claim, (outer.secret,), 60)
                assert examined is not None and examined.verdict == "valid"
                outer.got.append((self.path, body))
                outer._fetch(body)
                self.send_response(outer.status[min(len(outer.got), len(outer.status)) - 1])
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Logs nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Takes)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.files: list[bytes] = []
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _fetch(self, body: bytes) -> None:
        """Fetches the file as store_media does."""
        document = json.loads(body)
        message = document.get("whatsappInboundMessage", {})
        links = [message[kind]["link"] for kind in ("image", "audio") if kind in message] + [
            one["data_url"] for one in document.get("attachments", [])
        ]
        for link in links:
            with urllib.request.urlopen(link, timeout=10) as answer:
                self.files.append(answer.read())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver(acme: Commands) -> Iterator[Receiver]:
    made = Receiver()
    acme.more["SENSORIUM_RECEIVER__URL"] = made.url
    yield made
    made.close()


@pytest.mark.parametrize("provider", ["ycloud", "chatwoot"])
def test_send_delivers_a_signed_text_as_often_as_asked(
    acme: Commands, receiver: Receiver, provider: str
) -> None:
    endpoint = acme.json("endpoints", "add", "acme", provider)
    receiver.secret = endpoint["secret"]
    document = acme.json("send", provider, "--tenant", "acme", "--text", "¿hola?", "--times", "3")
    assert document["statuses"] == [200, 200, 200] and document["message_key"].startswith(
        f"acme:{provider}:"
    )
    assert {path for path, _ in receiver.got} == {f"/webhooks/{provider}/{endpoint['token']}"}
    assert len({body for _, body in receiver.got}) == 1 and "¿hola?" in str(
        json.loads(receiver.got[0][1])
    )
    assert len(acme.json("endpoints", "list")["endpoints"]) == 1  # the one there is was used


def test_send_adds_an_endpoint_where_the_tenant_has_none(
    acme: Commands, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.postgres.tenancy.secrets.token_urlsafe", lambda _: "made")
    receiver.secret = "whsec_made"
    receiver.status = [401, 200]  # until the receiver knows it
    assert acme.json("send", "ycloud", "--tenant", "acme", "--text", "hola")["statuses"] == [200]
    assert len(acme.json("endpoints", "list")["endpoints"]) == 1


@pytest.mark.parametrize(
    ("option", "name"), [("--image", "cat.jpg"), ("--audio", "voice-note-es.ogg")]
)
@pytest.mark.parametrize("provider", ["ycloud", "chatwoot"])
def test_send_serves_the_file_until_it_was_fetched(
    acme: Commands, receiver: Receiver, provider: str, option: str, name: str, tmp_path: Path
) -> None:
    receiver.secret = acme.json("endpoints", "add", "acme", provider)["secret"]
    (tmp_path / "run").mkdir()
    write(tmp_path / "run" / "ports.json", {"demo_media": free_port(set())})
    file = Path(__file__).parents[1] / "media" / name
    document = acme.json(
        "send",
        provider,
        "--tenant",
        "acme",
        option,
        str(file),
        "--home",
        str(tmp_path),
        "--serve-seconds",
        "600",
    )
    assert document["statuses"] == [200] and receiver.files == [file.read_bytes()]


def test_send_tells_of_a_delivery_that_was_refused(acme: Commands, receiver: Receiver) -> None:
    receiver.secret = acme.json("endpoints", "add", "acme", "ycloud")["secret"]
    receiver.status = [503]
    document = acme.json("send", "ycloud", "--tenant", "acme", "--text", "hola", exit_code=1)
    assert document["statuses"] == [503]


def test_send_tells_of_an_unknown_tenant_and_of_a_receiver_that_is_away(acme: Commands) -> None:
    acme.more["SENSORIUM_RECEIVER__URL"] = f"http://127.0.0.1:{free_port(set())}"
    assert (
        acme.fails("send", "ycloud", "--tenant", "nobody", "--text", "x")
        == "there is no tenant 'nobody': sensorium tenants add nobody"
    )
    assert "does not answer" in acme.fails("send", "ycloud", "--tenant", "acme", "--text", "x")


# --- tail and trace


def test_tail_shows_what_there_is_and_of_one_tenant_only_that(commands: Commands) -> None:
    commands.make_topics()
    commands.json("tenants", "add", "acme")
    producer = Producer(plain_producer_config(commands.settings.kafka))
    topic = commands.names.topic("enriched-messages")
    producer.produce(topic, b"no record", b"k", 0)
    for number, tenant in enumerate(("acme", "other", "acme")):
        message = row(str(number), tenant=tenant, content=f"hola {number}")
        producer.produce(topic, encode(message), message.message_key.encode(), 0)
    assert producer.flush(10) == 0
    result = commands.run("tail", "--from-beginning", "--count", "2", "--tenant", "acme", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["tenant_id"], line["content"]) for line in lines] == [
        ("acme", "hola 0"),
        ("acme", "hola 2"),
    ]
    assert "[0]@0: " in result.stderr
    assert (
        " v1 complete text: hola 1"
        in commands.run("tail", "--from-beginning", "--count", "3").stdout
    )


def test_tail_ends_at_the_end_and_says_why_a_message_is_degraded(commands: Commands) -> None:
    commands.make_topics()
    assert commands.run("tail", "--until-end").stdout == ""
    producer = Producer(
        plain_producer_config(commands.settings.kafka)
        | {"transactional.id": commands.names.topic("test-tail")}
    )
    producer.init_transactions(20)
    topic = commands.names.topic("enriched-messages")
    failed = Attachment(index=1, type="image", status="failed", reason="media_gone")
    for number, (conversation, more) in enumerate(
        (("c1", ()), ("c2", (failed,)), ("c1", ())), start=1
    ):
        message = row(str(number), *more, conversation_id=conversation, content=f"hola {number}")
        producer.begin_transaction()
        producer.produce(topic, encode(message), message.message_key.encode(), number % 2)
        producer.produce(topic, None, b"deleted", number % 2)
        producer.commit_transaction(20)
    everything = commands.run("tail", "--until-end").stdout.splitlines()
    assert sorted(line.rpartition(": ")[2] for line in everything) == ["hola 1", "hola 2", "hola 3"]
    (degraded,) = [line for line in everything if "hola 2" in line]
    assert " v1 degraded (image media_gone) image: hola 2" in degraded
    of_one = commands.run("tail", "--until-end", "--conversation", "c1", "--json").stdout
    assert {json.loads(line)["content"] for line in of_one.splitlines()} == {"hola 1", "hola 3"}


def test_tail_refuses_a_tenant_that_does_not_exist_instead_of_waiting(commands: Commands) -> None:
    assert "there is no tenant 'nobody'" in commands.fails("tail", "--tenant", "nobody")


def test_tail_without_topics_says_how_to_make_them(commands: Commands) -> None:
    result = commands.run("tail")
    assert (result.exit_code, "sensorium topics apply" in result.stderr) == (1, True)


def test_trace_shows_a_message_and_its_steps(commands: Commands) -> None:
    steps = (
        Step(
            stage="dedupe",
            outcome="forwarded",
            topic="raw-messages",
            partition=3,
            offset=41,
            at=NOW,
        ),
        Step(
            stage="store_media",
            outcome="failed:media_gone",
            topic="media",
            partition=1,
            offset=7,
            at=NOW.replace(minute=6),
        ),
    )
    store(
        commands,
        row(
            "7/55",
            Attachment(index=0, type="image", status="failed", reason="media_gone"),
            steps=steps,
        ),
    )
    document = commands.json("trace", key_of("7/55"))
    assert (document["message"]["status"], document["message"]["version"]) == ("degraded", 1)
    assert document["steps"] == [
        {**msgspec.to_builtins(step), "at": step.at.isoformat()} for step in steps
    ]
    text = commands.run("trace", key_of("7/55")).stdout
    assert (
        "degraded, version 1" in text
        and "failed:media_gone" in text
        and "raw-messages[3]@41" in text
    )


def test_trace_of_a_message_without_a_row_says_where_else_to_look(commands: Commands) -> None:
    assert "there is no tenant 'acme'" in commands.fails("trace", key_of("nothing"))
    commands.json("tenants", "add", "acme")
    message = commands.fails("trace", key_of("nothing"))
    assert "sensorium status" in message and "sensorium quarantine list" in message


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
