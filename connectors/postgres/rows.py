"""From records to columns. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from schemas.keys import MessageKey, TenantId, body_id, split_message_key
from schemas.receipts import Line, lines_of
from schemas.records import EnrichedMessage, Quarantined, Receipt, Source
from schemas.text import storable

Columns = list[list[Any]]
DELIVERY_KEY_COLUMN = 3
"""Where the message key is among the columns of a delivery."""
FIRST_OPENINGS = 1_000
"""No version of generation 0 is higher."""
NOTIFY_BYTES = 7_900
"""Postgres refuses a payload of 8000 bytes."""


def newest(messages: Iterable[EnrichedMessage]) -> list[EnrichedMessage]:
    """The version of each message that the row shows: one statement must not touch a row twice. A
    message keeps its first arrival.
    """
    best: dict[tuple[str, str], EnrichedMessage] = {}
    for message in messages:
        key = (message.tenant_id, message.message_key)
        known = best.get(key, message)
        newer = message if known is message or replaces(message, known) else known
        first = min(known.received_at, message.received_at)
        best[key] = (
            newer
            if newer.received_at == first
            else msgspec.structs.replace(newer, received_at=first)
        )
    return list(best.values())


def is_redone(message: EnrichedMessage) -> bool:
    """Whether a repair (a generation above 0) has still to finish it."""
    return message.status == "pending" and message.version > FIRST_OPENINGS


def replaces(new: EnrichedMessage, old: EnrichedMessage) -> bool:
    """Whether, of two versions that meet in a batch, `new` is the one for the row; the guard of `merge_messages` in Python.

    A finished message stays as it is until the version that redoes it is finished, too. So an older
    version that is finished takes the place of one that a repair has still to finish: the row, if it
    is finished, refuses that one and would get neither.
    """
    if new.version > old.version:
        return old.status == "pending" or not is_redone(new)
    return is_redone(old) and new.status != "pending"


@dataclass(slots=True)
class MessageColumns:
    """The columns of every table a batch of messages touches; statement name → columns."""

    tables: dict[str, Columns] = field(default_factory=dict)
    touched: set[tuple[str, str]] = field(default_factory=set)


def message_columns(messages: Sequence[EnrichedMessage]) -> MessageColumns:
    rows: dict[str, list[tuple[Any, ...]]] = {
        "merge_messages": [_message(message) for message in newest(messages)]
    }
    rows["mark_redoing"] = _redoing(messages)
    arrivals = {(m.tenant_id, m.message_key): _arrival(m) for m in reversed(messages)}
    rows["insert_arrivals"] = list(arrivals.values())
    rows["insert_aliases"] = sorted(
        {(m.tenant_id, alias, m.conversation_id) for m in messages for alias in m.aliases}
    )
    rows["insert_objects"] = [row for m in messages for row in _objects(m)]
    rows["insert_steps"] = [row for m in messages for row in _steps(m)]
    tables = {name: in_lock_order(table) for name, table in rows.items() if table}
    return MessageColumns(tables, {(m.tenant_id, m.conversation_id) for m in messages})


def in_lock_order(rows: Iterable[tuple[Any, ...]]) -> Columns:
    """The columns of the rows, sorted as every writer sorts them: by the first three, which hold or begin their key.

    Two sinks that touch the same rows, by whichever of their statements, wait for each other, and
    never in a ring.
    """
    return [list(column) for column in zip(*sorted(rows, key=lambda row: row[:3]), strict=True)]


def _redoing(messages: Iterable[EnrichedMessage]) -> list[tuple[Any, ...]]:
    """Key and highest version of each message that a repair has still to finish."""
    highest: dict[tuple[str, str], int] = {}
    for m in messages:
        if is_redone(m):
            key = (m.tenant_id, m.message_key)
            highest[key] = max(m.version, highest.get(key, 0))
    return [(*key, version) for key, version in highest.items()]


def _message(m: EnrichedMessage) -> tuple[Any, ...]:
    return (
        m.tenant_id, m.message_key, m.provider, m.conversation_id, m.role, m.direction, m.kind, m.content, m.content_attributes, m.status, m.version,
        m.occurred_at, m.received_at, m.enriched_at, m.sender_id, m.sender_name, m.endpoint_id,
    )  # fmt: skip


def _arrival(m: EnrichedMessage) -> tuple[Any, ...]:
    at = m.source
    return (
        m.tenant_id,
        m.provider,
        m.provider_message_id,
        m.message_key,
        at.topic,
        at.partition,
        at.offset,
        m.occurred_at,
        m.received_at,
    )


def _objects(m: EnrichedMessage) -> list[tuple[Any, ...]]:
    return [
        (
            m.tenant_id,
            a.object_key,
            m.message_key,
            a.index,
            a.sha256 or "",
            a.mime_type or "",
            a.bytes or 0,
            a.original_url or "",
            m.enriched_at,
        )
        for a in m.attachments
        if a.object_key is not None
    ]


def _steps(m: EnrichedMessage) -> list[tuple[Any, ...]]:
    return [
        (m.tenant_id, m.message_key, s.stage, s.topic, s.partition, s.offset, s.outcome, s.at)
        for s in m.steps
    ]


def ended_by(tombstone: bytes) -> set[tuple[str, str]]:
    """Tenant and key of the message that a tombstone ends; nothing for a key that is no message's."""
    text = storable(tombstone.decode(errors="replace"))
    return {(text.partition(":")[0], text)} if text.count(":") >= 2 else set()


