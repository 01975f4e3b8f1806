"""Redoes failed attachments.

It opens the message again from its row, under a new generation, with jobs only for what
failed.
"""

from collections.abc import Callable
from typing import Any, Literal

import asyncpg
import msgspec

from schemas.headers import new_traceparent
from schemas.keys import split_message_key
from schemas.origins import DIRECT, origin_of
from schemas.outcomes import Output
from schemas.records import Attachment, EnrichedMessage, MediaJob, Source, Step
from storage.objects.keys import key_of_path
from storage.postgres.sql import queries
from streams.apps.encoding import Encoding, utc_now
from streams.repair.writing import Item
from streams.stages.dedupe import opening
from streams.stages.message import (
    attributes_json,
    opening_version,
    provider_attributes,
    unpaid_reason,
)
from streams.stages.store_media import model_job

RedoAttachment = Callable[[Attachment], Attachment]
"""Returns an attachment as pending if it is to be redone, else unchanged."""


async def item_for(
    connection: "asyncpg.Connection[asyncpg.Record]",
    row: Any,
    redo: RedoAttachment,
    generation: int,
    encoding: Encoding,
) -> Item[int]:
    """Returns the records that open the message again.

    Their mark is the number of attachments that are redone. The item is empty if no
    attachment has a file or a URL.
    """
    steps, aliases = await context_of(connection, row)
    message = snapshot(row, encoding.names.object_prefix, steps, aliases, redo, generation)
    origin = origin_of(message.endpoint_id, message.provider, provider_attributes(message))
    jobs = [
        _job(message, attachment, generation, "" if origin == DIRECT else origin)
        for attachment in message.attachments
        if attachment.status == "pending"
    ]
    if not jobs:
        return Item((), 0)
    outputs = [
        Output(
            "enrichments",
            message.message_key,
            opening(message, generation, "replay", utc_now()),
            generation,
        ),
        *jobs,
    ]
    trace = new_traceparent()
    return Item([encoding.write(output, trace) for output in outputs], len(jobs))


async def context_of(
    connection: "asyncpg.Connection[asyncpg.Record]", row: Any
) -> tuple[list[Step], list[str]]:
    """Returns the steps of a message, and the aliases of its conversation."""
    steps = await connection.fetch(
        queries("console")["steps"], row["tenant_id"], row["message_key"]
    )
    aliases = await connection.fetch(
        queries("repair")["aliases"], row["tenant_id"], row["conversation_id"]
    )
    return [Step(**dict(step)) for step in steps], [row["alias"] for row in aliases]


def snapshot(
    row: Any,
    object_prefix: str,
    steps: list[Step],
    aliases: list[str],
    redo: RedoAttachment,
    generation: int,
) -> EnrichedMessage:
    """Builds the message from its row; the attachments that are to be redone are pending again."""
    document = msgspec.json.decode(row["content_attributes"])
    attachments = tuple(
        redo(_attachment(shown, object_prefix)) for shown in document.get("attachments", [])
    )
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
        version=opening_version(generation),
        occurred_at=row["occurred_at"],
        received_at=row["received_at"],
        enriched_at=utc_now(),
        sender_id=row["sender_id"],
        sender_name=row["sender_name"],
        attachments=attachments,
        endpoint_id=row["endpoint_id"],
        source=Source(
            topic=row["topic"] or "raw-messages",
            partition=row["partition"] or 0,
            offset=row["offset"] or 0,
        ),
        aliases=tuple(aliases),
        steps=tuple(steps),
    )


def failed_for(reason: str, *, leaves_gone: bool = False) -> RedoAttachment:
    """Redoes attachments that failed for this reason and have a file or a URL.

    With `leaves_gone`, it redoes only those that have a stored file, because the
    provider no longer has the others.
    """

    def redo(attachment: Attachment) -> Attachment:
        may_be_asked_for = attachment.original_url is not None and not leaves_gone
        may_be_redone = attachment.url is not None or may_be_asked_for
        if attachment.status == "failed" and attachment.reason == reason and may_be_redone:
            return msgspec.structs.replace(attachment, status="pending", reason=None)
        return attachment

    return redo


def _attachment(shown: dict[str, Any], object_prefix: str) -> Attachment:
    fields = {name: value for name, value in shown.items() if name in Attachment.__struct_fields__}
    url = shown.get("url")
    object_key = None if url is None else key_of_path(object_prefix, url)
    return msgspec.convert(fields | {"object_key": object_key}, Attachment)


def _job(
    message: EnrichedMessage, attachment: Attachment, generation: int, endpoint_id: str
) -> Output:
    """Returns the job that begins with the stored file if there is one, else with the download."""
    if attachment.object_key is not None:
        following: Literal["vision", "audio"] = "audio" if attachment.type == "audio" else "vision"
        return model_job(
            following,
            message,
            attachment,
            generation=generation,
            index=attachment.index,
            filename=attachment.filename,
        )
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
        unpaid_reason=unpaid_reason(message),
        occurred_at=message.occurred_at,
        received_at=message.received_at,
    )
    return Output("media", message.message_key, job, generation)
