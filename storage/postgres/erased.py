"""Messages that were erased. They are known by a digest of their key, so that nothing of them is stored again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from schemas.keys import MessageKey, claim_digest, split_message_key
from schemas.text import storable
from storage.postgres.sql import queries

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
Named = tuple[str, str]
"""A tenant and the key of one of its messages."""


def key_digest(message_key: str) -> bytes:
    """Under which an erased message is remembered: the key may hold a phone number."""
    return claim_digest(message_key.encode(errors="replace"), 0)


@dataclass(frozen=True, slots=True)
class Erased:
    """All erased messages of a tenant, or of all tenants."""

    digests: frozenset[tuple[str, bytes]] = frozenset()

    def has(self, tenant_id: str, key: bytes) -> bool:
        return bool(self.digests) and (tenant_id, claim_digest(key, 0)) in self.digests


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows went."""

    messages: int
    steps: int
    files: int
    arrivals: int
    quarantined: int
    model_answers: int
    aliases: int


async def all_erased(connection: Connection, tenant_id: str | None) -> Erased:
    """For commands that read topics, where erased messages are still seen for a while."""
    rows = await connection.fetch(queries("erased")["all_erased"], tenant_id)
    return Erased(frozenset((row["tenant_id"], row["key_digest"]) for row in rows))


async def erasing_among(connection: Connection, tenants: Iterable[str]) -> frozenset[str]:
    """Which of these tenants have erased a message."""
    asked = list({storable(tenant) for tenant in tenants})
    rows = await connection.fetch(queries("erased")["erasing_tenants"], asked)
    return frozenset(row["tenant_id"] for row in rows)


async def erased_among(connection: Connection, messages: Iterable[Named]) -> frozenset[Named]:
    """Which of these were erased. One look at an index per tenant where none was."""
    asked = set(messages)
    erasing = await erasing_among(connection, {tenant for tenant, _ in asked})
    digests = {(t, key_digest(key)): (t, key) for t, key in asked if t in erasing}
    if not digests:
        return frozenset()
    columns = [list(column) for column in zip(*digests, strict=True)]
    found = await connection.fetch(queries("erased")["erased"], *columns)
    return frozenset(digests[row["tenant_id"], row["key_digest"]] for row in found)


async def remember_erased(connection: Connection, messages: Iterable[Named]) -> None:
    """From the commit on, no sink stores anything of these. The caller holds the removal lock."""
    rows = sorted({(tenant, key_digest(key)) for tenant, key in messages})
    tenants, digests = [row[0] for row in rows], [row[1] for row in rows]
    await connection.execute(queries("erased")["remember_erased"], tenants, digests)


async def forget(connection: Connection, messages: Sequence[Named]) -> Forgotten:
    """Deletes every row about these messages. The caller opens the transaction.

    A recorded answer goes when no other message of the tenant shows the content it is about, and
    the other names of a conversation go with its last message. The audit log keeps that somebody
    looked, and names nobody.
    """
    sql = queries("erased")
    columns = _columns(messages)
    contents = await connection.fetch(sql["contents_of"], *columns[:2])
    conversations = await connection.fetch(sql["conversations_of"], *columns[:2])
    row = await connection.fetchrow(sql["delete_erased"], *columns)
    assert row is not None
    answers = await forget_answers(connection, [(r["tenant_id"], r["sha256"]) for r in contents])
    ended = (
        [r["tenant_id"] for r in conversations],
        [r["conversation_id"] for r in conversations],
    )
    await connection.execute(sql["forget_looks"], *columns[:2], *ended)
    aliases = await connection.execute(sql["delete_aliases_unused"], *ended)
    return Forgotten(**dict(row), model_answers=answers, aliases=_count(aliases))


async def forget_answers(connection: Connection, contents: Sequence[tuple[str, str]]) -> int:
    """Deletes recorded answers about these contents (tenant, sha256) that no message shows."""
    statement = queries("erased")["delete_answers_unshown"]
    tenants, sha256 = [one[0] for one in contents], [one[1] for one in contents]
    return _count(await connection.execute(statement, tenants, sha256)) if contents else 0


def _columns(messages: Sequence[Named]) -> list[list[str]]:
    """Tenants, keys, providers and provider message ids."""
    rows = []
    for tenant, key in messages:
        try:
            _, provider, provider_message_id = split_message_key(MessageKey(key))
        except ValueError:  # the key of something that was never a message
            provider = provider_message_id = ""
        rows.append((tenant, key, provider, provider_message_id))
    return [[row[number] for row in rows] for number in range(4)]


def _count(status: str) -> int:
    """How many rows a statement touched, by the status that Postgres gives."""
    return int(status.rpartition(" ")[2])
