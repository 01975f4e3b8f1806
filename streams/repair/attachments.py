"""Failed attachments again: the message is opened anew from its row, under a new generation, and only what failed is redone."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec

from schemas.headers import new_traceparent
from schemas.keys import split_message_key
from schemas.outcomes import Output
from schemas.records import Attachment, AudioJob, EnrichedMessage, MediaJob, Source, Step, VisionJob
from storage.postgres.sql import queries
from streams.apps.encoding import Encoding
from streams.lanes.transactions import Write
from streams.stages.dedupe import opening
from streams.stages.message import OLD_AFTER, attributes_json

_NOT_IN_ROWS = ("signed_url",)


async def failed_messages(connection: "asyncpg.Connection[asyncpg.Record]", reason: str, tenant: str | None, limit: int) -> list[Any]:
    """Rows with an attachment that failed for the reason, oldest first."""
    return list(await connection.fetch(queries("repair")["failed_messages"], reason, tenant, limit))


async def writes_for(
    connection: "asyncpg.Connection[asyncpg.Record]", row: Any, reason: str, generation: int, encoding: Encoding
) -> tuple[list[Write], int]:
    """What opens the message anew, and how many attachments are redone."""
    statements = queries("repair")
    tenant_id, key = row["tenant_id"], row["message_key"]
    objects = {o["attachment_index"]: o["object_key"] for o in await connection.fetch(statements["objects"], tenant_id, key)}
    steps = [Step(**dict(step)) for step in await connection.fetch(statements["steps"], tenant_id, key)]
    aliases = [a["alias"] for a in await connection.fetch(statements["aliases"], tenant_id, row["conversation_id"])]
    endpoint = await connection.fetchval(statements["endpoint"], tenant_id, row["provider"])
    message = snapshot(row, objects, steps, aliases, reason, generation)
    now = datetime.now(UTC)
    jobs = [_job(message, attachment, generation, endpoint or "") for attachment in message.attachments if attachment.status == "pending"]
    outputs = [
        Output("enriched-messages", message.message_key, message, generation, message.conversation_id),
        Output("enrichments", message.message_key, opening(message, generation, "replay", now), generation),
        *jobs,
    ]
    trace = new_traceparent()
    return [encoding.write(output, trace) for output in outputs], len(jobs)


def snapshot(row: Any, objects: dict[int, str], steps: list[Step], aliases: list[str], reason: str, generation: int) -> EnrichedMessage:
    """The message as its row has it, the attachments that failed for the reason pending again."""
    document = msgspec.json.decode(row["content_attributes"])
    attachments = tuple(_attachment(shown, objects, reason) for shown in document.get("attachments", []))
    return EnrichedMessage(
        tenant_id=row["tenant_id"],
        message_key=row["message_key"],
        provider=row["provider"],
        provider_message_id=split_message_key(row["message_key"])[2],
        conversation_id=row["conversation_id"],
        role=row["role"],
        direction=row["direction"],
        kind=row["kind"],
        content=row["content"],
        content_attributes=attributes_json(attachments, document.get("provider", {})),
        status="pending",
        version=generation * 1000 + 1,
        occurred_at=row["occurred_at"],
        received_at=row["received_at"],
        enriched_at=datetime.now(UTC),
        sender_id=row["sender_id"],
        sender_name=row["sender_name"],
        attachments=attachments,
        source=Source(topic=row["topic"] or "raw-messages", partition=row["partition"] or 0, offset=row["offset"] or 0),
        aliases=tuple(aliases),
        steps=tuple(steps),
    )


def _attachment(shown: dict[str, Any], objects: dict[int, str], reason: str) -> Attachment:
    known = {name: value for name, value in shown.items() if name in Attachment.__struct_fields__}
    attachment = msgspec.convert(known | {"object_key": objects.get(shown["index"])}, Attachment)
    if attachment.status == "failed" and attachment.reason == reason:
        return msgspec.structs.replace(attachment, status="pending", reason=None)
    return attachment


def _job(message: EnrichedMessage, attachment: Attachment, generation: int, endpoint_id: str) -> Output:
    """From the file on where it is kept, else from its download."""
    if attachment.url is not None and attachment.object_key is not None:
        common: dict[str, Any] = {
            "tenant_id": message.tenant_id,
            "message_key": message.message_key,
            "provider": message.provider,
            "generation": generation,
            "index": attachment.index,
            "object_key": attachment.object_key,
            "sha256": attachment.sha256 or "",
            "mime_type": attachment.mime_type or "",
            "bytes": attachment.bytes or 0,
            "filename": attachment.filename,
        }
        if attachment.type == "audio":
            return Output("audio", message.message_key, AudioJob(**common), generation)
        return Output("vision", message.message_key, VisionJob(**common), generation)
    job = MediaJob(
        tenant_id=message.tenant_id,
        message_key=message.message_key,
        provider=message.provider,
        generation=generation,
        endpoint_id=endpoint_id,
        index=attachment.index,
        type=attachment.type,
        url=attachment.original_url or "",
        mime_type=attachment.mime_type,
        filename=attachment.filename,
        unpaid_reason=_unpaid(message),
        occurred_at=message.occurred_at,
        received_at=message.received_at,
    )
    return Output("media", message.message_key, job, generation)


def _unpaid(message: EnrichedMessage) -> str | None:
    if message.kind == "note":
        return "private"
    if message.direction == "outbound":
        return "outgoing"
    return "old" if message.received_at - message.occurred_at > OLD_AFTER else None
