"""Two writers of the same rows, given in opposite orders, on a real Postgres.

Another session holds the row in the middle until both wait. If writers lock in one
order, one of them waits before its first row. Otherwise each holds a row that the other
needs, and Postgres ends one of them as soon as the middle is free.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

import asyncpg
import pytest

from connectors.postgres.rows import quarantine_columns
from connectors.webhooks.deliveries import Attempt, Count, Deliveries, DeliveryBucket
from connectors.webhooks.delivery_log import DeliveryLog
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.records import Attachment, Quarantined
from schemas.settings import Settings
from schemas.topics import Names
from storage.objects.store import ObjectStore
from storage.postgres import lock_order
from storage.postgres.dismissing import DismissChoice, dismiss
from storage.postgres.erased import forget, key_digest, remember_erased
from storage.postgres.job_attempts import JobAttempt, JobAttempts, JobPlace
from storage.postgres.lock_order import in_lock_order
from storage.postgres.repair_plans import Counted, Intent, RepairChoice, RepairRequest
from storage.postgres.repairs import Repairs
from storage.postgres.sql import queries
from streams.repair.removal import Removal
from tests.integration.databases import PATIENT, Connection, Pool, merge, pooled
from tests.integration.waiting import until
from tests.unit.records import NOW, message

ROWS = ("a", "m", "z")
LONG = replace(PATIENT, lock_seconds=100, statement_seconds=100)
CONVERSATION = message().conversation_id
WAITING = """SELECT count(DISTINCT held.pid) FROM pg_locks held JOIN pg_class c ON c.oid = held.relation
WHERE c.relnamespace = current_schema()::regnamespace AND EXISTS (SELECT FROM pg_locks w WHERE w.pid = held.pid AND NOT w.granted)"""
Writer = Callable[["Case"], Awaitable[object]]


class Case(NamedTuple):
    """A writer's number, and the names of its rows in the order in which it gets them."""

    stack: Settings
    pool: Pool
    number: int
    rows: tuple[str, ...]


def key(row: str) -> str:
    return f"acme:ycloud:{row}"


def named(case: Case) -> list[tuple[str, str]]:
    return [("acme", key(row)) for row in case.rows]


async def versions(case: Case, **fields: Any) -> None:
    of = [message(message_key=key(row), provider_message_id=row, **fields) for row in case.rows]
    async with case.pool.acquire() as connection:
        await merge(connection, *of)


async def newer(case: Case) -> None:
    await versions(case, version=2)


async def redone(case: Case) -> None:
    await versions(case, version=1001, status="pending")


async def aliases(case: Case) -> None:
    async with case.pool.acquire() as connection:
        await merge(connection, message(message_key=key(str(case.number)), aliases=case.rows))


async def files(case: Case) -> None:
    stored = [
        Attachment(index=index, type="image", status="stored", object_key=row, sha256=row)
        for index, row in enumerate(case.rows)
    ]
    async with case.pool.acquire() as connection:
        await merge(connection, message(*stored, message_key=key(str(case.number))))


def set_aside(row: str) -> Quarantined:
    return Quarantined(
        tenant_id=TenantId("acme"), stage="dedupe", reason="not_json", detail="", topic="raw-messages", partition=0, offset=ROWS.index(row),
        program_version="1", created_at=NOW, key=key(row).encode(), value=b"x",
    )  # fmt: skip


async def quarantine(case: Case) -> None:
    columns = quarantine_columns([set_aside(row) for row in case.rows], {})
    await case.pool.execute(queries("sink")["insert_quarantined"], *columns)


async def erase(case: Case) -> None:
    async with case.pool.acquire() as connection, connection.transaction():
        await forget(connection, named(case))


async def remember(case: Case) -> None:
    async with case.pool.acquire() as connection, connection.transaction():
        await remember_erased(connection, named(case))


