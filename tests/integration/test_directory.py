"""The copy of tenants, endpoints and keys knows each change, whatever goes wrong meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from cryptography.fernet import Fernet
from prometheus_client import REGISTRY

from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.settings import Postgres, Secret, Settings
from schemas.tenants import ApiKey
from schemas.topics import Names
from storage.postgres import directory as directory_module
from storage.postgres.directory import Directory, key_id
from storage.postgres.pool import connect
from storage.postgres.tenancy import Tenancy
from storage.postgres.tenant_index import TenantIndex
from storage.postgres.vault import Vault
from tests.integration.databases import Connection, connected
from tests.integration.waiting import until

CHANGES, PROMISED_SECONDS = 10, 2.0
KNOWN_WITHIN_SECONDS = 25.0
"""Shorter than the time after which a role queries changes without a notification."""
ACME = TenantId("acme")


@pytest.fixture
async def directory(
    stack: Settings, names: Names, database: Connection, vault: Vault
) -> AsyncIterator[Directory]:
    opened = Directory(stack.postgres, names, vault)
    await opened.start()
    try:
        await asyncio.wait_for(opened.wait_loaded(), 60)
        yield opened
    finally:
        await opened.stop()


@pytest.mark.parametrize(
    ("table", "column"), [("webhook_endpoints", "sealed"), ("tenants", "settings")]
)
@pytest.mark.parametrize("contents", ["under another key", "not sealed", "not what it should be"])
async def test_a_row_that_cannot_be_opened_costs_only_its_owner(
    table: str,
    column: str,
    contents: str,
    directory: Directory,
    database: Connection,
    tenancy: Tenancy,
    vault: Vault,
) -> None:
    bad = {
        "under another key": Vault(Fernet.generate_key().decode()).seal(b"{}"),
        "not sealed": b"",
        "not what it should be": vault.seal(b'{"rate": "much"'),
    }[contents]
    endpoints = {}
    for name in ("acme", "other"):
        await tenancy.add_tenant(name)
        endpoints[name] = await tenancy.add_endpoint(
            name, "ycloud", secret="s", unsigned=False, api_key=None
        )
    await until(lambda: directory.endpoint(endpoints["other"].token) is not None)
    before = await database.fetchval(f"SELECT {column} FROM {table} WHERE tenant_id = 'acme'")
    change = f"UPDATE {table} SET {column} = $1 WHERE tenant_id = 'acme'"
    await database.execute(change, bad)

    def is_refused() -> bool:
        try:
            directory.endpoint(endpoints["acme"].token)
            directory.tenant(ACME)
        except Unavailable:
            return True
        return False

    await until(is_refused)
    gauge = {"table": table}
    assert REGISTRY.get_sample_value("sensorium_directory_unreadable_rows", gauge) == 1
    await tenancy.add_tenant("later")
    assert (
        await until(lambda: directory.tenant(TenantId("later")) is not None) < KNOWN_WITHIN_SECONDS
    )
    assert directory.healthy and directory.endpoint(endpoints["other"].token) == endpoints["other"]
    await database.execute(change, before)
    assert await until(lambda: not is_refused()) < KNOWN_WITHIN_SECONDS
    assert directory.endpoint(endpoints["acme"].token) == endpoints["acme"]


async def test_the_contents_of_one_row_are_not_taken_for_those_of_another(
    directory: Directory, database: Connection, tenancy: Tenancy
) -> None:
    endpoints = {}
    for name in ("acme", "other"):
        await tenancy.add_tenant(name)
        endpoints[name] = await tenancy.add_endpoint(
            name, "ycloud", secret=name, unsigned=False, api_key=None
        )
    await database.execute(
        "UPDATE webhook_endpoints AS here SET sealed = there.sealed FROM webhook_endpoints AS there "
        "WHERE here.tenant_id = 'acme' AND there.tenant_id = 'other'"
    )

    def is_refused() -> bool:
        try:
            return directory.endpoint(endpoints["acme"].token) is not None and False
        except Unavailable:
            return True

    await until(is_refused)
    assert directory.endpoint(endpoints["other"].token) == endpoints["other"]


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InvalidPasswordError("no"),
        asyncpg.InsufficientPrivilegeError("no"),
        asyncpg.UndefinedTableError("no"),
        RuntimeError("a bug"),
        KeyError("also a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("fails", ["connecting", "reading"])
async def test_a_directory_outlives_whatever_its_reading_raises(
    fails: str,
    error: Exception,
    stack: Settings,
    names: Names,
    vault: Vault,
    tenancy: Tenancy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await tenancy.add_tenant("acme")
    await tenancy.add_key("acme", "read")
    left = [error, error]

    async def refusing(*arguments: Any) -> Connection:
        if fails == "connecting" and left:
            raise left.pop()
        return await connect(*arguments)

    class Reading(directory_module.TenantIndex):
        def add_keys(self, rows: Any) -> None:
            if fails == "reading" and left:
                raise left.pop()
            super().add_keys(rows)

    monkeypatch.setattr(directory_module, "connect_directly", refusing)
    monkeypatch.setattr(directory_module, "TenantIndex", Reading)
    directory = Directory(stack.postgres, names, vault)
    await directory.start()
    try:
        await until(lambda: directory.tenant(ACME) is not None)
        assert not left and directory.healthy
        key = await tenancy.add_key("acme", "read")
        assert await until(lambda: directory.key(key) is not None) < KNOWN_WITHIN_SECONDS
    finally:
        await directory.stop()


async def test_a_directory_that_stays_refused_is_not_healthy_and_one_whose_database_is_away_is(
    stack: Settings, names: Names, vault: Vault, tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "REFUSED_SECONDS", 0.3)
    await tenancy.add_tenant("acme")
    opened: list[Connection] = []
    errors: list[Exception] = []

    async def sometimes(*arguments: Any) -> Connection:
        if errors:
            raise errors[-1]
        opened.append(await connect(*arguments))
        return opened[-1]

    monkeypatch.setattr(directory_module, "connect_directly", sometimes)
    directory = Directory(stack.postgres, names, vault)
    await directory.start()
    try:
        await until(lambda: directory.tenant(ACME) is not None)
        errors.append(OSError("away"))
        opened[-1].terminate()
        await until(lambda: directory.age_seconds() > 0.6)
        assert directory.healthy, "an outage of Postgres is no reason to turn traffic away"
        errors.append(asyncpg.InvalidPasswordError("refused"))
        await until(lambda: not directory.healthy)
        assert directory.tenant(ACME) is not None, "the last copy still serves"
        errors.clear()
        await until(lambda: directory.healthy)
    finally:
        await directory.stop()


async def test_a_directory_whose_task_is_over_is_not_healthy(directory: Directory) -> None:
    assert directory.healthy
    await directory.stop()
    assert directory.loaded and not directory.healthy


async def test_a_change_that_no_notification_told_is_found_by_its_number(
    stack: Settings, names: Names, tenancy: Tenancy, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(Directory, "_note_change", lambda *_: None)
    directory = Directory(stack.postgres, names, vault)
    await directory.start()
    try:
        await asyncio.wait_for(directory.wait_loaded(), 60)
        async with connected(stack.postgres, names) as slow, slow.transaction():
            await Tenancy(slow, vault).add_tenant("begun-first")
            await tenancy.add_tenant("done-first")
            await until(lambda: directory.tenant(TenantId("done-first")) is not None)
            looks = directory.age_seconds
            await until(lambda: looks() > 0.05)
            await until(lambda: looks() < 0.05)
            assert directory.tenant(TenantId("begun-first")) is None
        await until(lambda: directory.tenant(TenantId("begun-first")) is not None)
        key = await tenancy.add_key("done-first", "read")
        await until(lambda: directory.key(key) is not None)
        await tenancy.revoke_key(key_id(key))
        await until(lambda: directory.key(key) is None)
    finally:
        await directory.stop()


async def test_a_change_makes_a_role_read_the_rows_of_one_tenant(
    directory: Directory, tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[str]] = []
    exchange = TenantIndex.exchange

    def noted(self: TenantIndex, changed: list[str], *rows: Any) -> None:
        read.append(changed)
        exchange(self, changed, *rows)

    async def everything(*_: Any) -> str:
        raise AssertionError("a change is no reason to read everything")

    monkeypatch.setattr(TenantIndex, "exchange", noted)
    monkeypatch.setattr(Directory, "_read_all", everything)
    for name in ("acme", "other"):
        await tenancy.add_tenant(name)
        await until(lambda name=name: directory.tenant(TenantId(name)) is not None)  # type: ignore[misc]
    endpoint = await tenancy.add_endpoint(
        "acme", "ycloud", secret="s", unsigned=False, api_key=None
    )
    await until(lambda: directory.endpoint(endpoint.token) is not None)
    assert read == [["acme"], ["other"], ["acme"]]


async def test_changes_are_known_in_every_role_within_two_seconds_except_when_the_machine_is_busy(
    stack: Settings, names: Names, tenancy: Tenancy, directory: Directory, vault: Vault
) -> None:
    """At least half of the changes, because a busy machine may delay any one of them."""
    other = Directory(stack.postgres, names, vault)
    await other.start()
    try:
        await asyncio.wait_for(other.wait_loaded(), 60)
        seconds = []
        for number in range(CHANGES):
            name = TenantId(f"tenant-{number}")
            await tenancy.add_tenant(name)
            seconds.append(
                await until(lambda: all(one.tenant(name) is not None for one in (directory, other)))  # noqa: B023
            )
        assert sum(one < PROMISED_SECONDS for one in seconds) >= CHANGES / 2, seconds
    finally:
        await other.stop()


async def test_a_change_made_with_another_search_path_is_told_too(
    directory: Directory, database: Connection, names: Names, tenancy: Tenancy
) -> None:
    await tenancy.add_tenant("acme")
    key = await tenancy.add_key("acme", "read")
    await until(lambda: directory.key(key) is not None)
    await database.execute("SET search_path = public")
    await database.execute(f'DELETE FROM "{names.postgres_schema}".api_keys')
    assert await until(lambda: directory.key(key) is None) < KNOWN_WITHIN_SECONDS


# --- changes


async def test_what_is_added_is_known_at_once_and_survives_as_it_was_given(
    directory: Directory, tenancy: Tenancy
) -> None:
    await tenancy.add_tenant("acme")
    endpoint = await tenancy.add_endpoint(
        "acme", "ycloud", secret="s", unsigned=False, api_key="yk"
    )
    key = await tenancy.add_key("acme", "read")
    assert await until(lambda: directory.key(key) is not None) < KNOWN_WITHIN_SECONDS
    assert (
        directory.endpoint(endpoint.token)
        == endpoint
        == directory.endpoint_by_id(endpoint.endpoint_id)
    )
    assert directory.key(key) == ApiKey(tenant_id=ACME, scope="read")
    assert directory.provider_key(ACME, "ycloud") == "yk"
    assert (
        directory.provider_key(ACME, "chatwoot"),
        directory.provider_key(TenantId("other"), "ycloud"),
    ) == (None, None)
    assert (
        directory.endpoint("other"),
        directory.key("other"),
        directory.tenant(TenantId("other")),
    ) == (None, None, None)


async def test_a_changed_setting_and_a_rotated_secret_are_known_at_once(
    directory: Directory, tenancy: Tenancy
) -> None:
    await tenancy.add_tenant("acme")
    endpoint = await tenancy.add_endpoint(
        "acme", "ycloud", secret="old", unsigned=False, api_key=None
    )
    await tenancy.set_tenant("acme", {"language": "es"})
    _, new = await tenancy.rotate(endpoint.token, drop=None)

    def both_known() -> bool:
        tenant, now = directory.tenant(ACME), directory.endpoint(endpoint.token)
        return (
            tenant is not None
            and tenant.settings.language == "es"
            and now is not None
            and now.secrets == (new, "old")
        )

    assert await until(both_known) < KNOWN_WITHIN_SECONDS


async def test_what_is_deleted_is_forgotten_at_once(
    directory: Directory, database: Connection, tenancy: Tenancy
) -> None:
    await tenancy.add_tenant("acme")
    key = await tenancy.add_key("acme", "admin")
    await until(lambda: directory.key(key) is not None)
    await database.execute("DELETE FROM api_keys")
    assert await until(lambda: directory.key(key) is None) < KNOWN_WITHIN_SECONDS


async def test_a_directory_whose_connection_is_cut_continues_and_catches_up(
    stack: Settings,
    names: Names,
    database: Connection,
    vault: Vault,
    tenancy: Tenancy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pids: list[int] = []

    async def noted(*arguments: Any) -> Connection:
        connection = await connect(*arguments)
        pids.append(connection.get_server_pid())
        return connection

    monkeypatch.setattr("storage.postgres.directory.connect_directly", noted)
    await tenancy.add_tenant("acme")
    before = await tenancy.add_key("acme", "read")
    directory = Directory(stack.postgres, names, vault)
    await directory.start()
    try:
        await until(lambda: directory.key(before) is not None)
        for times in (1, 2):
            assert await database.fetchval("SELECT pg_terminate_backend($1)", pids[-1])
            assert directory.loaded and directory.key(before) is not None
            while_away = await tenancy.add_key("acme", "read")
            await until(lambda key=while_away: directory.key(key) is not None)  # type: ignore[misc]
            assert directory.key(before) is not None
            later = await tenancy.add_key("acme", "read")
            assert (
                await until(lambda key=later: directory.key(key) is not None) < KNOWN_WITHIN_SECONDS
            ), "it listens again"  # type: ignore[misc]
            assert len(pids) == times + 1
    finally:
        await directory.stop()


async def test_without_a_database_a_directory_waits_and_says_that_it_is_not_loaded(
    names: Names, vault: Vault
) -> None:
    away = Directory(Postgres(dsn=Secret("postgresql://nobody@127.0.0.1:9/none")), names, vault)
    await away.start()
    try:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(away.wait_loaded(), 0.5)
        assert (away.loaded, away.endpoint("x")) == (False, None)
    finally:
        await away.stop()


async def test_a_directory_whose_key_opens_nothing_is_loaded_and_not_healthy(
    stack: Settings, names: Names, database: Connection, tenancy: Tenancy
) -> None:
    await tenancy.add_tenant("acme")
    other = Directory(stack.postgres, names, Vault(Fernet.generate_key().decode()))
    await other.start()
    try:
        await asyncio.wait_for(other.wait_loaded(), 60)
        assert not other.healthy
        with pytest.raises(Unavailable, match="SENSORIUM_SECRETS__KEY"):
            other.tenant(ACME)
    finally:
        await other.stop()
