"""The commands make tenants, endpoints and keys, and audit each change without its secrets."""

import msgspec
import pytest

from schemas.tenants import TenantSettings
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from tests.integration.commands import Commands
from tests.integration.databases import Connection


@pytest.fixture
def commands(tables: Commands) -> Commands:
    """A namespace with tables and without topics."""
    return tables


def settings_of(commands: Commands, tenant: str = "acme") -> TenantSettings:
    async def read(connection: Connection) -> TenantSettings:
        sealed = await connection.fetchval(
            "SELECT settings FROM tenants WHERE tenant_id = $1", tenant
        )
        return msgspec.json.decode(
            Vault(str(commands.settings.secrets.key)).open(sealed), type=TenantSettings
        )

    return commands.database(read)


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
