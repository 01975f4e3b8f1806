"""Erases messages of a tenant: rows, files, recorded answers, quarantined records, and
their versions on the topics.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial

import asyncpg

from connectors.console.pages.refs import page_refs
from connectors.providers.numbers import forms_of
from schemas.keys import TenantId
from schemas.providers import PROVIDERS
from schemas.settings import Settings
from storage import failpoints
from storage.objects.store import ObjectMissing, ObjectStore
from storage.postgres.erased import Forgotten, forget, remember_erased
from storage.postgres.lock_order import despite_deadlocks
from storage.postgres.sql import queries
from storage.postgres.vault import Vault
from streams.repair.tombstones import Tombstones

CHUNK = 500


@dataclass(frozen=True, slots=True)
class ErasureScope:
    """The messages to erase: those with these keys, those of these conversations, and
    those that these customers sent.
    """

    keys: tuple[str, ...] = ()
    conversations: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    shared: tuple[str, ...] = field(default=(), compare=False)
    """Conversations with other customers, of which only the contact's own messages are erased."""

    def columns(self) -> tuple[list[str], list[str], list[str]]:
        return list(self.keys), list(self.conversations), list(self.senders)


@dataclass(slots=True)
class Account:
    """Counts of what is stored for the chosen messages, or of what was erased."""

    messages: int = 0
    unfinished: int = 0
    conversations: int = 0
    files: int = 0
    file_bytes: int = 0
    model_answers: int = 0
    shared_answers: int = 0
    quarantined: int = 0
    arrivals: int = 0
    steps: int = 0
    aliases: int = 0
    tombstones: int = 0

    def document(self) -> dict[str, int]:
        return asdict(self)


async def choose_conversation(
    connection: "asyncpg.Connection[asyncpg.Record]", tenant: TenantId, conversation_id: str
) -> ErasureScope:
    """Chooses a conversation under all of its ids, as a context shows it."""
    rows = await connection.fetch(queries("console")["conversation_ids"], tenant, [conversation_id])
    return ErasureScope(conversations=tuple(row["id"] for row in rows))


async def choose_contact(
    connection: "asyncpg.Connection[asyncpg.Record]", tenant: TenantId, contact: str
) -> ErasureScope:
    """Chooses the conversations in which the contact is the only customer, and the
    contact's messages in others.

    `contact` is a phone number, with or without `+`, or the id that `sender_id` shows.
    """
    digits = contact.removeprefix("+")
    names = {contact, *(forms_of(digits) if digits.isdigit() else ())}
    names |= {f"+{name}" for name in names if name.isdigit()}
    senders = tuple(sorted(names))
    rows = await connection.fetch(
        queries("erased")["conversations_of_contact"], tenant, list(senders), _named_by_customer()
    )
    return ErasureScope(
        conversations=tuple(row["conversation_id"] for row in rows if not row["is_shared"]),
        senders=senders,
        shared=tuple(row["conversation_id"] for row in rows if row["is_shared"]),
    )


def _named_by_customer() -> list[str]:
    """The providers whose conversations have no id other than their customer's."""
    return [name for name, traits in PROVIDERS.items() if traits.conversation_is_customer]


async def holdings_of(
    connection: "asyncpg.Connection[asyncpg.Record]", tenant: TenantId, choice: ErasureScope
) -> Account:
    """Counts what `Erasure.run` would erase. Changes nothing."""
    row = await connection.fetchrow(queries("erased")["holdings_of"], tenant, *choice.columns())
    return Account(**dict(row or {}))


