import asyncio

import msgspec
import pytest

from schemas import metrics
from schemas.settings import Settings
from schemas.topics import Names
from streams.roles import minute_writer
from streams.roles.minute_writer import MinuteWriter
from tests.integration.databases import schema
from tests.integration.waiting import until


async def test_a_process_writes_its_minute_again_and_again(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minute_writer, "EVERY_SECONDS", 0.05)
    settings = msgspec.structs.replace(stack, namespace=namespace)
    refreshed: list[int] = []
    async with schema(stack.postgres, Names(namespace)) as database:
        writer = MinuteWriter(settings, "sink", lambda: refreshed.append(1))
        metrics.SINK_ROWS.labels("enriched-messages", "written").inc(7)
        task = asyncio.create_task(writer.run())

        async def records() -> int:
            query = "SELECT coalesce(sum(records), 0) FROM stage_minutes WHERE stage = 'sink'"
            return int(await database.fetchval(query))

        async def has(count: int) -> bool:
            return await records() == count

        await until(lambda: has(7))
        metrics.SINK_ROWS.labels("enriched-messages", "written").inc(2)
        await until(lambda: has(9))
        assert len(refreshed) > 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_process_without_postgres_works_on_and_says_so_once(
    stack: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minute_writer, "EVERY_SECONDS", 0.01)
    said: list[str] = []
    monkeypatch.setattr(minute_writer.log, "warning", lambda event, **_: said.append(event))
    nowhere = msgspec.structs.replace(stack.postgres, dsn="postgresql://nobody@127.0.0.1:1/none")
    settings = msgspec.structs.replace(stack, namespace=namespace, postgres=nowhere)
    task = asyncio.create_task(MinuteWriter(settings, "sink", lambda: None).run())

    async def has_said() -> bool:
        return bool(said)

    await until(has_said)
    assert said == ["minutes_not_written"] and not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