async def remove(case: Case) -> None:
    keys = in_lock_order((key(row) for row in case.rows), str)
    async with case.pool.acquire() as proxy:
        connection: Any = proxy
        removal = Removal(case.stack, connection, cast(ObjectStore, None))
        await removal._delete_messages(TenantId("acme"), keys)


async def note_jobs(case: Case, *, ended: bool = False) -> None:
    attempts = JobAttempts(case.stack.postgres, Names(""), "test")
    attempts._pool = case.pool
    for row in case.rows:
        place = JobPlace("acme", key(row), 0, "describe")
        if ended:
            attempts.forget(place, 1)
        else:
            at = datetime.now(UTC)
            attempts.note(JobAttempt(place, 0, case.number, "model_timeout", "", at, at, at))
    await attempts.write()


async def forget_jobs(case: Case) -> None:
    await note_jobs(case, ended=True)


async def count_deliveries(case: Case) -> None:
    deliveries, attempt = Deliveries(), Attempt("ycloud", "token", "agent")
    deliveries.put_back(
        (DeliveryBucket("", row, 20_000, "body_too_large", ""), Count(1, 1.0, 1.0, 413, attempt))
        for row in case.rows
    )
    await DeliveryLog(case.pool, deliveries).write(at_once=True)


async def settle(case: Case, *, tries: bool = True) -> None:
    """Settles a portion of a repair of quarantined records, for a tenant of its own.

    It counts tries of the same records as the other writer, or only marks them.
    """
    repairs, tenant = Repairs(case.pool), TenantId(f"t{case.number}")
    choice = RepairChoice(reason="not_json")
    asked = RepairRequest(tenant, "quarantine", choice, "ana")
    repair_id = await repairs.add(asked, Counted(3, (), choice))
    await repairs.apply(tenant, repair_id, 7, "ana")
    held = await repairs.hold(f"worker-{case.number}", repair_id)
    assert held is not None
    items = tuple(
        ("acme", key(row), "tried", "dedupe", "raw-messages", 0, ROWS.index(row), "")
        for row in case.rows
    )
    items, old = (items, ()) if tries else ((), items)
    intent = Intent(held.portion + 1, items, 3, NOW, case.rows[-1], redone=3, old=old)
    assert await repairs.intend(held, intent)
    await repairs.settle(held, intent)


async def only_mark(case: Case) -> None:
    await settle(case, tries=False)


async def dismiss_all(case: Case) -> None:
    """Chooses the rows by itself, so it has no order that a caller could change."""
    async with case.pool.acquire() as proxy, proxy.transaction():
        connection: Any = proxy
        await dismiss(connection, DismissChoice("acme", reason="not_json"))


async def nothing(case: Case) -> None:
    """Stores nothing before: the rows are new to both writers."""


def new(table: str, **columns: object) -> str:
    values = ", ".join(f"'{value}'" for value in columns.values())
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"


def locked(table: str, column: str) -> str:
    return f"SELECT FROM {table} WHERE {column} = '{key('m')}' FOR UPDATE"


