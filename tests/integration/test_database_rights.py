"""The role that docs/operating.md describes is enough: an ordinary one with three rights."""

import asyncio
import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest

from schemas.settings import RetentionSettings as Ages
from schemas.settings import Secret, Settings
from storage.postgres.retention import Retention
from tests.integration.commands import Commands, store
from tests.integration.console import key_of, row
from tests.integration.test_commands_readers import as_reader

RIGHTS = {
    "CREATE": "GRANT CREATE ON DATABASE {name} TO {name}",
    "TEMPORARY": "GRANT TEMPORARY ON DATABASE {name} TO {name}",
    "CREATEROLE": "ALTER ROLE {name} CREATEROLE",
}


class Owned:
    """A database of one ordinary role of the same name. Other roles may only connect to it."""

    def __init__(self, stack: Settings) -> None:
        self.name = f"r{secrets.token_hex(4)}"
        self._owner = stack.postgres
        at = urlsplit(stack.postgres.dsn)
        dsn = f"postgresql://{self.name}:pw@{at.hostname}:{at.port}/{self.name}"
        postgres = msgspec.structs.replace(stack.postgres, dsn=Secret(dsn), password=Secret(""))
        settings = msgspec.structs.replace(stack, namespace=self.name, postgres=postgres)
        self.commands = Commands(settings, {})

    def as_superuser(self, *statements: str) -> None:
        async def work() -> None:
            connection = await asyncpg.connect(str(self._owner.dsn))
            try:
                for statement in statements:
                    await connection.execute(statement.format(name=self.name))
            finally:
                await connection.close()

        asyncio.run(work())


@pytest.fixture
def owned(stack: Settings) -> Iterator[Owned]:
    made = Owned(stack)
    made.as_superuser(
        "CREATE ROLE {name} LOGIN PASSWORD 'pw' NOSUPERUSER NOCREATEDB NOCREATEROLE",
        "CREATE DATABASE {name}",
        "REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {name} TO PUBLIC",
    )
    yield made
    made.as_superuser(
        "DROP DATABASE {name} WITH (FORCE)", "DROP ROLE IF EXISTS bi_{name}", "DROP ROLE {name}"
    )


def test_an_ordinary_role_with_three_rights_is_enough(owned: Owned) -> None:
    owned.as_superuser(*RIGHTS.values())
    commands, reader = owned.commands, f"bi_{owned.name}"
    commands.json("migrate")
    commands.json("migrate", "--finish")
    commands.json("tenants", "add", "acme")
    commands.json("endpoints", "add", "acme", "ycloud")
    store(commands, row("1"))
    assert commands.json("trace", key_of("1"))["message"]["message_key"] == key_of("1")
    keeper = Retention(commands.settings.postgres, commands.names, Ages(), 30)
    assert "arrival_records" in asyncio.run(keeper.work())
    made = commands.json("readers", "add", reader)
    assert as_reader(made["dsn"], "SELECT count(*) FROM chat_messages") == 1
    assert [one["name"] for one in commands.json("readers", "list")["readers"]] == [reader]
    commands.json("readers", "remove", reader)


def test_each_of_the_rights_is_needed(owned: Owned) -> None:
    commands = owned.commands
    with pytest.raises(AssertionError, match="permission denied for database"):
        commands.json("migrate")
    owned.as_superuser(RIGHTS["CREATE"])
    commands.json("migrate")
    commands.json("tenants", "add", "acme")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="temporary"):
        store(commands, row("1"))
    owned.as_superuser(RIGHTS["TEMPORARY"])
    store(commands, row("1"))
    assert "CREATEROLE" in commands.fails("readers", "add", f"bi_{owned.name}")
