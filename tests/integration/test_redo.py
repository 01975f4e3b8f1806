"""Repairs on real servers: the records in Kafka afterwards, even if a process died in the middle."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from schemas.headers import generation_of
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.records import MediaJob, VisionJob
from storage.postgres.pool import create_pool
from storage.postgres.repair_plans import (
    HeldRepair,
    Intent,
    RepairChoice,
    RepairKind,
    RepairRequest,
)
from storage.postgres.repairs import Repairs
from streams.repair import applying
from streams.repair.applying import Prepared, RepairWork
from streams.repair.redo import KafkaOpened, KafkaRedo
from streams.settings import to_environment
from tests.integration.commands import Commands, store
from tests.integration.console import key_of, row
from tests.integration.replays import again, failed, outputs, produce, set_aside, written

ACME = TenantId("acme")
RETRIED_SECONDS = 60.0
PROGRAM = """
import asyncio, contextlib, sys
from schemas.topics import Names
from storage.postgres.pool import create_pool
from storage.postgres.repairs import Repairs
from streams.repair import applying, writing
from streams.repair.redo import KafkaRedo
from streams.settings import read_settings

# Its watcher would fence whoever continues at once, before the hold is over.
writing.fenced_on_death = lambda *_: contextlib.nullcontext()

async def work():
    settings = read_settings()
    pool = await create_pool(settings.postgres, Names(settings.namespace), "test", size=2)
    applying.MOST_RECORDS = 2
    held = await Repairs(pool).hold("first", sys.argv[1])
    await applying.RepairWork(Repairs(pool), KafkaRedo(settings, pool)).work(held)

