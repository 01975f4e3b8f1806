"""Erases chosen messages and notes it, for the command and for the console."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_never

import asyncpg
from confluent_kafka import KafkaException

from connectors.console.pages.other_roles import EraseKind
from connectors.console.tenant_queue import Busy
from schemas.keys import TenantId, log_digest
from schemas.outcomes import Unavailable
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.counts import CountReader, WrongCounts
from storage.objects.store import ObjectStore, ObjectStoreMisconfigured
from storage.postgres.pool import as_unavailable, connect, keep_setting
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.repair.erasure import (
    Account,
    Erasure,
    ErasureScope,
    choose_contact,
    choose_conversation,
    holdings_of,
)


async def erase_chosen(
    settings: Settings,
    connection: "asyncpg.Connection[asyncpg.Record]",
    tenant: TenantId,
    choice: ErasureScope,
    logged: str,
) -> Account:
    """Erases the messages and notes it in the audit log.

    `logged` says what was erased and names no person. A second call continues what was
    interrupted.
    """
    store = ObjectStore(settings.objects, threads=1)
    try:
        done = await Erasure(settings, connection, store).run(tenant, choice)
    finally:
        await store.close()
    messages, files = (
        f"{count} {noun}{'' if count == 1 else 's'}"
        for count, noun in ((done.messages, "message"), (done.files, "file"))
    )
    tenancy = Tenancy(connection, Vault(settings.secrets.key))
    await tenancy.note(tenant, "messages_erased", f"{logged}: {messages}, {files}")
    return done


async def _choose(
    connection: "asyncpg.Connection[asyncpg.Record]", tenant: TenantId, kind: EraseKind, named: str
) -> ErasureScope:
    match kind:
        case "message":
            return ErasureScope(keys=(named,))
        case "conversation":
            return await choose_conversation(connection, tenant, named)
        case "contact":
            return await choose_contact(connection, tenant, named)
        case _:
            assert_never(kind)


class Erasing:
    """Erases messages for people of the console, one choice at a time.

    It has a connection of its own, because an erasure may take minutes.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = Names(settings.namespace)
        self._turn = asyncio.Lock()

    async def look(self, tenant: TenantId, kind: EraseKind, named: str) -> dict[str, int]:
        """Counts what would be erased. Raises Unavailable, and Busy during an erasure."""
        with as_unavailable():
            async with self._connected("") as connection:
                choice = await _choose(connection, tenant, kind, named)
                return (await holdings_of(connection, tenant, choice)).document()

    async def erase(
        self, tenant: TenantId, kind: EraseKind, named: str, person: str
    ) -> dict[str, int]:
        """Erases what was chosen and returns the counts.

        Raises Busy during another one, and Unavailable, also if the topics have other
        partition counts than the settings say; a second call continues.
        """
        logged = f"{kind} {log_digest(named)}"
        try:
            await asyncio.to_thread(CountReader(self._settings.kafka).require, self._names.topics)
            with as_unavailable():
                async with self._connected(person) as connection:
                    choice = await _choose(connection, tenant, kind, named)
                    done = await erase_chosen(self._settings, connection, tenant, choice, logged)
        except (KafkaException, WrongCounts, ObjectStoreMisconfigured) as error:
            raise Unavailable("kafka", 2.0, detail=str(error)) from error
        return done.document()

    @asynccontextmanager
    async def _connected(self, person: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
        if self._turn.locked():
            raise Busy
        async with self._turn:
            connection = await connect(self._settings.postgres, self._names, "erasure")
            try:
                await keep_setting(connection, "sensorium.actor", person)
                yield connection
            finally:
                await connection.close()
