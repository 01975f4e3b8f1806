"""Measures the pages that must stay fast with many rows.

These are trouble, lists, searches, a chat and a message, each with p50 and p95. One
tenant has all rows: messages of many conversations, and among them messages with a
failed file. A few have a cause of their own, and a word of many old messages is in no
new one. The figures are those of the role itself, `sensorium console`, which one person
at a time asks over HTTP. `CONVERSATIONS=… MESSAGES=… FAILED=… make bench BENCH=console`
sets how many; the defaults fit a small machine.
"""

import asyncio
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import httpx
import msgspec

from bench.figures import Figure, Table
from bench.rig import BenchFailed, Rig
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.pool import connect
from streams.local.lifecycle import sensorium
from streams.local.ports import free_port

TENANT = "bench"
CONVERSATIONS, MESSAGES, FAILED = 10_000, 200_000, 100_000
ASKED = 40
START_SECONDS = 30.0
TROUBLE_MS, LIST_MS = 300.0, 200.0
"""The goals for p95, with 1,000,000 failed files and with 10,000,000 messages."""
FILL_AT_ONCE = 50_000
FILL_SECONDS = 600.0
_WORDS = (
    "hola",
    "mesa",
    "factura",
    "envio",
    "pedido",
    "gracias",
    "recibo",
    "sabado",
    "precio",
    "foto",
)
_FILL = """
INSERT INTO chat_messages (
    tenant_id, message_key, provider, conversation_id, role, direction, kind, content,
    content_attributes, status, version, occurred_at, received_at, enriched_at, sender_id,
    sender_name)
SELECT $1, $1 || ':ycloud:' || n, 'ycloud', '1555~' || (n * 7919 % $4::bigint), 'user', 'inbound',
    CASE WHEN n <= $5 THEN 'image' ELSE 'text' END,
    CASE WHEN n > $5 THEN ($6::text[])[1 + n % 10] || ' ' || ($6::text[])[1 + n / 10 % 10]
        || ' w' || n % 50000 END,
    CASE WHEN n > $5 THEN '{}'::jsonb ELSE jsonb_build_object(
        'attachments', jsonb_build_array(jsonb_build_object(
            'index', 0, 'type', CASE WHEN n % 3 = 0 THEN 'audio' ELSE 'image' END,
            'status', 'failed', 'reason', ($7::text[])[1 + n % 6],
            'original_url', 'https://files.example.com/' || n))) END,
    CASE WHEN n <= $5 THEN 'degraded' ELSE 'complete' END, 2, at, at, at, n % 9999 || '', 'Customer'
FROM generate_series($2::bigint, $3::bigint) AS n,
    LATERAL (SELECT now() - (n * 104729 % 2592000) * interval '1 second' AS at) AS times
"""
_OLD, _OLD_MESSAGES, _RARE, _RARE_FILES = "campania", 25_000, "audio_silent", 10
_FILL_OLD = """
INSERT INTO chat_messages (
    tenant_id, message_key, provider, conversation_id, role, direction, kind, content,
    content_attributes, status, version, occurred_at, received_at, enriched_at)
SELECT $1, $1 || ':chatwoot:' || n, 'chatwoot', '1/' || n, 'user', 'inbound', 'text',
    $2 || ' ' || n, '{}'::jsonb, 'complete', 2, at, at, at
FROM generate_series(1, $3::bigint) AS n,
    LATERAL (SELECT now() - interval '60 days' - n * interval '1 second' AS at) AS times
"""
_FILL_RARE = """
UPDATE chat_messages
SET content_attributes = jsonb_set(
    content_attributes, '{attachments,0,reason}', to_jsonb($2::text))
WHERE tenant_id = $1 AND message_key = ANY(
    SELECT $1 || ':ycloud:' || n * 997 FROM generate_series(1, $3::bigint) AS n)
"""
_REASONS = (
    "media_gone", "media_timeout", "model_unavailable", "refused_by_model", "media_too_large",
    "image_damaged",
)  # fmt: skip


def run(rig: Rig) -> list[Table]:
    counts = {
        name: int(os.environ.get(name, default))
        for name, default in (
            ("CONVERSATIONS", CONVERSATIONS), ("MESSAGES", MESSAGES), ("FAILED", FAILED)
        )
    }  # fmt: skip
    settings = rig.fresh()
    port = free_port({settings.receiver.port})
    console = msgspec.structs.replace(settings.console, host="127.0.0.1", port=port)
    settings = msgspec.structs.replace(settings, console=console)
    sensorium(settings, "migrate")
    sensorium(settings, "tenants", "add", TENANT)
    asyncio.run(_fill(settings, counts))
    return [measured(rig, settings, counts)]


