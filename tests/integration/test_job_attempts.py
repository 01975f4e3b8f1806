"""The notes in Postgres that say why jobs wait."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.settings import Postgres, Settings
from schemas.topics import Names
from storage.postgres import job_attempts
from storage.postgres.erased import key_digest
from storage.postgres.job_attempts import JobAttempt, JobAttempts, JobPlace
from tests.integration.databases import Connection
from tests.integration.waiting import until

NOW = datetime.now(UTC).replace(microsecond=0)
PLACE = JobPlace("acme", "acme:ycloud:w1", 0, "describe")
FIRST = JobAttempt(
    PLACE, 0, 1, "model_rejected_key", "model_rejected_key: 401", NOW, NOW, NOW + timedelta(hours=1)
)


@pytest.fixture
async def attempts(
    stack: Settings, namespace: str, database: Connection
) -> AsyncIterator[JobAttempts]:
    noted = JobAttempts(stack.postgres, Names(namespace), "test")
    await noted.start()
    yield noted
    await noted.stop()


async def rows(database: Connection) -> list[tuple[Any, ...]]:
    found = await database.fetch(
        "SELECT message_key, attempts, cause, next_at FROM job_attempts ORDER BY message_key"
    )
    return [tuple(row) for row in found]


async def test_the_last_try_of_a_job_is_noted_and_forgotten_when_it_ends_well(
    attempts: JobAttempts, database: Connection
) -> None:
    attempts.note(FIRST)
    attempts.note(replace(FIRST, attempts=2, cause="model_timeout"))
    await attempts.write()
    assert await rows(database) == [(PLACE.message_key, 2, "model_timeout", FIRST.next_at)]
    attempts.forget(PLACE, 0)
    await attempts.write()
    assert await rows(database) == []


async def test_of_a_job_that_failed_stays_what_was_said_last(
    attempts: JobAttempts, database: Connection
) -> None:
    attempts.note(FIRST)
    attempts.note(replace(FIRST, attempts=9, next_at=None))
    await attempts.write()
    assert await rows(database) == [(PLACE.message_key, 9, "model_rejected_key", None)]


async def test_a_lower_generation_changes_nothing_of_a_higher_one(
    attempts: JobAttempts, database: Connection
) -> None:
    attempts.note(replace(FIRST, generation=3))
    await attempts.write()
    attempts.note(replace(FIRST, attempts=7))
    await attempts.write()
    attempts.forget(PLACE, 2)
    await attempts.write()
    assert [row[1] for row in await rows(database)] == [1]
    attempts.forget(PLACE, 3)
    await attempts.write()
    assert await rows(database) == []


async def test_notes_are_written_by_themselves_and_old_ones_are_tidied_away(
    attempts: JobAttempts, database: Connection
) -> None:
    long_ago = NOW - timedelta(days=31)
    attempts.note(FIRST)
    attempts.note(
        replace(FIRST, place=PLACE._replace(message_key="old"), last_at=long_ago, next_at=None)
    )
    attempts.note(
        replace(FIRST, place=PLACE._replace(message_key="lost"), next_at=NOW - timedelta(days=2))
    )
    await attempts.write()
    attempts._tidied_at = -job_attempts.TIDY_SECONDS - 10**9

    async def is_tidy() -> bool:
        return [row[0] for row in await rows(database)] == [PLACE.message_key]

    await until(is_tidy, what="only what is of use stays")


async def test_a_note_that_postgres_refuses_does_not_hold_up_the_others(
    attempts: JobAttempts, database: Connection
) -> None:
    attempts.note(replace(FIRST, attempts=2**40))

    async def is_dropped() -> bool:
        return not attempts._noted

    await until(is_dropped, what="the note is dropped")
    attempts.note(FIRST)

    async def is_written() -> bool:
        return len(await rows(database)) == 1

    await until(is_written, what="the next note is written")


async def test_without_a_database_notes_wait_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch, namespace: str
) -> None:
    monkeypatch.setattr(job_attempts, "MOST_NOTED", 2)
    nobody = Postgres(dsn="postgresql://nobody@127.0.0.1:1/none")
    noted = JobAttempts(nobody, Names(namespace), "test")
    await noted.start()
    for number in range(3):
        noted.note(replace(FIRST, place=PLACE._replace(attachment_index=number)))

    async def is_away() -> bool:
        return noted._is_away

    await until(is_away, what="it has noticed")
    assert [place.attachment_index for place in noted._noted] == [1, 2]
    await noted.stop()


async def test_nothing_is_noted_of_a_removed_tenant_or_an_erased_message(
    attempts: JobAttempts, database: Connection
) -> None:
    await database.execute(
        "INSERT INTO tenants (tenant_id, settings, removed_at) VALUES ('gone', 'x', now())"
    )
    kept, erased = (
        replace(FIRST),
        replace(FIRST, place=PLACE._replace(message_key="acme:ycloud:w2")),
    )
    removed = replace(FIRST, place=PLACE._replace(tenant_id="gone", message_key="gone:ycloud:w1"))
    await database.execute(
        "INSERT INTO erased_messages (tenant_id, key_digest) VALUES ('acme', $1)",
        key_digest("acme:ycloud:w2"),
    )
    for attempt in (kept, erased, removed):
        attempts.note(attempt)
    await attempts.write()
    assert [row[0] for row in await rows(database)] == [PLACE.message_key]
