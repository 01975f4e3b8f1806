"""Collects the facts from the running system."""

import json
import urllib.request
from collections.abc import Iterable
from typing import Any

import asyncpg
from minio import Minio

from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.pool import connect
from tests.chaos.facts import File, PaidCall, Refused, Row, Stored
from tests.pipeline import Pipeline

_ASKS = {"vision": "describe", "speech": "transcribe"}


async def rows(
    connection: "asyncpg.Connection[asyncpg.Record]", tenants: list[str]
) -> tuple[Row, ...]:
    found = await connection.fetch(
        "SELECT tenant_id, message_key, version, status, content, content_attributes FROM chat_messages WHERE tenant_id = ANY($1)",
        tenants,
    )
    return tuple(
        Row(
            one["tenant_id"],
            one["message_key"],
            one["version"],
            one["status"],
            tuple(_files(json.loads(one["content_attributes"]))),
            one["content"],
        )
        for one in found
    )


def _files(attributes: dict[str, Any]) -> Iterable[File]:
    for one in attributes.get("attachments", []):
        yield File(
            one["index"],
            one["status"],
            one.get("reason"),
            one.get("url"),
            one.get("description") or one.get("transcript"),
        )


async def refused(
    connection: "asyncpg.Connection[asyncpg.Record]", tenants: list[str]
) -> tuple[Refused, ...]:
    """The quarantined records of these tenants, and those of tenants that do not exist."""
    found = await connection.fetch(
        "SELECT tenant_id, record_key, stage, reason FROM quarantined_messages "
        "WHERE tenant_id = ANY($1) OR tenant_id NOT IN (SELECT tenant_id FROM tenants)",
        tenants,
    )
    return tuple(
        Refused(one["tenant_id"], one["record_key"], one["stage"], one["reason"]) for one in found
    )


async def stored(
    connection: "asyncpg.Connection[asyncpg.Record]", tenants: list[str]
) -> tuple[Stored, ...]:
    found = await connection.fetch(
        "SELECT tenant_id, message_key, object_key FROM media_objects WHERE tenant_id = ANY($1)",
        tenants,
    )
    return tuple(Stored(one["tenant_id"], one["message_key"], one["object_key"]) for one in found)


def objects(settings: Settings, tenants: list[str], endpoint: str) -> frozenset[str]:
    """The names of the tenants' objects, as the object store lists them."""
    store = Minio(
        endpoint=endpoint,
        access_key=settings.objects.access_key,
        secret_key=str(settings.objects.secret_key),
        secure=False,
    )
    prefix = Names(settings.namespace).object_prefix
    return frozenset(
        str(one.object_name)
        for tenant in tenants
        for one in store.list_objects(
            bucket_name=settings.objects.bucket, prefix=f"{prefix}media/{tenant}/", recursive=True
        )
    )


def paid(pipeline: Pipeline, tenants: list[str]) -> tuple[PaidCall, ...]:
    """The answered model calls of these tenants. A tenant's key is its name."""
    with urllib.request.urlopen(
        f"http://127.0.0.1:{pipeline.ports['stand-in']}/control/log", timeout=10
    ) as answer:
        calls = json.load(answer)
    return tuple(
        PaidCall(_ASKS[one["kind"]], one["key"], one["began"], one["ended"] or one["began"])
        for one in calls
        if one["paid"] and one["key"] in tenants
    )


async def open_connection(settings: Settings) -> "asyncpg.Connection[asyncpg.Record]":
    return await connect(settings.postgres, Names(settings.namespace), "chaos")
