"""The product's apps in the test's event loop, on the real broker.

The tests are about sizes, poison, retries, restarts and the end.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from lane_world import SECONDS, World, app_at_work, counted, until

from schemas.codec import decode, encode
from schemas.headers import Routing
from schemas.keys import message_key
from schemas.outcomes import Forward, Output, Unavailable
from schemas.receipts import lines_of
from schemas.records import Enrichment, Quarantined, Receipt, VisionJob
from schemas.settings import Settings
from schemas.topics import Names
from streams.apps import dedupe as dedupe_app
from streams.apps import jobs as jobs_app
from streams.apps.jobs import JobStage, StageAttempt, job_app
from streams.lanes import agents
from streams.lanes import app as lane_app_module
from streams.lanes import jobs as lane_jobs
from streams.lanes.app import LaneApp
from tests.unit.records import TENANT, TRACEPARENT, enrichment, raw, vision_job

Work = Callable[[StageAttempt[VisionJob]], Awaitable[Forward]]


class Nowhere:
    async def open(self) -> None: ...
    async def close(self) -> None: ...

    def healthy(self) -> bool:
        return True


@pytest.fixture
def here(stack: Settings, pipeline_topics: Names) -> Settings:
    """The session's settings, in the namespace of this test."""
    return msgspec.structs.replace(stack, namespace=pipeline_topics.namespace)


@pytest.fixture
def topics(here: Settings) -> World:
    return World(here.kafka, here.namespace, here.kafka.partitions)