class Erasure:
    """Erases the chosen messages. Raises Unavailable; a second call continues."""

    def __init__(
        self,
        settings: Settings,
        connection: "asyncpg.Connection[asyncpg.Record]",
        store: ObjectStore,
    ) -> None:
        self._connection = connection
        self._store = store
        self._tombstones = Tombstones(settings)
        self._refs = page_refs(Vault(settings.secrets.key))
        self._sql = queries("erased")

    async def run(self, tenant: TenantId, choice: ErasureScope) -> Account:
        """Erases portion by portion until no row is left.

        Keys without a row are remembered too, because their rows may be on their way.
        """
        total = await holdings_of(self._connection, tenant, choice)
        done = Account(unfinished=total.unfinished, conversations=total.conversations)
        done.shared_answers = total.shared_answers
        keys: Sequence[str] = choice.keys
        while True:
            rows = await self._connection.fetch(
                self._sql["some_chosen"], tenant, *choice.columns(), CHUNK
            )
            messages = {row["message_key"]: row["conversation_id"] for row in rows}
            if not (messages or keys):
                return done
            await self._portion(tenant, messages, {*messages, *keys}, done)
            keys = ()

    async def _portion(
        self, tenant: TenantId, messages: dict[str, str], keys: set[str], done: Account
    ) -> None:
        """Erases one portion.

        Rows are deleted last, because a second run needs them to find what the first
        one left.

        1. Remember the messages as erased. From now on no sink stores anything about
           them.
        2. Delete the files.
        3. Write the tombstones, outside of a transaction. After a crash they are
           written again.
        4. Delete the rows. They were counted before, because a sink that has read a
           tombstone may have deleted them already.
        """
        named = [(str(tenant), key) for key in sorted(keys)]
        held = await holdings_of(self._connection, tenant, ErasureScope(keys=tuple(sorted(keys))))
        async with self._connection.transaction():  # 1
            await self._connection.execute(queries("tenancy")["removal_lock"])
            await remember_erased(self._connection, named)
        failpoints.reached("erase_remembered")
        for row in await self._connection.fetch(self._sql["files_of"], tenant, sorted(keys)):  # 2
            await self._delete_file(row["object_key"])
            done.files += 1
            done.file_bytes += row["bytes"]
        failpoints.reached("erase_files_gone")
        done.tombstones += await asyncio.to_thread(  # 3
            self._tombstones.write, tenant, messages.items()
        )
        failpoints.reached("erase_buried")
        gone = await despite_deadlocks(partial(self._delete_rows, tenant, keys, messages))  # 4
        for one in fields(gone):
            if one.name != "files":
                rows = max(getattr(gone, one.name), getattr(held, one.name))
                setattr(done, one.name, getattr(done, one.name) + rows)

    async def _delete_rows(
        self, tenant: TenantId, keys: set[str], messages: dict[str, str]
    ) -> Forgotten:
        async with self._connection.transaction():
            ids = await self._ids_of(tenant, set(messages.values()))
            gone = await forget(self._connection, [(str(tenant), key) for key in sorted(keys)])
            await self._forget_pages_seen(tenant, keys, ids)
        return gone

    async def _ids_of(self, tenant: TenantId, conversations: set[str]) -> dict[str, list[str]]:
        """Returns every id under which a page may have named each of these conversations."""
        statement = queries("console")["conversation_ids"]
        return {
            one: [row["id"] for row in await self._connection.fetch(statement, tenant, [one])]
            for one in conversations
        }

    async def _forget_pages_seen(
        self, tenant: TenantId, keys: set[str], ids: dict[str, list[str]]
    ) -> None:
        """Removes from the audit log which messages and conversations were viewed, but
        not that someone viewed one.
        """
        rows = await self._connection.fetch(self._sql["conversations_left"], tenant, list(ids))
        ended = ids.keys() - {row["conversation_id"] for row in rows}
        named = {name for one in ended for name in (one, *ids[one])}
        refs = [ref for name in named for ref in self._refs.of_every_key(tenant, "c", name)]
        await self._connection.execute(self._sql["forget_pages_seen"], tenant, list(keys), refs)

    async def _delete_file(self, key: str) -> None:
        with contextlib.suppress(ObjectMissing):
            await self._store.delete(key)
