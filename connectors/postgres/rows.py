"""From records to columns. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.records import EnrichedMessage, Quarantined
from schemas.text import storable

Columns = list[list[Any]]
NOTIFY_BYTES = 7_900
"""Postgres refuses a payload of 8000 bytes."""


def newest(messages: Iterable[EnrichedMessage]) -> list[EnrichedMessage]:
    """The highest version of each message: one statement must not touch a row twice."""
    best: dict[tuple[str, str], EnrichedMessage] = {}
    for message in messages:
        key = (message.tenant_id, message.message_key)
        if key not in best or best[key].version < message.version:
            best[key] = message
    return list(best.values())


@dataclass(slots=True)
class MessageColumns:
    """The columns of every table a batch of messages touches; statement name → columns."""

    tables: dict[str, Columns] = field(default_factory=dict)
    touched: set[tuple[str, str]] = field(default_factory=set)


def message_columns(messages: Sequence[EnrichedMessage]) -> MessageColumns:
    rows: dict[str, list[tuple[Any, ...]]] = {"merge_messages": [_message(message) for message in newest(messages)]}
    arrivals = {(m.tenant_id, m.message_key): _arrival(m) for m in reversed(messages)}
    rows["insert_arrivals"] = list(arrivals.values())
    rows["insert_aliases"] = sorted({(m.tenant_id, alias, m.conversation_id) for m in messages for alias in m.aliases})
    rows["insert_objects"] = [row for m in messages for row in _objects(m)]
    rows["insert_steps"] = [row for m in messages for row in _steps(m)]
    tables = {name: [list(column) for column in zip(*table, strict=True)] for name, table in rows.items() if table}
    return MessageColumns(tables, {(m.tenant_id, m.conversation_id) for m in messages})


def _message(m: EnrichedMessage) -> tuple[Any, ...]:
    return (
        m.tenant_id, m.message_key, m.provider, m.conversation_id, m.role, m.direction, m.kind, m.content, m.content_attributes, m.status, m.version,
        m.occurred_at, m.received_at, m.enriched_at, m.sender_id, m.sender_name,
    )  # fmt: skip


def _arrival(m: EnrichedMessage) -> tuple[Any, ...]:
    at = m.source
    return (m.tenant_id, m.provider, m.provider_message_id, m.message_key, at.topic, at.partition, at.offset, m.occurred_at, m.received_at)


def _objects(m: EnrichedMessage) -> list[tuple[Any, ...]]:
    return [
        (m.tenant_id, a.object_key, m.message_key, a.index, a.sha256 or "", a.mime_type or "", a.bytes or 0, a.original_url or "", m.enriched_at)
        for a in m.attachments
        if a.object_key is not None
    ]


def _steps(m: EnrichedMessage) -> list[tuple[Any, ...]]:
    return [(m.tenant_id, m.message_key, s.stage, s.topic, s.partition, s.offset, s.outcome, s.at) for s in m.steps]


def quarantine_columns(records: Sequence[Quarantined]) -> Columns:
    rows = [
        (
            q.tenant_id, q.stage, q.reason, storable(q.detail), storable((q.key or b"").decode(errors="replace")), q.topic, q.partition, q.offset,
            q.created_at, q.key, q.value, json.dumps({name: value.decode("latin-1") for name, value in q.headers.items()}).replace("\\u0000", ""),
            q.program_version,
        )
        for q in records
    ]  # fmt: skip
    return [list(column) for column in zip(*rows, strict=True)]


def notification(touched: Iterable[tuple[str, str]]) -> str:
    """`[[tenant, conversation], …]`, or `*` for more than fits."""
    payload = json.dumps(sorted(touched), separators=(",", ":"), ensure_ascii=False)
    return payload if len(payload.encode()) <= NOTIFY_BYTES else "*"