@pytest.fixture(autouse=True)
def no_deaths(deaths: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fails if something tries to end the process."""
    monkeypatch.setattr(agents, "die", lane_app_module.die)
    yield
    assert deaths == []


def headers_of(tenant: str = TENANT) -> list[tuple[str, bytes]]:
    return Routing(tenant_id=tenant, provider="ycloud", traceparent=TRACEPARENT).to_headers()  # type: ignore[arg-type]


def describing(here: Settings, work: Work) -> LaneApp:
    return job_app(here, JobStage("describe", VisionJob, work, Nowhere()))


def described(turn: StageAttempt[VisionJob], text: str = "Un perro") -> Forward:
    job = turn.job
    said = enrichment(
        "described", job.index, text=text, message_key=job.message_key, tenant_id=job.tenant_id
    )
    return Forward((Output("enrichments", job.message_key, said),))


def job(number: int = 0, tenant: str = TENANT, **fields: Any) -> tuple[bytes, bytes]:
    """Key and value."""
    key = message_key(tenant, "ycloud", f"wamid.{number}")  # type: ignore[arg-type]
    return key.encode(), encode(vision_job(message_key=key, tenant_id=tenant, **fields))


def admit(topics: World, *jobs: tuple[bytes, bytes], tenant: str = TENANT) -> None:
    for key, value in jobs:
        topics.produce("vision", value, key=key, headers=headers_of(tenant))


def said(topics: World) -> list[Enrichment]:
    return [decode(Enrichment, message.value()) for message in topics.read("enrichments", None)]


def outcomes(topics: World) -> list[tuple[str, str]]:
    receipts = [decode(Receipt, message.value()) for message in topics.read("receipts", None)]
    return sorted(
        (one.outcome, one.reason)
        for receipt in receipts
        for one in lines_of(receipt)
        if one.outcome != "admitted"
    )


# dedupe


async def test_three_hundred_records_of_nearly_the_largest_size_go_through_dedupe(
    here: Settings, topics: World
) -> None:
    limit = here.receiver.max_body_bytes
    app = dedupe_app.create_app(here)
    async with app_at_work(app):
        for n in range(300):
            body = {
                "provider": "ycloud",
                "provider_message_id": f"m{n}",
                "conversation_id": "1~2",
                "sender": {"id": "2"},
                "text": "",
            }
            body["text"] = "x" * (limit - len(json.dumps(body)))
            record = raw(provider_id=f"m{n}", content=json.dumps(body).encode(), endpoint_id="")
            assert len(record.body) == limit
            topics.produce(
                "raw-messages",
                encode(record),
                key=record.message_key.encode(),
                headers=headers_of(),
            )
        await until(lambda: outcomes(topics) == [("forwarded", "")] * 300, "all are forwarded", 150)


# one job


async def test_a_job_runs_and_its_answer_and_its_end_are_one_transaction(
    here: Settings, topics: World
) -> None:
    async def work(turn: StageAttempt[VisionJob]) -> Forward:
        return described(turn)

    async with app_at_work(describing(here, work)):
        admit(topics, job(1), job(2), job(3))
        await until(lambda: len(said(topics)) == 3, "three answers")
    assert {one.kind for one in said(topics)} == {"described"}
    assert outcomes(topics) == [("forwarded", "")] * 3


async def test_a_record_that_is_not_a_job_gives_its_quarantine_and_the_word_to_its_message_in_one_transaction(
    here: Settings, topics: World
) -> None:
    async def work(turn: StageAttempt[VisionJob]) -> Forward:
        return described(turn)

    app = describing(here, work)
    async with app_at_work(app) as lanes:
        held = asyncio.Event()
        loop = asyncio.get_running_loop()
        for lane in lanes.open.values():
            produce = lane._transactions._produce

            def after_the_first(
                *record: Any,
                produce: Callable[..., None] = produce,
                seen: list[str] = [],  # noqa: B006
            ) -> None:
                produce(*record)
                seen.append(record[0])
                if len(seen) == 1:  # in the middle of the transaction
                    asyncio.run_coroutine_threadsafe(held.wait(), loop).result(SECONDS)

            lane._transactions._produce = after_the_first  # type: ignore[method-assign]
        key, _ = job(1)
        topics.produce("vision", b"no job", key=key, headers=headers_of())
        read = lambda: (topics.read("quarantine", None), said(topics))  # noqa: E731
        for name in ("quarantine", "enrichments"):
            assert await asyncio.to_thread(topics.read, name, None, waits=False) == []
        held.set()
        await until(lambda: said(topics), "the message is told")
        (kept,), (told,) = read()
        record = decode(Quarantined, kept.value())
        assert (record.value, record.reason, record.stage, record.tenant_id, kept.key()) == (
            b"no job",
            "record_undecodable",
            "describe",
            TENANT,
            key,
        )
        assert (told.kind, told.reason, told.index, told.stage, told.message_key.encode()) == (
            "failed",
            "quarantined",
            None,
            "describe",
            key,
        )
    assert outcomes(topics) == [("quarantined", "record_undecodable")]


async def test_a_job_the_stage_raises_on_is_quarantined_and_its_message_told_which_and_others_continue(
    here: Settings, topics: World
) -> None:
    async def work(turn: StageAttempt[VisionJob]) -> Forward:
        if turn.job.index == 7:
            raise ZeroDivisionError
        return described(turn)

    async with app_at_work(describing(here, work)):
        admit(topics, job(1, index=7), job(2))
        await until(lambda: len(said(topics)) == 2, "both end")
    assert {(one.kind, one.reason, one.index) for one in said(topics)} == {
        ("failed", "quarantined", 7),
        ("described", None, 0),
    }
    assert [decode(Quarantined, m.value()).detail for m in topics.read("quarantine", None)] == [
        "ZeroDivisionError"
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("x" * (5 * 1024 * 1024), "record_too_large"), ("half \ud800 a character", "stage_error")],
)
async def test_an_answer_that_cannot_be_written_ends_as_that_jobs_failure(
    here: Settings, topics: World, text: str, reason: str
) -> None:
    async def work(turn: StageAttempt[VisionJob]) -> Forward:
        return described(turn, text)

    async with app_at_work(describing(here, work)):
        admit(topics, job(1))
        await until(lambda: said(topics), "it ends")
    assert [(one.kind, one.reason) for one in said(topics)] == [("failed", "quarantined")]
    assert outcomes(topics) == [("quarantined", reason)]


@pytest.mark.parametrize("size", [1_500_000, 4_100_000])
async def test_a_job_larger_than_a_usual_changelog_record_goes_through(
    here: Settings, topics: World, size: int
) -> None:
    async def work(turn: StageAttempt[VisionJob]) -> Forward:
        assert turn.job.filename is not None
        assert len(turn.job.filename) == size
        return described(turn)

    async with app_at_work(describing(here, work)):
        admit(topics, job(1, filename="f" * size), job(2, filename="f" * size))
        await until(lambda: len(said(topics)) == 2, "both end")
    assert {one.kind for one in said(topics)} == {"described"}


async def test_a_stub_whose_record_is_gone_ends_in_quarantine_and_tells_its_message(
    here: Settings, topics: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_jobs, "BODIES_PART", 1 << 40)
    tried = asyncio.Event()

    async def work(turn: StageAttempt[VisionJob]) -> Forward:
        tried.set()
        raise Unavailable("model", 1.0)

    key, value = job(1)
    async with app_at_work(describing(here, work)):
        topics.produce("vision", value, key=key, headers=headers_of())
        await asyncio.wait_for(tried.wait(), SECONDS)
        topics.delete_records_before("vision", 1)
        await until(lambda: said(topics), "it ends", 90)
    (told,) = said(topics)
    assert (told.kind, told.reason, told.message_key.encode()) == ("failed", "quarantined", key)


async def test_a_job_waits_as_long_as_the_world_is_in_trouble_and_its_clock_runs_over_a_restart(
    here: Settings, topics: World
) -> None:
    waited: list[float] = []

    async def in_trouble(turn: StageAttempt[VisionJob]) -> Forward:
        waited.append(turn.waited_seconds)
        raise Unavailable("model", 0.2)

    async with app_at_work(describing(here, in_trouble)):
        admit(topics, job(1))
        await until(lambda: len(waited) >= 3, "it is tried again and again")
    before = waited[-1]

    async def well(turn: StageAttempt[VisionJob]) -> Forward:
        waited.append(turn.waited_seconds)
        return described(turn)

    async with app_at_work(describing(here, well)):
        await until(lambda: said(topics), "it ends")
    assert 0 < before < waited[-1]
    assert topics.read("quarantine", None) == []


async def test_a_try_that_never_returns_is_ended_and_tried_again(
    here: Settings, topics: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_app, "TRY_SECONDS", 2.0)
    tries: list[int] = []

    async def work(turn: StageAttempt[VisionJob]) -> Forward:
        tries.append(turn.job.index)
        if len(tries) == 1:
            await asyncio.Event().wait()
        return described(turn)

    async with app_at_work(describing(here, work)):
        admit(topics, job(1))
        await until(lambda: said(topics), "the second try ends")
    assert (len(tries), topics.read("quarantine", None)) == (2, [])


# the end


async def test_the_end_lets_a_running_job_finish_and_leaves_one_that_takes_longer_to_the_next_process(
    here: Settings, topics: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_app_module, "JOB_DRAIN_SECONDS", 3.0)
    started: set[int] = set()
    never, soon = asyncio.Event(), asyncio.Event()

    async def work(turn: StageAttempt[VisionJob]) -> Forward:
        started.add(turn.job.index)
        await (soon if turn.job.index == 0 else never).wait()
        return described(turn)

    async with app_at_work(describing(here, work)):
        admit(topics, job(1, index=0), job(2, index=1))
        await until(lambda: started == {0, 1}, "both run")
        asyncio.get_running_loop().call_later(0.3, soon.set)
    assert [one.index for one in said(topics)] == [0]
    never.set()
    async with app_at_work(describing(here, work)):
        await until(lambda: len(said(topics)) == 2, "the other one runs again")
    assert [one.index for one in said(topics)].count(0) == 1


async def test_a_tenant_whose_every_job_fails_leaves_the_others_unharmed(
    here: Settings, topics: World
) -> None:
    before = counted("forwarded", "", "describe")
    tries = 0

    async def work(turn: StageAttempt[VisionJob]) -> Forward:
        nonlocal tries
        if turn.job.tenant_id == "outage":
            tries += 1
            raise Unavailable("model", 1.0, hold=True)
        return described(turn)

    async with app_at_work(describing(here, work)):
        admit(topics, *(job(n, "outage") for n in range(400)), tenant="outage")
        admit(topics, *(job(n, "well") for n in range(20)), tenant="well")
        await until(
            lambda: counted("forwarded", "", "describe") == before + 20,
            "the other tenant's jobs end",
        )
        assert tries < 400
    assert {one.tenant_id for one in said(topics)} == {"well"}