asyncio.run(work())
"""
"""Applies a repair, two records at a time."""


def with_work(commands: Commands, ask: Callable[[RepairWork, Repairs], Awaitable[Any]], bootstrap: str = "") -> Any:  # fmt: skip
    settings = commands.settings
    if bootstrap:
        kafka = msgspec.structs.replace(settings.kafka, bootstrap_servers=bootstrap)
        settings = msgspec.structs.replace(settings, kafka=kafka)

    async def work() -> Any:
        pool: Any = await create_pool(settings.postgres, commands.names, "test", size=3)
        try:
            return await ask(RepairWork(Repairs(pool), KafkaRedo(settings, pool)), Repairs(pool))
        finally:
            pool.terminate()

    return asyncio.run(work())


def begun(
    commands: Commands, kind: RepairKind, choice: RepairChoice, tenant: TenantId = ACME
) -> str:
    """A repair that has begun and that no process holds yet."""

    async def ask(work: RepairWork, repairs: Repairs) -> str:
        asked = RepairRequest(tenant, kind, choice, "ana", 0.0)
        repair_id = await work.plan(asked)
        await work.begin(asked, repair_id)
        return repair_id

    return str(with_work(commands, ask))


def finished(commands: Commands, repair_id: str, bootstrap: str = "") -> HeldRepair:
    """Applies the repair to its end.

    Like the console, it tries again when Kafka does not answer in time.
    """
    give_up_at = time.monotonic() + (0 if bootstrap else RETRIED_SECONDS)

    async def ask(work: RepairWork, repairs: Repairs) -> HeldRepair:
        while True:
            held = await repairs.hold("later", repair_id)
            assert held is not None
            try:
                await work.work(held)
            except Unavailable:
                if time.monotonic() > give_up_at:
                    raise
                await repairs._pool.execute("UPDATE repairs SET held_until = NULL")
            else:
                return held

    held: HeldRepair = with_work(commands, ask, bootstrap)
    return held


def killed(commands: Commands, repair_id: str, failpoint: str) -> None:
    """Applies the repair in a process that dies at this place."""
    environment = {**os.environ, **to_environment(commands.settings), "SENSORIUM_FAILPOINT": failpoint}  # fmt: skip
    died = subprocess.run([sys.executable, "-c", PROGRAM, repair_id], env=environment, check=False)
    assert died.returncode == -9
    commands.database(lambda connection: connection.execute("UPDATE repairs SET held_until = NULL"))


def test_failed_files_are_redone_from_the_file_or_from_the_download(commands: Commands) -> None:
    kept = failed(
        0,
        "model_timeout",
        url="/media/acme/a.jpg",
        sha256="a" * 64,
        mime_type="image/jpeg",
        bytes=3,
    )
    store(
        commands,
        row("1", failed(0, "media_not_found")),
        row("2", kept),
        row("3", failed(0, "media_not_found", original_url=None)),
    )
    held = finished(commands, begun(commands, "attachments", RepairChoice("media_not_found")))
    assert (held.state, held.looked, held.redone) == ("done", 1, 1)
    jobs = outputs(commands, "media", MediaJob)
    assert [(job.message_key, job.generation) for job in jobs] == [(key_of("1"), held.generation)]
    finished(commands, begun(commands, "attachments", RepairChoice("model_timeout")))
    assert [job.message_key for job in outputs(commands, "vision", VisionJob)] == [key_of("2")]


def test_while_kafka_is_away_it_says_so_and_continues_later(commands: Commands) -> None:
    store(commands, row("1", failed(0, "media_not_found")))
    repair_id = begun(commands, "attachments", RepairChoice("media_not_found"))
    with pytest.raises(Unavailable):
        finished(commands, repair_id, bootstrap="127.0.0.1:9")
    trouble = commands.database(
        lambda connection: connection.fetchval("SELECT trouble FROM repairs")
    )
    assert trouble == "Kafka"
    commands.database(lambda connection: connection.execute("UPDATE repairs SET held_until = NULL"))
    assert finished(commands, repair_id).redone == 1


@pytest.mark.parametrize("failpoint", ["replay_before_commit:2", "replay_after_commit:2"])
@pytest.mark.parametrize("kind", ["quarantine", "raw", "attachments"])
def test_a_process_that_dies_in_the_middle_has_nothing_written_twice_or_left_out(
    commands: Commands, kind: RepairKind, failpoint: str
) -> None:
    match kind:
        case "quarantine":
            for offset in range(7):
                set_aside(commands, offset, value=b"%d" % offset)
            choice = RepairChoice(reason="not_json")
        case "raw":
            produce(commands, 4)
            produce(commands, 3, partition=1, begin=4)
            choice = RepairChoice(spans=("0:0-3", "1:0-2"))
        case "attachments":
            store(
                commands, *(row(str(number), failed(0, "media_not_found")) for number in range(7))
            )
            choice = RepairChoice("media_not_found")
    repair_id = begun(commands, kind, choice)
    killed(commands, repair_id, failpoint)
    held = finished(commands, repair_id)
    assert (held.state, held.looked, held.redone) == ("done", 7, 7)
    if kind == "attachments":
        keys = sorted(job.message_key for job in outputs(commands, "media", MediaJob))
        assert keys == [key_of(str(number)) for number in range(7)]
    else:
        assert sorted(again(commands)) == [b"%d" % number for number in range(7)]
        assert {generation_of(one.headers()) for one in written(commands)} <= {0, held.generation}


def test_of_two_that_work_on_one_repair_each_record_is_written_by_one(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applying, "MOST_RECORDS", 1)
    for offset in range(5):
        set_aside(commands, offset, value=b"%d" % offset)
    repair_id = begun(commands, "quarantine", RepairChoice())

    stands, may_go_on, write = asyncio.Event(), asyncio.Event(), KafkaOpened.write

    async def slowly(self: KafkaOpened, portion: Prepared) -> None:
        if self._held.holder == "first" and portion.intent.number == 3:
            stands.set()
            await may_go_on.wait()
        await write(self, portion)

    monkeypatch.setattr(KafkaOpened, "write", slowly)

    async def both(work: RepairWork, repairs: Repairs) -> list[Any]:
        first = await repairs.hold("first", repair_id)
        assert first is not None
        slow = asyncio.create_task(work.work(first))
        await stands.wait()  # it has written two, and is taken for dead, though it is alive
        await repairs._pool.execute("UPDATE repairs SET held_until = now() - interval '1 second'")
        second = await repairs.hold("second", repair_id)
        assert second is not None and second.intent is not None
        await work.work(second)
        may_go_on.set()
        return [second.looked, *await asyncio.gather(slow, return_exceptions=True)]

    looked, ended = with_work(commands, both)
    assert looked == 5 and isinstance(ended, Unavailable), ended
    assert sorted(again(commands)) == [b"%d" % offset for offset in range(5)]


def test_a_time_range_of_one_tenant_is_counted_and_sent_again(commands: Commands) -> None:
    now = datetime.now(UTC)
    produce(commands, 3, at=now - timedelta(hours=3))
    produce(commands, 3, at=now - timedelta(hours=1), begin=10)
    produce(commands, 2, tenant="other", at=now - timedelta(hours=1), begin=20)
    choice = RepairChoice(since=now - timedelta(hours=2), until=now)

    async def ask(work: RepairWork, repairs: Repairs) -> Any:
        repair_id = await work.plan(RepairRequest(ACME, "raw", choice, "ana", 0.0))
        return await repairs.one(ACME, repair_id)

    found = with_work(commands, ask)
    assert (found["messages"], found["files"].microusd) == (3, 0)
    assert json.dumps(found["choice"].spans) == '["0:3-7"]'
    finished(commands, begun(commands, "raw", choice))
    assert sorted(again(commands)) == [b"10", b"11", b"12"]


def test_a_repair_that_is_cancelled_stops_after_its_portion(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applying, "MOST_RECORDS", 2)
    produce(commands, 9)
    repair_id = begun(commands, "raw", RepairChoice(spans=("0:0-8",)))

    async def ask(work: RepairWork, repairs: Repairs) -> HeldRepair:
        held = await repairs.hold("x", repair_id)
        assert held is not None
        ending: list[asyncio.Future[None]] = []

        def end(held: HeldRepair, intent: Intent) -> None:
            if not ending:
                ending.append(asyncio.ensure_future(repairs.cancel(ACME, repair_id, "ana")))

        await work.work(held, end)
        await ending[0]
        return held

    held = with_work(commands, ask)
    assert held.state == "cancelled" and 2 <= held.looked < 9
    assert len(again(commands)) == held.looked
