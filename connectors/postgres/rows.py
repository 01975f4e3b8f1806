"""Converts records to columns. Pure."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from schemas.keys import MessageKey, TenantId, body_id, split_message_key
from schemas.receipts import Line, lines_of
from schemas.records import EnrichedMessage, Quarantined, Receipt, Step
from schemas.text import storable
from storage.postgres.lock_order import columns, in_lock_order

Columns = list[list[Any]]
STAGED_COLUMNS = (
    "tenant_id", "message_key", "provider", "conversation_id", "role", "direction", "kind",
    "content", "content_attributes", "status", "version", "occurred_at", "received_at",
    "enriched_at", "sender_id", "sender_name", "endpoint_id", "steps",
)  # fmt: skip
"""The columns of the staged rows of messages."""
_KEY = itemgetter(0, 1)
_PLACE = itemgetter(0, 1, 2, 7)
"""Stage, topic, partition and offset of a row of quarantine."""
_JSON = msgspec.json.Encoder()
_JSON_IN = msgspec.json.Decoder(dict[str, Any])
VERSIONS_OF_AN_OPENING = 200
FIRST_OPENINGS = 1_000
"""No version of generation 0 is higher."""
MOST_AGAIN = 100
"""The times of this many repeated deliveries are kept per key and batch."""
NOTIFY_BYTES = 7_900
"""Postgres refuses a payload of 8000 bytes."""


def newest(messages: Iterable[EnrichedMessage]) -> list[EnrichedMessage]:
    """The version of each message to show in the row, with the time of its first arrival.

    A statement must not touch a row twice.
    """
    best: dict[tuple[str, str], EnrichedMessage] = {}
    for message in messages:
        key = (message.tenant_id, message.message_key)
        known = best.get(key, message)
        newer = known
        if message is not known and replaces(message, known):
            newer = _keeping_files(message, known)
        first = min(known.received_at, message.received_at)
        best[key] = (
            newer
            if newer.received_at == first
            else msgspec.structs.replace(newer, received_at=first)
        )
    return list(best.values())


def _keeping_files(new: EnrichedMessage, old: EnrichedMessage) -> EnrichedMessage:
    """`new` with those stored files of `old` that it lacks.

    This is `lost_files` and `with_files` of `merge_messages` in Python.
    """
    known = {one.index for one in new.attachments}
    indexes = {one.index for one in old.attachments if one.url is not None} - known
    if not indexes:
        return new
    shown, document = (
        _JSON_IN.decode(old.content_attributes),
        _JSON_IN.decode(new.content_attributes),
    )
    joined = {name: shown[name] for name in ("description", "transcript") if name in shown}
    files = [one for one in shown.get("attachments", ()) if one.get("index") in indexes]
    document = joined | document | {"attachments": document.get("attachments", []) + files}
    return msgspec.structs.replace(
        new,
        kind=old.kind,
        status="degraded" if (new.status, old.status) == ("complete", "degraded") else new.status,
        attachments=new.attachments + tuple(one for one in old.attachments if one.index in indexes),
        content_attributes=msgspec.json.encode(document).decode(),
    )


def is_redone(message: EnrichedMessage) -> bool:
    """True if a repair (a generation above 0) still has to finish the message."""
    return message.status == "pending" and message.version > FIRST_OPENINGS


def replaces(new: EnrichedMessage, old: EnrichedMessage) -> bool:
    """True if `new` replaces `old` in the row; the guard of `merge_messages` in Python.

    A finished message stays as it is until the version of a repair is finished too. So
    an older version that is finished replaces one that a repair still has to finish: if
    the row is finished, it refuses the latter and would get neither.
    """
    if new.version > old.version:
        return old.status == "pending" or not is_redone(new)
    return is_redone(old) and new.status != "pending"


@dataclass(slots=True)
class MessageRows:
    """The rows that a batch of messages writes.

    These are rows of `chat_messages` to be staged, and columns for other statements by
    their name.
    """

    staged: list[tuple[Any, ...]]
    tables: dict[str, Columns] = field(default_factory=dict)
    touched: set[tuple[str, str]] = field(default_factory=set)


def message_rows(messages: Sequence[EnrichedMessage]) -> MessageRows:
    shown = newest(messages)
    histories = _histories(messages) if len(shown) < len(messages) else {}
    staged = [
        _message(
            m, (histories and histories.get((m.tenant_id, m.message_key))) or _single_history(m)
        )
        for m in shown
    ]
    rows: dict[str, Collection[tuple[Any, ...]]] = {
        "mark_redoing": _redoing(messages),
        "insert_aliases": dict.fromkeys(
            (m.tenant_id, alias, m.conversation_id) for m in messages for alias in m.aliases
        ),
        "insert_objects": [row for m in messages if m.attachments for row in _objects(m)],
    }
    return MessageRows(
        staged=in_lock_order(staged, _KEY),
        tables={name: columns(in_lock_order(table)) for name, table in rows.items() if table},
        touched={(m.tenant_id, m.conversation_id) for m in messages},
    )


def _redoing(messages: Iterable[EnrichedMessage]) -> list[tuple[Any, ...]]:
    """Key, highest version and steps of each message that a repair still has to finish."""
    redone: dict[tuple[str, str], list[EnrichedMessage]] = {}
    for m in messages:
        if is_redone(m):
            redone.setdefault((m.tenant_id, m.message_key), []).append(m)
    return [(*key, max(m.version for m in of), _history(of)) for key, of in redone.items()]


def _histories(messages: Iterable[EnrichedMessage]) -> dict[tuple[str, str], str | None]:
    """The history of each message with several versions in the batch."""
    versions: dict[tuple[str, str], list[EnrichedMessage]] = {}
    for m in messages:
        versions.setdefault((m.tenant_id, m.message_key), []).append(m)
    return {key: _history(of) for key, of in versions.items() if len(of) > 1}


def _history(versions: Iterable[EnrichedMessage]) -> str | None:
    """The steps of a message as a document with one line per step, by opening.

    A later version of an opening contains the steps of the earlier ones.
    """
    openings: dict[int, EnrichedMessage] = {}
    for m in versions:
        number = (m.version - 1) // VERSIONS_OF_AN_OPENING
        if number not in openings or openings[number].version <= m.version:
            openings[number] = m
    lines = {str(n): "\n".join(map(_step, m.steps)) for n, m in openings.items() if m.steps}
    return msgspec.json.encode(lines).decode() if lines else None


def _single_history(m: EnrichedMessage) -> str | None:
    """The history of one version, for nearly every message of a batch."""
    if not m.steps:
        return None
    lines = "\n".join(map(_step, m.steps))
    return f'{{"{(m.version - 1) // VERSIONS_OF_AN_OPENING}":{_JSON.encode(lines).decode()}}}'


def _step(s: Step) -> str:
    """Formats a step as one line.

    The outcome comes last, because only it may contain any character.
    """
    outcome = s.outcome
    if not outcome.isprintable():
        outcome = "".join(one if one.isprintable() else " " for one in outcome)
    return f"{s.stage}\t{s.topic}\t{s.partition}\t{s.offset}\t{s.at.timestamp():.6f}\t{outcome}"


def _message(m: EnrichedMessage, history: str | None) -> tuple[Any, ...]:
    return (
        m.tenant_id, m.message_key, m.provider, m.conversation_id, m.role, m.direction, m.kind,
        m.content, m.content_attributes, m.status, m.version, m.occurred_at, m.received_at,
        m.enriched_at, m.sender_id, m.sender_name, m.endpoint_id, history,
    )  # fmt: skip


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


def ended_by(tombstone: bytes) -> set[tuple[str, str]]:
    """Tenant and key of the message that a tombstone ends, or an empty set."""
    text = storable(tombstone.decode(errors="replace"))
    return {(text.partition(":")[0], text)} if text.count(":") >= 2 else set()


@dataclass(slots=True)
class _Delivered:
    """One key of a batch of receipts.

    `line` has its last outcome that is not `duplicate`, `first` its first delivery.
    """

    line: Line
    receipt: Receipt
    first: Line
    deliveries: int = 0
    again: list[Line] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Counts a line as a delivery, unless it is work that is redone."""
        if line.generation:
            return
        if not self.deliveries:
            self.first = line
        else:
            self.again.append(line)
        self.deliveries += 1


