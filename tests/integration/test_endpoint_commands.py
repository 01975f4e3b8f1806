"""`sensorium endpoints`, from a URL without a secret to a secret that is replaced."""

import pytest
from click.testing import CliRunner

from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.commands.main import main
from streams.settings import to_environment
from tests.integration.commands import Commands
from tests.integration.databases import Connection


def live(acme: Commands) -> tuple[str, ...]:
    async def read(connection: Connection) -> tuple[str, ...]:
        vault = Vault(str(acme.settings.secrets.key))
        found = await Tenancy(connection, vault).endpoint_of("acme", "ycloud")
        assert found is not None
        return found.secrets

    return acme.database(read)


@pytest.mark.parametrize("provider", ["ycloud", "chatwoot"])
def test_add_prints_the_url_first_and_then_what_to_do(acme: Commands, provider: str) -> None:
    acme.more["SENSORIUM_RECEIVER__URL"] = "https://hooks.example.com/"
    result = acme.run("endpoints", "add", "acme", provider, "--secret-later")
    lines = result.stdout.splitlines()
    name = lines[2].split()[1]
    assert lines[0].startswith(f"url     https://hooks.example.com/webhooks/{provider}/")
    assert lines[1] == "secret  (none yet: the endpoint answers 503)"
    assert lines[3].startswith("next    1. ") and f"docs/connect-{provider}.md" in lines[3]
    assert f"sensorium endpoints secret {name} --set SECRET" in lines[4]
    assert ("endpoints api-key" in result.stdout) == (provider == "ycloud")
    assert lines[-1].endswith(f"sensorium endpoints deliveries {name}")
    assert "public https address" not in result.stderr


def test_an_address_that_no_provider_reaches_is_pointed_out(acme: Commands) -> None:
    result = acme.run("endpoints", "add", "acme", "ycloud", "--api-key", "k")
    assert "Set SENSORIUM_RECEIVER__URL" in result.stderr and "api-key" not in result.stdout
    unsigned = acme.json("endpoints", "add", "acme", "chatwoot", "--unsigned")
    assert not any("--set SECRET" in step for step in unsigned["next"])


def test_a_secret_that_is_made_here_is_said_to_be(acme: Commands) -> None:
    made = acme.run("endpoints", "add", "acme", "ycloud").stdout
    secret, what = made.splitlines()[1:3]
    assert secret.split()[1] == live(acme)[0] and "made here and shown only now" in what
    assert "--set SECRET, which replaces the one made here" in made
    own = acme.run("endpoints", "add", "acme", "ycloud", "--secret", "whsec_own").stdout
    assert own.splitlines()[1] == "secret  whsec_own"
    assert "made here" not in own and "--set SECRET" not in own
    rotated = acme.run("endpoints", "rotate", own.splitlines()[2].split()[1]).stdout
    assert rotated.splitlines()[0].split()[1] in live(acme) and "made here" in rotated


def test_the_list_shows_the_url_without_the_token(acme: Commands) -> None:
    acme.more["SENSORIUM_RECEIVER__URL"] = "https://hooks.example.com"
    added = acme.json("endpoints", "add", "acme", "ycloud")
    (listed,) = acme.json("endpoints", "list")["endpoints"]
    begins = added["token"][:4]
    assert listed["url"] == f"https://hooks.example.com/webhooks/ycloud/{begins}…"
    assert added["token"] not in str(listed)
    line = acme.run("endpoints", "list").stdout
    assert listed["secret_ids"][0] in line and "nothing accepted yet" in line


def test_a_secret_is_dropped_by_its_id_and_never_by_itself(acme: Commands) -> None:
    name = acme.json("endpoints", "add", "acme", "ycloud", "--secret-later")["endpoint_id"]
    first = acme.json("endpoints", "secret", name, "--set", "whsec_1")["secret_ids"]
    both = acme.json("endpoints", "secret", name, "--set", "whsec_2", "--keep-old")["secret_ids"]
    assert both[1:] == first and live(acme) == ("whsec_2", "whsec_1")
    assert "takes the id of a secret" in acme.fails(
        "endpoints", "secret", name, "--drop", "whsec_1"
    )
    assert "no such secret" in acme.fails("endpoints", "secret", name, "--drop", "sec_0")
    assert acme.json("endpoints", "secret", name, "--drop", both[1])["secret_ids"] == both[:1]
    assert live(acme) == ("whsec_2",)
    assert "last secret" in acme.fails("endpoints", "secret", name, "--drop", both[0])
    for words in ((), ("--set", "a", "--drop", "sec_0"), ("--drop", "sec_0", "--keep-old")):
        assert "--set SECRET" in acme.fails("endpoints", "secret", name, *words)


def test_nothing_is_sent_for_an_endpoint_without_a_secret(acme: Commands) -> None:
    acme.more["SENSORIUM_RECEIVER__URL"] = "http://127.0.0.1:1"
    name = acme.json("endpoints", "add", "acme", "ycloud", "--secret-later")["endpoint_id"]
    said = acme.fails("send", "ycloud", "--tenant", "acme", "--text", "hola")
    assert said.startswith(f"{name} has no secret yet")


def test_a_secret_can_come_from_standard_input(acme: Commands) -> None:
    name = acme.json("endpoints", "add", "acme", "ycloud", "--secret-later")["endpoint_id"]
    environment = to_environment(acme.settings)
    for words in (("secret",), ("api-key",)):
        result = CliRunner().invoke(
            main, ["endpoints", *words, name, "--set", "-"], env=environment, input="whsec_in\n"
        )
        assert result.exit_code == 0, result.stderr
    assert live(acme) == ("whsec_in",)
    assert acme.json("endpoints", "list")["endpoints"][0]["has_api_key"] is True
    empty = CliRunner().invoke(
        main, ["endpoints", "secret", name, "--set", "-"], env=environment, input=""
    )
    assert empty.exit_code == 1 and "a secret must not be empty" in empty.stderr
