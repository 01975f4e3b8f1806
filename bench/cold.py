"""Measures what a batch costs the sink when its tables are large and its indexes are not in memory.

The server fills `chat_messages` and `arrival_records` in steps with rows like the
sink's. After each step, batches of new messages and of second versions are stored as
the sink stores them. Keys are random, as providers' are. ROWS sets the largest number
of rows. Postgres has the settings of the local installation, so the indexes soon
outgrow its memory.
"""

import asyncio
import hashlib
import os
import time
from pathlib import Path

import asyncpg
import msgspec

from bench.figures import Figure, Table
from bench.rig import Rig
from bench.sink import first_version, receipts_of, second_version
from connectors.postgres.rows import arrivals, message_rows
from connectors.postgres.staging import add_arrivals, prepare_staging, store_messages
from schemas.codec import decode
from schemas.keys import TenantId, message_key
from schemas.records import EnrichedMessage, Receipt
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.migrate import migrate
from storage.postgres.pool import MAINTENANCE, connect

ROWS = int(os.environ.get("ROWS", 5_000_000))
STEPS = 5
TENANTS = 1_000
BATCH = 2_000
BATCHES = 10
CHUNK = 100_000
_FILL = (
    """INSERT INTO chat_messages (
        tenant_id, message_key, provider, conversation_id, role, direction, kind, content,
        content_attributes, status, version, occurred_at, received_at, enriched_at, sender_id,
        sender_name, endpoint_id, steps, changed_era, changed_xid)
    SELECT tenant, tenant || ':ycloud:wamid.' || id, 'ycloud', 'c' || n % 500000, 'user', 'inbound',
        'text', words, '{"provider": {"event_id": "e"}}',
        'complete', 1, at, at, at, '1202555' || n % 100000, 'Joe Sample', 'bench-endpoint',
        jsonb_build_object(
            '0', 'dedupe\traw-messages\t0\t' || n || '\t1795818450.738123\tforwarded'),
        era, xid
    FROM (SELECT feed_era() AS era, pg_current_xact_id()::text::bigint AS xid) AS now,
        generate_series($1::int, $2::int) AS n,
        LATERAL (SELECT 't' || n % 1000 AS tenant, md5(n::text) || md5(n::text) AS id,
            now() - (100000000 - n) * interval '10 milliseconds' AS at) AS made,
        LATERAL (SELECT string_agg('w' || (n::bigint * 7919 + k * 104729) % 40000, ' ') AS words
            FROM generate_series(1, 8) AS k) AS texts""",
    """INSERT INTO arrival_records (tenant_id, provider, provider_message_id, topic, partition,
        "offset", received_at, outcome, reason, deliveries)
    SELECT 't' || n % 1000, 'ycloud', 'wamid.' || md5(n::text) || md5(n::text), 'raw-messages', 0,
        n, now() - (100000000 - n) * interval '10 milliseconds', 'forwarded', '', 1
    FROM generate_series($1::int, $2::int) AS n""",
)
_INDEX_BYTES = "SELECT pg_indexes_size('chat_messages')"


def run(rig: Rig) -> list[Table]:
    return asyncio.run(_measure(rig.fresh()))


async def _measure(settings: Settings) -> list[Table]:
    names = Names(settings.namespace)
    connection = await connect(settings.postgres, names, "bench", MAINTENANCE)
    inserts, updates = [], []
    try:
        await migrate(connection, names)
        filled = 0
        for step in range(STEPS + 1):
            target = ROWS * step // STEPS
            while filled < target:
                for statement in _FILL:
                    await connection.execute(statement, filled + 1, filled + CHUNK)
                filled += CHUNK
            await connection.execute("ANALYZE chat_messages")
            index_bytes = await connection.fetchval(_INDEX_BYTES)
            note = f"{filled:,} rows, {index_bytes / 1e6:,.0f} MB of indexes"
            first = [_spread(number) for number in range(filled, filled + BATCH * BATCHES)]
            inserts.append(await _paced(connection, note, first))
            updates.append(await _paced(connection, note, list(map(second_version, first))))
        return [_table("inserts", inserts), _table("second versions", updates)]
    finally:
        await connection.execute(f'DROP SCHEMA "{names.postgres_schema}" CASCADE')
        await connection.close()


def _table(what: str, figures: list[Figure]) -> Table:
    title = f"a batch of {BATCH:,} {what} with its arrivals"
    return Table(bench="cold", title=title, unit="µs/message", figures=figures)


def _spread(number: int) -> EnrichedMessage:
    """Returns a new message of one of many tenants, with a random key."""
    message = first_version(number)
    name = f"wamid.{hashlib.sha256(b'new %d' % number).hexdigest()}"
    tenant = TenantId(f"t{number % TENANTS}")
    return msgspec.structs.replace(
        message,
        tenant_id=tenant,
        provider_message_id=name,
        message_key=message_key(tenant, message.provider, name),
    )


async def _paced(
    connection: "asyncpg.Connection[asyncpg.Record]", note: str, messages: list[EnrichedMessage]
) -> Figure:
    """The microseconds per message of each batch.

    The CPU time of the server process is added as a note.
    """
    batches = [messages[begin : begin + BATCH] for begin in range(0, len(messages), BATCH)]
    is_first = messages[0].version == 1
    runs, cpu = [], _cpu_seconds(connection)
    for batch in batches:
        began = time.monotonic()
        async with connection.transaction():
            await prepare_staging(connection)
            await store_messages(connection, message_rows(batch))
            if is_first:
                receipts = [decode(Receipt, value) for value in receipts_of(batch)]
                await add_arrivals(connection, arrivals(receipts))
        runs.append((time.monotonic() - began) / len(batch) * 1e6)
    spent = (_cpu_seconds(connection) - cpu) / len(messages) * 1e6
    return Figure(name=note, runs=runs, note=f"{spent:.0f} of CPU in Postgres")


def _cpu_seconds(connection: "asyncpg.Connection[asyncpg.Record]") -> float:
    """The CPU time of the server process of this connection, which runs on the same machine."""
    ticks = Path(f"/proc/{connection.get_server_pid()}/stat").read_text().rpartition(")")[2].split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
