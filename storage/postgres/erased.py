"""Erased messages, remembered by a digest of their key so that none is stored again."""

import sys
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from schemas.keys import MessageKey, claim_digest, split_message_key
from schemas.text import storable
from storage.postgres.lock_order import columns, in_lock_order
from storage.postgres.sql import queries

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
Named = tuple[str, str]
"""A tenant and the key of one of its messages."""
ERASED_AT_ONCE = 10_000
ERASED_BYTES = 200
"""The memory that an erased message takes in Erased.

It was measured: 139 bytes with a million, and more for a moment while the set grows.
"""


def key_digest(message_key: str) -> bytes:
    """The digest of an erased message. Its key may contain a phone number."""
    return claim_digest(message_key.encode(errors="replace"), 0)


@dataclass(frozen=True, slots=True)
class Erased:
    """The erased messages of a tenant, or of all tenants."""

    digests: Set[tuple[str, bytes]] = frozenset()

    def has(self, tenant_id: str, key: bytes) -> bool:
        return bool(self.digests) and (tenant_id, claim_digest(key, 0)) in self.digests


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The numbers of deleted rows."""

    messages: int
    steps: int
    files: int
    arrivals: int
    quarantined: int
    model_answers: int
    aliases: int


async def all_erased(
    connection: Connection,
    tenant_id: str | None,
    includes: Callable[[str], bool] = lambda tenant_id: True,
) -> Erased:
    """The erased messages of the tenant, or of all, for commands that compare topics with them.

    Without a tenant it returns those of the tenants that `includes` accepts. It reads in
    portions, so that each statement is short. Each returned message takes ERASED_BYTES.
    """
    statement = queries("erased")["some_erased"]
    digests = set[tuple[str, bytes]]()
    at: tuple[str, bytes] = ("", b"")
    while rows := await connection.fetch(statement, tenant_id, *at, ERASED_AT_ONCE):
        at = (rows[-1]["tenant_id"], rows[-1]["key_digest"])
        digests.update(
            (sys.intern(row["tenant_id"]), row["key_digest"])
            for row in rows
            if includes(row["tenant_id"])
        )
    return Erased(digests)


async def about_erased(connection: Connection) -> int:
    """About how many messages of all tenants were erased."""
    count: int = await connection.fetchval(queries("erased")["about_erased"])
    return count


async def erasing_among(connection: Connection, tenants: Iterable[str]) -> frozenset[str]:
    """The tenants among these that have erased a message."""
    names = list({storable(tenant) for tenant in tenants})
    rows = await connection.fetch(queries("erased")["erasing_tenants"], names)
    return frozenset(row["tenant_id"] for row in rows)


async def erased_among(connection: Connection, messages: Iterable[Named]) -> frozenset[Named]:
    """The messages among these that were erased.

    Tenants that have erased nothing cost one index look-up each.
    """
    candidates = set(messages)
    erasing = await erasing_among(connection, {tenant for tenant, _ in candidates})
    digests = {(t, key_digest(key)): (t, key) for t, key in candidates if t in erasing}
    if not digests:
        return frozenset()
    found = await connection.fetch(queries("erased")["erased"], *columns(digests))
    return frozenset(digests[row["tenant_id"], row["key_digest"]] for row in found)


async def remember_erased(connection: Connection, messages: Iterable[Named]) -> None:
    """Marks messages as erased: after the commit, no sink stores anything of them.

    The caller holds the removal lock.
    """
    rows = in_lock_order(dict.fromkeys((tenant, key_digest(key)) for tenant, key in messages))
    if rows:
        await connection.execute(queries("erased")["remember_erased"], *columns(rows))


async def forget(connection: Connection, messages: Collection[Named]) -> Forgotten:
    """Deletes every row about these messages. The caller opens the transaction.

    A recorded answer is deleted if no other message of the tenant has the same content.
    The aliases of a conversation are deleted with its last message. The audit log keeps
    that someone looked at it, without the conversation.
    """
    sql = queries("erased")
    names = _columns(in_lock_order(messages))
    await connection.execute(sql["lock_messages"], *names[:2])
    contents = await connection.fetch(sql["contents_of"], *names[:2])
    conversations = await connection.fetch(sql["conversations_of"], *names[:2])
    row = await connection.fetchrow(sql["delete_erased"], *names)
    assert row is not None
    answers = await forget_answers(connection, [(r["tenant_id"], r["sha256"]) for r in contents])
    ended = (
        [r["tenant_id"] for r in conversations],
        [r["conversation_id"] for r in conversations],
    )
    await connection.execute(sql["forget_looks"], *names[:2], *ended)
    aliases = await connection.execute(sql["delete_aliases_unused"], *ended)
    return Forgotten(**dict(row), model_answers=answers, aliases=_count(aliases))


async def forget_answers(connection: Connection, contents: Sequence[tuple[str, str]]) -> int:
    """Deletes the answers about these (tenant, sha256) that no message shows."""
    statement = queries("erased")["delete_answers_unshown"]
    tenants, sha256 = [tenant for tenant, _ in contents], [digest for _, digest in contents]
    return _count(await connection.execute(statement, tenants, sha256)) if contents else 0


def _columns(messages: Sequence[Named]) -> list[list[str]]:
    """Splits the messages into four lists: tenants, keys, providers and provider message ids."""
    rows = []
    for tenant, key in messages:
        try:
            _, provider, provider_message_id = split_message_key(MessageKey(key))
        except ValueError:  # the key of something that was never a message
            provider = provider_message_id = ""
        rows.append((tenant, key, provider, provider_message_id))
    return [[row[number] for row in rows] for number in range(4)]


def _count(status: str) -> int:
    """The number of rows that a statement affected, from its command tag."""
    return int(status.rpartition(" ")[2])