class ArrivalRow(NamedTuple):
    """A row of `arrival_records`.

    `odd_key` is set if the record's key is not one of the receiver's. `again_at` and
    `again_offsets` are the deliveries after the first, at most the last MOST_AGAIN.
    """

    tenant_id: str
    provider: str
    provider_message_id: str
    odd_key: str | None
    topic: str
    partition: int
    offset: int
    received_at: datetime
    outcome: str
    reason: str
    deliveries: int
    again_at: list[datetime] | None = None
    again_offsets: list[int] | None = None

    @property
    def message_key(self) -> str:
        return self.odd_key or f"{self.tenant_id}:{self.provider}:{self.provider_message_id}"


def arrivals(
    receipts: Iterable[Receipt], removed: frozenset[str] = frozenset()
) -> list[ArrivalRow]:
    """A row per key that dedupe settled, without those of removed tenants.

    Repair work (a generation) is not a delivery.
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
                known = keys[line.key] = _Delivered(line, receipt, line)
            elif line.outcome != "duplicate" and known.line.outcome != "forwarded":
                known.line = line
            known.add(line)
    return [_arrival(key, one) for key, one in keys.items()]


def _arrival(key: bytes, one: _Delivered) -> ArrivalRow:
    text, odd_key = storable(key.decode(errors="replace")), None
    try:
        name = split_message_key(MessageKey(text))
    except ValueError:  # not one of the receiver's
        name, odd_key = (TenantId("unknown"), "unknown", body_id(key)), text
    line, receipt, again = one.line, one.receipt, one.again[-MOST_AGAIN:]
    return ArrivalRow(
        *name, odd_key, receipt.topic, receipt.partition, one.first.offset, _arrived_at(one.first),
        line.outcome, line.reason, one.deliveries,
        [_arrived_at(later) for later in again] if again else None,
        [later.offset for later in again] if again else None,
    )  # fmt: skip


def _arrived_at(line: Line) -> datetime:
    return datetime.fromtimestamp(max(0, line.received_ms) / 1000, UTC)


def quarantine_columns(records: Sequence[Quarantined], topic_ids: Mapping[str, str]) -> Columns:
    """The columns of quarantined records. `topic_ids` maps the current topics to their ids."""
    rows = (
        (
            storable(q.stage), storable(q.topic), q.partition, storable(q.tenant_id),
            storable(q.reason), storable(q.detail),
            storable((q.key or b"").decode(errors="replace")), q.offset, q.created_at, q.key,
            q.value, _headers(q), storable(q.program_version), topic_ids.get(q.topic, ""),
        )
        for q in records
    )  # fmt: skip
    return columns(in_lock_order(rows, _PLACE))


def _headers(q: Quarantined) -> str:
    return json.dumps(
        {storable(name): storable(value.decode("latin-1")) for name, value in q.headers.items()}
    )


def bare_quarantined(q: Quarantined, why: str, *, is_empty: bool = False) -> Quarantined:
    """The record reduced to its place and bytes, or (`is_empty`) to its place.

    It replaces one of which Postgres refused a value.
    """
    return msgspec.structs.replace(
        q,
        tenant_id=TenantId("unknown"),
        reason="record_unstorable",
        detail=f"this quarantine record could not be stored unchanged: {why}",
        key=None if is_empty else q.key,
        value=None if is_empty else q.value,
        headers={},
    )


def notifications(touched: Iterable[tuple[str, str]]) -> list[str]:
    """The payloads of NOTIFY: JSON lists of [tenant, conversation], as many as needed.

    The only payload is `*` if one of the names does not fit into a payload.
    """
    payloads: list[str] = []
    entries: list[str] = []
    size = 2
    for pair in sorted(touched):
        encoded = msgspec.json.encode(pair)
        entry, entry_bytes = encoded.decode(), len(encoded) + 1
        if entry_bytes + 2 > NOTIFY_BYTES:
            return ["*"]
        if size + entry_bytes > NOTIFY_BYTES:
            payloads.append(f"[{','.join(entries)}]")
            entries, size = [], 2
        entries.append(entry)
        size += entry_bytes
    return [*payloads, f"[{','.join(entries)}]"] if entries else payloads