def measured(rig: Rig, settings: Settings, counts: dict[str, int]) -> Table:
    """Asks the pages of a namespace that is filled."""
    sensorium(settings, "users", "add", "ana")
    with rig.process(settings, "streams.commands.main", "console"), _visitor(settings) as visitor:
        pages = PAGES | _pages_of_one(visitor)
        figures = [_figure(visitor, name, path) for name, path in pages.items()]
    rows = ", ".join(f"{count:,} {name.lower()}" for name, count in counts.items())
    return Table(
        bench="console", title=f"pages of the console with {rows}", unit="ms", figures=figures
    )


def _pages_of_one(client: httpx.Client) -> dict[str, str]:
    """The newest conversation and a message of it."""
    conversations = client.get(f"/t/{TENANT}/conversations").text
    chat = re.search(rf'href="(/t/{TENANT}/c/[^"?#]+)', conversations)
    assert chat is not None, "the list has no conversation"
    message = re.search(rf'href="(/t/{TENANT}/m/[^"?#/]+)', client.get(chat[1]).text)
    assert message is not None, "the chat has no message"
    return {"a conversation": chat[1], "a message": message[1]}


PAGES = {
    "trouble by cause": f"/t/{TENANT}/trouble",
    "trouble at every tenant": "/trouble",
    "messages of a cause": f"/t/{TENANT}/trouble/files?reason=media_gone",
    "messages of a rare cause": f"/t/{TENANT}/trouble/files?reason={_RARE}",
    "conversations, first page": f"/t/{TENANT}/conversations",
    "search, frequent words": f"/t/{TENANT}/conversations?q=hola+mesa",
    "search, a rare word": f"/t/{TENANT}/conversations?q=w31415",
    "search, no such word": f"/t/{TENANT}/conversations?q=nosuchword",
    "search, a word of old messages": f"/t/{TENANT}/conversations?q={_OLD}",
    "search, one letter": f"/t/{TENANT}/conversations?q=a",
    "search, a frequent word and a rare state": f"/t/{TENANT}/conversations?q=hola&state=degraded",
}


async def _fill(settings: Settings, counts: dict[str, int]) -> None:
    """Stores the rows and updates the statistics, as autovacuum would."""
    connection = await connect(settings.postgres, Names(settings.namespace), "bench")
    try:
        await connection.execute("SET synchronous_commit = off")
        for first in range(1, counts["MESSAGES"] + 1, FILL_AT_ONCE):
            last = min(first + FILL_AT_ONCE - 1, counts["MESSAGES"])
            await connection.execute(
                _FILL,
                TENANT,
                first,
                last,
                counts["CONVERSATIONS"],
                counts["FAILED"],
                list(_WORDS),
                list(_REASONS),
                timeout=FILL_SECONDS,
            )
        await fill_oddities(connection)
        await _vacuumed(connection)
    finally:
        await connection.close()


async def fill_oddities(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Adds old messages with a word that no new one has, and a few files with a rare cause."""
    await connection.execute(_FILL_OLD, TENANT, _OLD, _OLD_MESSAGES, timeout=FILL_SECONDS)
    await connection.execute(_FILL_RARE, TENANT, _RARE, _RARE_FILES, timeout=FILL_SECONDS)


async def _vacuumed(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.execute("VACUUM ANALYZE chat_messages", timeout=FILL_SECONDS)


@contextmanager
def _visitor(settings: Settings) -> Iterator[httpx.Client]:
    """A person who is logged in."""
    url = f"http://127.0.0.1:{settings.console.port}"
    with httpx.Client(base_url=url, timeout=60) as client:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if client.get("/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                raise BenchFailed("the console is not ready")
            time.sleep(0.1)
        link: dict[str, Any] = json.loads(sensorium(settings, "users", "link", "ana", "--json"))
        path = "/login/link?" + str(link["link"]).partition("?")[2]
        token = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
        assert token is not None
        form = {"csrf": token[1], "token": path.partition("token=")[2]}
        client.post("/login/link", data=form)
        yield client


def _figure(client: httpx.Client, name: str, path: str) -> Figure:
    """The milliseconds of each request, except the first, which prepares statements."""
    taken = []
    for _ in range(ASKED + 1):
        began = time.monotonic()
        answer = client.get(path)
        taken.append((time.monotonic() - began) * 1000)
        if answer.status_code != 200:
            raise BenchFailed(f"{path} answered {answer.status_code}")
    first, *runs = taken
    runs.sort()
    p50, p95 = runs[len(runs) // 2], runs[int(len(runs) * 0.95)]
    most = TROUBLE_MS if "trouble" in path else LIST_MS
    is_met = "yes" if p95 <= most else "NO"
    verdict = "" if "?q=" in path else f", p95 wanted at most {most:g}: {is_met}"
    return Figure(
        name=name, runs=runs, note=f"p50 {p50:.0f}, p95 {p95:.0f}, first {first:.0f}{verdict}"
    )