ONE_MESSAGE = locked("chat_messages", "message_key")
ONE_NOTE = locked("job_attempts", "message_key")
NEW_FILE = new(
    "media_objects", tenant_id="acme", object_key="m", message_key="", attachment_index=0, sha256="", mime_type="", bytes=0, original_url="",
    stored_at="now",
)  # fmt: skip
NEW_RECORD = new(
    "quarantined_messages", stage="dedupe", topic="raw-messages", partition=0, tenant_id="acme", reason="", detail="", record_key="",
    **{'"offset"': 1}, created_at="now", program_version="",
)  # fmt: skip
NEW_ALIAS = new("conversation_aliases", tenant_id="acme", alias="m", conversation_id=CONVERSATION)
NEW_DIGEST = new("erased_messages", tenant_id="acme", key_digest=rf"\x{key_digest(key('m')).hex()}")
NEW_TRIES = new("repair_tries", tenant_id="acme", message_key=key("m"), reason="tried", tries=1)
ONE_COUNT = "SELECT FROM webhook_deliveries WHERE endpoint_id = 'm' FOR UPDATE"
CASES: dict[str, tuple[Writer, str, Writer, Writer]] = {
    "messages of two sinks": (versions, ONE_MESSAGE, newer, newer),
    "messages that a repair redoes": (versions, ONE_MESSAGE, redone, newer),
    "aliases": (nothing, NEW_ALIAS, aliases, aliases),
    "files": (nothing, NEW_FILE, files, files),
    "quarantine": (nothing, NEW_RECORD, quarantine, quarantine),
    "two erasures": (versions, ONE_MESSAGE, erase, erase),
    "an erasure and a sink": (versions, ONE_MESSAGE, erase, newer),
    "what was erased": (nothing, NEW_DIGEST, remember, remember),
    "a removal and an erasure": (versions, ONE_MESSAGE, remove, erase),
    "a removal and a sink": (versions, ONE_MESSAGE, remove, newer),
    "notes on jobs": (note_jobs, ONE_NOTE, note_jobs, note_jobs),
    "notes on jobs that ended": (note_jobs, ONE_NOTE, forget_jobs, note_jobs),
    "deliveries": (count_deliveries, ONE_COUNT, count_deliveries, count_deliveries),
    "tries of repairs": (quarantine, NEW_TRIES, settle, settle),
    "marks of repairs": (
        quarantine,
        locked("quarantined_messages", "record_key"),
        only_mark,
        only_mark,
    ),
}
"""What is stored before, which session holds the row in the middle, and the two writers."""
DISMISSAL = "a dismissal and a repair"
CASES_WITH_SQL = CASES | {
    DISMISSAL: (quarantine, CASES["marks of repairs"][1], dismiss_all, only_mark)
}


@pytest.fixture
async def pool(stack: Settings, namespace: str, database: Connection) -> AsyncIterator[Pool]:
    async with pooled(stack.postgres, Names(namespace), limits=LONG) as made:
        yield made


async def meet(name: str, stack: Settings, database: Connection, pool: Pool) -> list[object]:
    """Runs both writers and returns what they raised, in the order of their numbers."""
    before, hold, *writers = CASES_WITH_SQL[name]
    await before(Case(stack, pool, 0, ROWS))
    orders = (ROWS, ROWS[::-1])
    async with pool.acquire() as holder:
        holding = holder.transaction()
        await holding.start()
        await holder.execute(hold)
        tasks = [
            asyncio.ensure_future(write(Case(stack, pool, number, order)))
            for number, (write, order) in enumerate(zip(writers, orders, strict=True), 1)
        ]
        try:
            await until(lambda: both_wait(database, tasks), what="both writers wait")
        finally:
            await holding.rollback()
        return await asyncio.gather(*tasks, return_exceptions=True)


async def both_wait(database: Connection, tasks: "Sequence[asyncio.Future[object]]") -> bool:
    for task in tasks:
        if task.done():
            task.result()
            raise AssertionError("it did not meet the row in the middle")
    return bool(await database.fetchval(WAITING) == 2)


@pytest.mark.parametrize("name", CASES_WITH_SQL)
async def test_two_writers_of_the_same_rows_wait_for_each_other_and_never_deadlock(
    name: str, stack: Settings, database: Connection, pool: Pool
) -> None:
    assert await meet(name, stack, database, pool) == [None, None]


@pytest.mark.parametrize("name", CASES)
async def test_without_the_one_order_they_deadlock(
    name: str, stack: Settings, database: Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_order, "sorted", lambda rows, key: list(rows), raising=False)
    raised = await meet(name, stack, database, pool)
    assert [deadlocked(one) for one in raised].count(True) == 1, raised


def deadlocked(raised: object) -> bool:
    return isinstance(raised, asyncpg.DeadlockDetectedError) or (
        isinstance(raised, Unavailable)
        and isinstance(raised.__cause__, asyncpg.DeadlockDetectedError)
    )
