"""Tenants, endpoints and keys change as asked or not at all, and no table has a plain secret."""

import asyncio

import pytest

from schemas.settings import Settings
from schemas.tenants import TenantSettings
from schemas.topics import Names
from storage.postgres.sql import queries
from storage.postgres.tenancy import Tenancy, TenancyError
from storage.postgres.vault import Vault
from tests.integration.databases import Connection, pooled


async def test_a_tenant_added_again_stays_as_it_was(tenancy: Tenancy, database: Connection) -> None:
    await tenancy.add_tenant("acme")
    await tenancy.set_tenant("acme", {"language": "es", "rate": "2.5"})
    await tenancy.add_tenant("acme")
    assert await tenancy.set_tenant("acme", {"trade": "dental"}) == TenantSettings(
        language="es", rate=2.5, trade="dental"
    )
    assert [
        row["action"] for row in await database.fetch("SELECT action FROM audit_log ORDER BY id")
    ] == ["tenant_added", "tenant_set", "tenant_set"]


@pytest.mark.parametrize(
    "name", ["", "Acme", "-acme", "a b", "a:b", "a/b", "ñ", "a" * 64, "acme\n"]
)
async def test_a_name_that_is_none_is_refused(name: str, tenancy: Tenancy) -> None:
    with pytest.raises(TenancyError):
        await tenancy.add_tenant(name)


async def test_nothing_is_added_to_a_tenant_that_is_not_there(
    tenancy: Tenancy, database: Connection
) -> None:
    for attempt in (
        tenancy.set_tenant("nobody", {"language": "es"}),
        tenancy.add_endpoint("nobody", "ycloud", secret=None, unsigned=False, api_key=None),
        tenancy.add_key("nobody", "read"),
    ):
        with pytest.raises(TenancyError, match="sensorium tenants add nobody"):
            await attempt
    assert await database.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_a_wrong_value_a_wrong_provider_and_an_unknown_token_are_refused(
    tenancy: Tenancy,
) -> None:
    await tenancy.add_tenant("acme")
    for attempt in (
        tenancy.set_tenant("acme", {"rate": "often"}),
        tenancy.add_endpoint("acme", "Y:Cloud", secret=None, unsigned=False, api_key=None),
        tenancy.rotate("unknown", drop=None),
    ):
        with pytest.raises(TenancyError):
            await attempt


async def test_the_last_secret_of_an_endpoint_cannot_be_dropped_nor_an_unknown_one(
    tenancy: Tenancy,
) -> None:
    await tenancy.add_tenant("acme")
    endpoint = await tenancy.add_endpoint(
        "acme", "ycloud", secret=None, unsigned=False, api_key=None
    )
    (first,) = endpoint.secrets
    for drop in (first, "unknown"):
        with pytest.raises(TenancyError):
            await tenancy.rotate(endpoint.token, drop=drop)
    _, second = await tenancy.rotate(endpoint.token, drop=None)
    left, new = await tenancy.rotate(endpoint.token, drop=first)
    assert (left.secrets, new, first.startswith("whsec_")) == ((second,), None, True)


async def test_no_token_secret_or_key_is_in_a_table_as_plain_text(
    tenancy: Tenancy, database: Connection
) -> None:
    await tenancy.add_tenant("acme")
    await tenancy.set_tenant("acme", {"openai_key": "sk-theirs"})
    endpoint = await tenancy.add_endpoint(
        "acme", "ycloud", secret="tell-nobody", unsigned=False, api_key="yk-theirs"
    )
    key = await tenancy.add_key("acme", "chat")
    for table in ("tenants", "webhook_endpoints", "api_keys", "audit_log"):
        for row in await database.fetch(f"SELECT * FROM {table}"):
            whole = repr(tuple(row)).encode()
            assert not any(
                secret.encode() in whole
                for secret in (endpoint.token, "tell-nobody", "yk-theirs", "sk-theirs", key)
            ), table


async def test_every_generation_is_higher_than_all_before(tenancy: Tenancy) -> None:
    first, second = (
        await tenancy.next_generation("replay", "x"),
        await tenancy.next_generation("replay", "y"),
    )
    assert second > first > 0


async def test_a_generation_is_not_given_again_after_a_restore(
    tenancy: Tenancy, database: Connection
) -> None:
    first = await tenancy.next_generation("replay", "x")
    # The backup is older than the replay, and with it the sequence.
    await database.execute("DELETE FROM generations")
    sequence = "pg_get_serial_sequence('generations', 'generation')"
    await database.execute(f"SELECT setval({sequence}, 1, false)")
    a_minute_later = queries("tenancy")["next_generation"].replace(
        "now()", "(now() + interval '1 minute')"
    )
    assert await database.fetchval(a_minute_later, "replay", "y") > first


async def test_an_older_program_takes_a_generation_beyond_ours(
    tenancy: Tenancy, database: Connection
) -> None:
    taken = await tenancy.next_generation("replay", "x")
    older = "INSERT INTO generations (command, detail) VALUES ('x', '') RETURNING generation"
    assert await database.fetchval(older) > taken


async def test_generations_that_are_taken_at_once_differ(
    stack: Settings, names: Names, database: Connection, vault: Vault
) -> None:
    async with pooled(stack.postgres, names, size=6) as pool:

        async def take() -> int:
            async with pool.acquire() as connection:
                return await Tenancy(connection, vault).next_generation("replay", "x")  # type: ignore[arg-type]

        taken = await asyncio.gather(*(take() for _ in range(12)))
    assert len(set(taken)) == 12


async def test_no_token_begins_like_an_option_of_a_command(
    monkeypatch: pytest.MonkeyPatch, tenancy: Tenancy
) -> None:
    drawn = iter(["-p", "-x", "token", "-s", "secret"])
    monkeypatch.setattr("storage.postgres.tenancy.secrets.token_urlsafe", lambda _: next(drawn))
    await tenancy.add_tenant("acme")
    made = await tenancy.add_endpoint("acme", "chatwoot", secret=None, unsigned=False, api_key=None)
    assert (made.token, made.secrets) in (("token", ("secret",)), ("secret", ("token",)))