@dataclass(slots=True)
class _Delivered:
    """One key of a batch of receipts: its last word but for duplicates, and how often it came."""

    line: Line
    source: Source
    deliveries: int = 0


def delivery_columns(receipts: Iterable[Receipt], removed: frozenset[str] = frozenset()) -> Columns:
    """A row for each key that dedupe settled, without those of removed tenants.

    Work that is redone (a generation) is no delivery.
    """
    gone = {tenant.encode() for tenant in removed}
    keys: dict[bytes, _Delivered] = {}
    for receipt in receipts:
        if receipt.stage != "dedupe":
            continue
        for line in lines_of(receipt):
            if gone and line.key.partition(b":")[0] in gone:
                continue
            known = keys.get(line.key)
            if known is None:
                known = keys[line.key] = _Delivered(
                    line,
                    Source(topic=receipt.topic, partition=receipt.partition, offset=line.offset),
                )
            elif line.outcome != "duplicate" and known.line.outcome != "forwarded":
                known.line = line
            known.deliveries += line.generation == 0
    return in_lock_order(_delivery(key, one) for key, one in keys.items())


def _delivery(key: bytes, one: _Delivered) -> tuple[Any, ...]:
    text = storable(key.decode(errors="replace"))
    try:
        tenant_id, provider, provider_message_id = split_message_key(MessageKey(text))
    except ValueError:  # not one of the receiver's
        tenant_id, provider, provider_message_id = TenantId("unknown"), "unknown", body_id(key)
    at, line = one.source, one.line
    received_at = datetime.fromtimestamp(max(0, line.received_ms) / 1000, UTC)
    return (
        tenant_id, provider, provider_message_id, text, at.topic, at.partition, at.offset, received_at, line.outcome, line.reason, one.deliveries,
    )  # fmt: skip


def quarantine_columns(records: Sequence[Quarantined], topic_ids: Mapping[str, str]) -> Columns:
    """`topic_ids`: name → id of the topics that there are now."""
    return in_lock_order(
        (
            storable(q.stage), storable(q.topic), q.partition, storable(q.tenant_id), storable(q.reason), storable(q.detail),
            storable((q.key or b"").decode(errors="replace")), q.offset, q.created_at, q.key, q.value,
            json.dumps({storable(name): storable(value.decode("latin-1")) for name, value in q.headers.items()}),
            storable(q.program_version), topic_ids.get(q.topic, ""),
        )
        for q in records
    )  # fmt: skip


def bare_quarantined(q: Quarantined, why: str, *, is_empty: bool = False) -> Quarantined:
    """The record of which Postgres refused something: its place and its bytes, or (`is_empty`) its place alone."""
    return msgspec.structs.replace(
        q,
        tenant_id=TenantId("unknown"),
        reason="record_unstorable",
        detail=f"this record of quarantine could not be stored as it is: {why}",
        key=None if is_empty else q.key,
        value=None if is_empty else q.value,
        headers={},
    )


def notifications(touched: Iterable[tuple[str, str]]) -> list[str]:
    """`[[tenant, conversation], …]`, as many as it takes; `*` for a name that fits into none."""
    payloads: list[str] = []
    entries: list[str] = []
    size = 2
    for pair in sorted(touched):
        entry = json.dumps(pair, separators=(",", ":"), ensure_ascii=False)
        entry_bytes = len(entry.encode()) + 1
        if entry_bytes + 2 > NOTIFY_BYTES:
            return ["*"]
        if size + entry_bytes > NOTIFY_BYTES:
            payloads.append(f"[{','.join(entries)}]")
            entries, size = [], 2
        entries.append(entry)
        size += entry_bytes
    return [*payloads, f"[{','.join(entries)}]"] if entries else payloads
