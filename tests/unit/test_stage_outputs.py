"""Every stage writes to exactly the topics that it declares.

Each runs on a text, a picture, a voice note and a poison record. A lane refuses other
topics before its transaction begins (tests/unit/test_pipeline.py).
"""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.codec import encode
from schemas.headers import Headers, Routing
from schemas.outcomes import Forward
from schemas.pipeline import JOB_STAGES, STAGES, WRITES_OF, Stage
from schemas.records import AudioJob, MediaJob, VisionJob
from schemas.topics import Names
from streams.apps import dedupe as dedupe_app
from streams.apps.assemble import decide as assemble_batch
from streams.apps.encoding import Encoding
from streams.apps.jobs import JobStage, StageAttempt, _Calls
from streams.lanes.claims import ClaimedKeys
from streams.lanes.job_ends import Done
from streams.lanes.state import KeptValues
from streams.lanes.transactions import Write
from streams.stages.describe import describe
from streams.stages.transcribe import transcribe
from tests.unit import test_model_jobs as models
from tests.unit import test_store_media as media
from tests.unit.records import NOW, SOURCE, TENANT, TRACEPARENT, chat, found, raw
from tests.unit.test_sizes import Kafka, batch

ENCODING = Encoding(Names(), 4)
HEADERS: Headers = Routing(
    tenant_id=TENANT, provider="ycloud", traceparent=TRACEPARENT
).to_headers()
POISON = b"\0poison"
KINDS: dict[Stage, type] = {"store_media": MediaJob, "describe": VisionJob, "transcribe": AudioJob}


async def store(attempt: StageAttempt[MediaJob]) -> Forward:
    mime, extension = ("audio/ogg", "ogg") if attempt.job.type == "audio" else ("image/jpeg", "jpg")
    world = media.World(media.File(), content=media.Content(mime, extension, attempt.job.type))
    return await media.stored(world, attempt.job)


async def describe_picture(attempt: StageAttempt[VisionJob]) -> Forward:
    world = models.World()
    return await describe(
        attempt.job,
        recipes=(models.RECIPE,),
        describer=world,
        results=world,
        patience=models.FRESH,
        source=SOURCE,
        now=models.now,
    )


async def transcribe_voice(attempt: StageAttempt[AudioJob]) -> Forward:
    world = models.World()
    return await transcribe(
        attempt.job,
        recipes=(models.RECIPE,),
        transcriber=world,
        results=world,
        patience=models.FRESH,
        source=SOURCE,
        now=models.now,
    )


WORK: dict[Stage, Any] = {
    "store_media": store,
    "describe": describe_picture,
    "transcribe": transcribe_voice,
}


def records(values: list[tuple[bytes, bytes]]) -> list[Kafka]:
    return [
        Kafka(value, offset, key=key, headers=HEADERS) for offset, (key, value) in enumerate(values)
    ]


def decided(decide: Any, state: object, values: list[tuple[bytes, bytes]]) -> list[Write]:
    """What a batch stage writes in one transaction."""
    settled = batch(state, *records(values))
    decide(settled, ENCODING)
    writes: list[Write] = settled.writes
    return writes


async def done(stage: Stage, values: list[tuple[bytes, bytes]]) -> list[Write]:
    """What a job stage writes when each of these ends, or is refused as a job."""
    notes: Any = SimpleNamespace(note=lambda _: None, forget=lambda *_: None)
    calls: Any = _Calls(JobStage(stage, KINDS[stage], WORK[stage], notes), ENCODING, notes)
    writes: list[Write] = []
    for record in records(values):
        refusal = calls.refuse(record, False)
        if refusal is not None:
            writes += refusal.writes
            continue
        entry = SimpleNamespace(
            key=record.key(), headers=HEADERS, first_attempt_at=NOW.timestamp(), attempt=0
        )
        job: Any = SimpleNamespace(entry=entry, partition=0, offset=record.offset())
        end = await calls.call(job, record.value())
        assert isinstance(end, Done), end
        writes += end.writes
    return writes


@pytest.fixture
async def written(monkeypatch: pytest.MonkeyPatch) -> dict[Stage, Counter[str]]:
    """The topics to which each stage writes, in the order of the flow."""
    answers = [chat(), chat(found("image")), chat(found("audio"))]
    monkeypatch.setattr(dedupe_app, "read", lambda raw: answers.pop(0))
    arrived = [raw(provider_id=f"wamid.{number}") for number in range(3)]
    topics: dict[str, list[tuple[bytes, bytes]]] = {
        "raw-messages": [(one.message_key.encode(), encode(one)) for one in arrived]
    }
    counted: dict[Stage, Counter[str]] = {}

    def note(stage: Stage, writes: list[Write]) -> None:
        counted[stage] = Counter(write.topic for write in writes)
        for write in writes:
            topics.setdefault(write.topic, []).append((write.key, write.value or b""))

    poison = [(b"acme:ycloud:poison", POISON)]
    note("dedupe", decided(dedupe_app.decide, ClaimedKeys(), topics["raw-messages"] + poison))
    note("store_media", await done("store_media", topics["media"] + poison))
    note("describe", await done("describe", topics["vision"] + poison))
    note("transcribe", await done("transcribe", topics["audio"] + poison))
    note("assemble", decided(assemble_batch, KeptValues(), topics["enrichments"] + poison))
    return counted


@pytest.mark.parametrize("stage", STAGES)
async def test_a_stage_writes_to_every_topic_that_it_declares_and_to_no_other(
    stage: Stage, written: dict[Stage, Counter[str]]
) -> None:
    assert {*written[stage], "receipts"} == WRITES_OF[stage]  # its lane adds the receipts


async def test_each_poison_record_is_quarantined_and_a_job_tells_its_message(
    written: dict[Stage, Counter[str]],
) -> None:
    assert {stage: topics["quarantine"] for stage, topics in written.items()} == dict.fromkeys(
        STAGES, 1
    )
    assert written["dedupe"] == {
        "enriched-messages": 3,
        "enrichments": 2,
        "media": 2,
        "quarantine": 1,
    }
    assert written["store_media"]["enrichments"] == 3
    assert all(written[stage]["enrichments"] == 2 for stage in JOB_STAGES - {"store_media"})
