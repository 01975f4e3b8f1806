"""Running roles refuse ended keys, URLs, secrets and tenants within two seconds."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from cryptography.fernet import Fernet

from connectors.providers.catalogue import sign
from schemas.settings import Secret
from storage.postgres.vault import Vault
from streams.settings import to_environment
from tests.integration.commands import Commands
from tests.integration.receivers import Receiver, event, receiving, unused_port

KNOWN_WITHIN_SECONDS = 25.0
"""Shorter than the time after which a role queries changes without a notification."""
CHAT = {
    "provider": "own",
    "provider_message_id": "1",
    "conversation_id": "c",
    "sender": {"id": "s"},
    "text": "hola",
}


def until(condition: Callable[[], bool], seconds: float = KNOWN_WITHIN_SECONDS) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s"
        time.sleep(0.02)


class Roles:
    """A receiver and a console as processes, and an operator's commands."""

    def __init__(self, commands: Commands, receiver: Receiver, console: str) -> None:
        self.commands = commands
        self.receiver = receiver
        self._console = console
        self._client = httpx.Client(trust_env=False, timeout=60)

    def close(self) -> None:
        self._client.close()

    def deliver(self, endpoint: dict[str, Any], *, secret: str | None = None) -> int:
        body = event("1")
        signed = sign(endpoint["provider"], secret or endpoint["secret"], body, int(time.time()))
        path = f"/webhooks/{endpoint['provider']}/{endpoint['token']}"
        return self._client.post(self.receiver.url + path, content=body, headers=signed).status_code

    def chat(self, key: str) -> int:
        headers = {"authorization": f"Bearer {key}"}
        url = f"{self.receiver.url}/chat"
        return self._client.post(url, json=CHAT, headers=headers).status_code

    def read(self, key: str) -> int:
        headers = {"authorization": f"Bearer {key}"}
        url = f"{self._console}/api/conversations/c/context"
        return self._client.get(url, headers=headers).status_code

    def console_answers(self) -> bool:
        try:
            return self._client.get(f"{self._console}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def audit(self, tenant: str = "acme") -> list[str]:
        rows = self.commands.database(
            lambda connection: connection.fetch(
                "SELECT action FROM audit_log WHERE tenant_id = $1 ORDER BY id", tenant
            )
        )
        return [row["action"] for row in rows]


@pytest.fixture
def roles(commands: Commands, tmp_path: Path) -> Iterator[Roles]:
    port = unused_port()
    settings = msgspec.structs.replace(
        commands.settings,
        console=msgspec.structs.replace(commands.settings.console, port=port),
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SENSORIUM_")}
    commands.json("tenants", "add", "acme")
    with receiving(settings, tmp_path) as receiver, (tmp_path / "console.log").open("wb") as log:
        console = subprocess.Popen(
            [sys.executable, "-m", "streams.commands.main", "console"],
            env=plain | to_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            asyncio.run(receiver.wait_ready())
            both = Roles(commands, receiver, f"http://127.0.0.1:{port}")
            until(both.console_answers, 90)
            yield both
            both.close()
        finally:
            console.kill()
            console.wait()


def test_a_revoked_key_is_refused_by_console_and_receiver(roles: Roles) -> None:
    add = ("keys", "add", "acme", "--scope")
    read = roles.commands.json(*add, "read", "--name", "the bot")
    chat = roles.commands.json(*add, "chat", "--name", "the app")
    until(lambda: roles.read(read["key"]) == 200 and roles.chat(chat["key"]) == 202)
    listed = roles.commands.json("keys", "list", "acme")["keys"]
    assert [(key["key_id"], key["name"], key["scope"]) for key in listed] == [
        (read["key_id"], "the bot", "read"),
        (chat["key_id"], "the app", "chat"),
    ]
    assert read["key"] not in json.dumps(listed)
    for key in (read, chat):
        assert roles.commands.json("keys", "revoke", key["key_id"])["revoked"] is True
    until(lambda: roles.read(read["key"]) == 401 and roles.chat(chat["key"]) == 401)
    assert roles.commands.json("keys", "list", "acme") == {"tenant_id": "acme", "keys": []}
    assert "no key has the id" in roles.commands.fails("keys", "revoke", read["key_id"])
    assert roles.audit().count("key_revoked") == 2


def test_a_removed_endpoint_is_refused(roles: Roles) -> None:
    kept, gone = (roles.commands.json("endpoints", "add", "acme", "ycloud") for _ in range(2))
    until(lambda: roles.deliver(kept) == roles.deliver(gone) == 200)
    removed = roles.commands.json("endpoints", "remove", gone["endpoint_id"])
    assert removed["removed"] is True and removed["endpoint_id"] == gone["endpoint_id"]
    until(lambda: roles.deliver(gone) == 401)
    assert roles.deliver(kept) == 200
    roles.commands.json("endpoints", "remove", kept["token"])
    until(lambda: roles.deliver(kept) == 401)
    assert "no endpoint has the id ep_nothing" in roles.commands.fails(
        "endpoints", "remove", "ep_nothing"
    )
    assert roles.audit().count("endpoint_removed") == 2


def test_a_new_token_ends_the_old_one_at_once_or_after_its_grace(roles: Roles) -> None:
    old = roles.commands.json("endpoints", "add", "acme", "chatwoot")
    until(lambda: roles.deliver(old) == 200)
    new = old | roles.commands.json("endpoints", "rotate-token", old["endpoint_id"])
    assert new["token"] != old["token"] and new["url"].endswith(new["token"])
    until(lambda: roles.deliver(old) == 401 and roles.deliver(new) == 200)
    words = ("endpoints", "rotate-token", new["token"], "--grace-seconds", "3")
    newer = new | roles.commands.json(*words)
    until(lambda: roles.deliver(newer) == 200)
    assert roles.deliver(new) == 200, "its grace is not over"
    until(lambda: roles.deliver(new) == 401, 3 + KNOWN_WITHIN_SECONDS)
    assert roles.deliver(newer) == 200


def test_a_secret_that_was_replaced_or_dropped_is_refused(roles: Roles) -> None:
    endpoint = roles.commands.json("endpoints", "add", "acme", "ycloud")
    secret = ("endpoints", "secret", endpoint["endpoint_id"], "--set")
    until(lambda: roles.deliver(endpoint) == 200)
    roles.commands.json(*secret, "whsec_theirs", "--keep-old")
    until(lambda: roles.deliver(endpoint, secret="whsec_theirs") == 200)
    assert roles.deliver(endpoint) == 200
    (listed,) = roles.commands.json("endpoints", "list", "--tenant", "acme")["endpoints"]
    theirs, ours = listed["secret_ids"]
    roles.commands.json("endpoints", "rotate", endpoint["endpoint_id"], "--drop", ours)
    until(lambda: roles.deliver(endpoint) == 401)
    assert roles.deliver(endpoint, secret="whsec_theirs") == 200
    roles.commands.json(*secret, "whsec_next")
    until(lambda: roles.deliver(endpoint, secret="whsec_theirs") == 401)
    assert roles.deliver(endpoint, secret="whsec_next") == 200
    assert "last secret" in roles.commands.fails(
        "endpoints", "rotate", endpoint["token"], "--drop", "whsec_next"
    )
    assert theirs != ours and endpoint["secret"] not in json.dumps(listed)


def test_an_endpoint_waits_for_the_secret_of_its_provider(roles: Roles) -> None:
    endpoint = roles.commands.json("endpoints", "add", "acme", "ycloud", "--secret-later")
    assert endpoint["secret"] is None
    until(lambda: roles.deliver(endpoint, secret="whsec_theirs") == 503)
    until(lambda: "has no secret yet: sensorium endpoints secret" in roles.receiver.log())
    roles.commands.json("endpoints", "secret", endpoint["token"], "--set", "whsec_theirs")
    until(lambda: roles.deliver(endpoint, secret="whsec_theirs") == 200)
    document = roles.commands.json("endpoints", "api-key", endpoint["endpoint_id"], "--set", "yk")
    assert document["has_api_key"] is True


@pytest.mark.parametrize("keep", [True, False])
def test_a_removed_tenant_is_refused_everywhere(keep: bool, roles: Roles) -> None:
    endpoint = roles.commands.json("endpoints", "add", "acme", "ycloud")
    read, chat = (
        roles.commands.json("keys", "add", "acme", "--scope", scope)["key"]
        for scope in ("read", "chat")
    )
    until(lambda: (roles.deliver(endpoint), roles.read(read), roles.chat(chat)) == (200, 200, 202))
    assert "not confirmed" in roles.commands.fails("tenants", "remove", "acme")
    assert roles.deliver(endpoint) == 200
    roles.commands.database(
        lambda connection: connection.execute(
            "INSERT INTO audit_log (tenant_id, action, detail) VALUES"
            " ('acme', 'conversation_unmasked', '1~5215577: why'), ('acme', 'media_seen', 'acme:x:1')"
        )
    )
    words = ["tenants", "remove", "acme", "--yes", *(["--keep-data"] if keep else [])]
    document = roles.commands.json(*words)
    assert document["ended"] == {"keys": 2, "endpoints": 1} and document["data_kept"] is keep
    until(lambda: (roles.deliver(endpoint), roles.read(read), roles.chat(chat)) == (401, 401, 401))
    assert roles.commands.json("tenants", "list") == {"tenants": []}
    assert roles.commands.json("tenants", "show", "acme")["removed_at"] is not None
    for words in (
        ["keys", "add", "acme", "--scope", "read"],
        ["endpoints", "add", "acme", "ycloud"],
        ["tenants", "set", "acme", "language=es"],
    ):
        assert "there is no tenant" in roles.commands.fails(*words)
    assert "its name is free again on" in roles.commands.fails("tenants", "add", "acme")
    assert "tenant_removed" in roles.audit()
    looked = roles.commands.database(
        lambda connection: connection.fetch(
            "SELECT detail FROM audit_log WHERE action IN ('conversation_unmasked', 'media_seen')"
        )
    )
    details = ["1~5215577: why", "acme:x:1"] if keep else ["erased", "erased"]
    assert [row["detail"] for row in looked] == details


def test_one_row_that_cannot_be_opened_stops_nobody_else(roles: Roles) -> None:
    roles.commands.json("tenants", "add", "other")
    acme, other = (
        roles.commands.json("endpoints", "add", tenant, "ycloud") for tenant in ("acme", "other")
    )
    until(lambda: roles.deliver(acme) == roles.deliver(other) == 200)
    foreign = Vault(Fernet.generate_key().decode()).seal(b"{}")
    roles.commands.database(
        lambda connection: connection.execute(
            "UPDATE webhook_endpoints SET sealed = $1 WHERE tenant_id = 'acme'", foreign
        )
    )
    until(lambda: roles.deliver(acme) == 503)
    later = roles.commands.json("endpoints", "add", "other", "ycloud")
    until(lambda: roles.deliver(later) == 200)
    assert roles.deliver(other) == 200 and asyncio.run(roles.receiver.answers("/readyz", 200))
    found = roles.commands.run("doctor", "--json")
    parts = {part["part"]: part for part in json.loads(found.stdout)["parts"]}
    assert not parts["secrets"]["ok"] and acme["endpoint_id"] in parts["secrets"]["says"]
    assert roles.receiver.log().count("directory_row_unreadable") == 1
    roles.commands.json("endpoints", "remove", acme["endpoint_id"])
    until(lambda: roles.deliver(acme) == 401)


def test_resealing_puts_every_secret_under_the_first_key(commands: Commands) -> None:
    old, new = str(commands.settings.secrets.key), Fernet.generate_key().decode()

    def under(keys: str) -> Commands:
        secrets = msgspec.structs.replace(commands.settings.secrets, key=Secret(keys))
        return Commands(msgspec.structs.replace(commands.settings, secrets=secrets), {})

    commands.json("tenants", "add", "acme")
    endpoint = commands.json("endpoints", "add", "acme", "ycloud")
    both, after = under(f"{new},{old}"), under(new)

    def says(with_: Commands) -> dict[str, Any]:
        found = json.loads(with_.run("doctor", "--json").stdout)
        return {part["part"]: part for part in found["parts"]}["secrets"]

    assert "2 are still sealed with an older key" in says(both)["says"] and says(both)["ok"]
    assert not says(after)["ok"]
    dry = both.json("secrets", "reseal", "--dry-run")
    assert dry == {"resealed": 2, "current": 0, "unreadable": [], "dry_run": True}
    failed = after.json("secrets", "reseal", exit_code=1)
    assert [one["table"] for one in failed["unreadable"]] == ["tenants", "webhook_endpoints"]
    assert both.json("secrets", "reseal") == dry | {"dry_run": False}
    assert both.json("secrets", "reseal") == {
        "resealed": 0,
        "current": 2,
        "unreadable": [],
        "dry_run": False,
    }
    assert says(after) == says(both) | {"says": "the key opens all 2 sealed values"}
    rotated = after.json("endpoints", "rotate", endpoint["token"])
    assert rotated["secret"] and not says(commands)["ok"]
    audited = commands.database(
        lambda connection: connection.fetchval(
            "SELECT count(*) FROM audit_log WHERE action = 'secret_resealed'"
        )
    )
    assert audited == 2


def test_resealing_does_not_undo_a_change_that_is_made_meanwhile(commands: Commands) -> None:
    old, new = str(commands.settings.secrets.key), Fernet.generate_key().decode()
    secrets = msgspec.structs.replace(commands.settings.secrets, key=Secret(f"{new},{old}"))
    both = Commands(msgspec.structs.replace(commands.settings, secrets=secrets), {})
    for number in range(5):
        commands.json("tenants", "add", f"t{number}")
        commands.json("tenants", "set", f"t{number}", "language=de")

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(3) as threads:
        environment = to_environment(both.settings)

        def run(*words: str) -> int:
            return subprocess.run(
                [sys.executable, "-m", "streams.commands.main", *words, "--json"],
                env=os.environ | environment,
                capture_output=True,
            ).returncode

        jobs = [
            threads.submit(run, "secrets", "reseal"),
            threads.submit(run, "tenants", "set", "t4", "language=es"),
            threads.submit(run, "secrets", "reseal"),
        ]
        assert [job.result() for job in jobs] == [0, 0, 0]
    assert both.json("tenants", "show", "t4")["settings"]["language"] == "es"
    assert both.json("secrets", "reseal")["current"] == 5
