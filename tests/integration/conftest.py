"""Fixtures that several files of this folder use."""

from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
from cryptography.fernet import Fernet

from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from tests.browser.scene import Scene, staged
from tests.integration.commands import Commands
from tests.integration.console import Console, running
from tests.integration.databases import Connection, schema
from tests.integration.people import Visitor, visiting


@pytest.fixture
def tables(stack: Settings, namespace: str) -> Iterator[Commands]:
    """A namespace with tables and without topics."""
    made = Commands(msgspec.structs.replace(stack, namespace=namespace), {})
    made.make_tables()
    yield made
    made.drop_tables()


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    """A console that is served."""
    async with staged(stack, Names(namespace)) as made:
        yield made


@pytest.fixture
async def visitor(scene: Scene) -> AsyncIterator[Visitor]:
    """An admin of every tenant."""
    async with visiting(scene, "ana") as made:
        yield made


@pytest.fixture
async def adam(scene: Scene) -> AsyncIterator[Visitor]:
    """An admin of acme only."""
    await scene.person("adam", "admin")
    async with visiting(scene, "adam") as made:
        yield made


@pytest.fixture
def commands(tables: Commands) -> Commands:
    """A namespace with tables and topics."""
    tables.make_topics()
    return tables


@pytest.fixture
def acme(tables: Commands) -> Commands:
    """A namespace with tables, without topics, and with the tenant acme."""
    tables.json("tenants", "add", "acme")
    return tables


@pytest.fixture
def names(namespace: str) -> Names:
    return Names(namespace)


@pytest.fixture
async def database(stack: Settings, names: Names) -> AsyncIterator[Connection]:
    async with schema(stack.postgres, names) as connection:
        yield connection


@pytest.fixture
def vault() -> Vault:
    return Vault(Fernet.generate_key().decode())


@pytest.fixture
def tenancy(database: Connection, vault: Vault) -> Tenancy:
    return Tenancy(database, vault)


@pytest.fixture
async def console(stack: Settings, namespace: str) -> AsyncIterator[Console]:
    async with running(stack, Names(namespace)) as running_:
        yield running_
