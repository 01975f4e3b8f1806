"""Changes the number of partitions of a running pipeline, by the commands of docs/operating.md."""

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest

from schemas.settings import Settings
from storage.kafka.reading import TopicReader
from storage.postgres.pool import connect
from streams.local.samples import MEDIA_DIR, Sample, SampleFile, link, mime_of, serving, ycloud
from tests.acceptance.guides import Guide
from tests.pipeline import ROLES, Pipeline, Tenant, wait_for

SECTION = "Another number of partitions"
PARTITIONS = 6
"""There were four before, so a key of a new partition may have been in two of the old ones."""
TENANT = "moves"


@pytest.fixture(scope="module")
def old(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    running = Pipeline(stack, f"p{secrets.token_hex(3)}", tmp_path_factory.mktemp("old"), model_retry_seconds=900)  # fmt: skip
    try:
        running.start_all()
        with serving({path.name: path for path in MEDIA_DIR.iterdir()}, running.ports["media"]):
            yield running
    finally:
        running.stop_all()


@pytest.fixture(scope="module")
def new(old: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The roles of the further set.

    Their settings differ in two, and their receivers share the port.
    """
    further = Pipeline(old.settings, f"{old.settings.namespace}.2", tmp_path_factory.mktemp("new"), model_retry_seconds=900)  # fmt: skip
    further.ports["receive"] = old.ports["receive"]
    further.receiver = old.receiver
    further.settings = msgspec.structs.replace(
        further.settings,
        kafka=msgspec.structs.replace(old.settings.kafka, partitions=PARTITIONS),
        receiver=old.settings.receiver,
        openai=old.settings.openai,
        media=old.settings.media,
    )
    try:
        yield further
    finally:
        further.stop_all()


def picture(old: Pipeline, name: str) -> Sample:
    address = link(f"http://127.0.0.1:{old.ports['media']}", name)
    return ycloud("mira", SampleFile("image", address, mime_of(MEDIA_DIR / name)), what="picture")


def texts(what: str, count: int) -> list[Sample]:
    return [ycloud(f"{what} {number}", None, what=f"{what}-{number}") for number in range(count)]


async def rows(old: Pipeline) -> dict[str, str]:
    connection = await connect(old.settings.postgres, old.names, "test")
    try:
        found = await connection.fetch(
            "SELECT message_key, status FROM chat_messages WHERE tenant_id = $1", TENANT
        )
        return {row["message_key"]: row["status"] for row in found}
    finally:
        await connection.close()


async def shows(old: Pipeline, statuses: dict[str, str], seconds: float = 60.0) -> None:
    async def so() -> bool:
        return await rows(old) == statuses

    await wait_for(so, f"the rows of {len(statuses)} messages and no others", seconds)


def enriched(pipeline: Pipeline) -> Counter[bytes]:
    """How many records each message has in a set's enriched topic."""
    reader = TopicReader(pipeline.settings.kafka, "test")
    try:
        topic = pipeline.names.topic("enriched-messages")
        bounds = reader.bounds(topic)
        begin, end = ({p: one[at] for p, one in bounds.items()} for at in (0, 1))
        return Counter(message.key() or b"" for message in reader.read(topic, begin, end))
    finally:
        reader.close()


def deliver_all(tenant: Tenant, samples: list[Sample]) -> None:
    assert [tenant.post(sample) for sample in samples] == [200] * len(samples)


def guide_for(old: Pipeline) -> Guide:
    """The page's own commands, with the namespaces and counts of this test."""
    before = old.settings.namespace
    return Guide(
        "operating.md",
        old.environment(),
        {
            "SENSORIUM_NAMESPACE=sensorium.2 SENSORIUM_KAFKA__PARTITIONS=24": f"SENSORIUM_NAMESPACE={before}.2 SENSORIUM_KAFKA__PARTITIONS={PARTITIONS}",
            "SENSORIUM_NAMESPACE= SENSORIUM_KAFKA__PARTITIONS=12": f"SENSORIUM_NAMESPACE={before} SENSORIUM_KAFKA__PARTITIONS={old.settings.kafka.partitions}",
            "--from sensorium\n": f"--from {before}\n",
        },
        SECTION,
    )


async def until_nothing_waits(guide: Guide) -> None:
    """Runs the next command of the page until it prints nothing."""
    block = guide.left[0]

    async def nothing() -> bool:
        guide.left[0] = block
        printed = await asyncio.to_thread(guide.run)
        guide.left.insert(0, block)
        return not printed.strip()

    await wait_for(nothing, block)
    guide.left.pop(0)


async def test_messages_of_before_meanwhile_and_after_come_out_once(
    old: Pipeline, new: Pipeline
) -> None:
    tenant, guide = Tenant(old, TENANT), guide_for(old)
    before, meanwhile, after = (texts(what, 12) for what in ("before", "meanwhile", "after"))
    shown = picture(old, "cat.jpg")
    deliver_all(tenant, [*before, shown])
    keys = {sample.key(TENANT): "complete" for sample in [*before, shown]}
    await shows(old, keys)

    old.control({"fault": "server_error"})  # a picture whose job outlives the change
    waits = picture(old, "coffee.jpg")
    deliver_all(tenant, [waits])
    keys[waits.key(TENANT)] = "pending"
    await shows(old, keys)

    await asyncio.to_thread(guide.run)  # 1: topics apply
    new.start("receive")  # 2: two sets of receivers at one port, then the new ones alone
    new.wait_ready("receive")
    deliver_all(tenant, meanwhile[:6])
    assert old.stop("receive") == 0
    deliver_all(tenant, [*meanwhile[6:], before[0], shown])
    await until_nothing_waits(guide)  # 3
    assert old.stop("dedupe") == 0
    new.start("dedupe")  # too early: it holds its partitions
    await wait_for(lambda: said(new, "offset_missing"), "dedupe waits for the claims")
    assert new.stop("dedupe") == 0
    printed = await asyncio.to_thread(guide.run)  # 4: topics take-over
    assert int(re.findall(r"(\d+) claims taken over", printed)[0]) >= 2 * len(before)

    for name in ROLES:  # 5
        if name != "receive":
            new.start(name)
    for name in ROLES:
        new.wait_ready(name)
    deliver_all(tenant, [*after, *before, shown, waits, *meanwhile])
    keys |= {sample.key(TENANT): "complete" for sample in [*meanwhile, *after]}
    await shows(old, keys)
    old.control(None)
    keys[waits.key(TENANT)] = "complete"
    await shows(old, keys, seconds=240.0)  # by now its tries are a minute apart
    await until_nothing_waits(guide)  # 6
    assert guide.left == []
    for name in [name for name in ROLES if name in old.processes]:
        assert old.stop(name) == 0

    last = texts("last", 4)
    deliver_all(tenant, [*last, *before, shown, waits])
    keys |= {sample.key(TENANT): "complete" for sample in last}
    await shows(old, keys)
    assert_each_in_one_set(old, new, [shown, waits], [*before, *meanwhile, *after, *last])


async def said(pipeline: Pipeline, word: str) -> bool:
    return word in pipeline.log_of("dedupe")


def assert_each_in_one_set(
    old: Pipeline, new: Pipeline, pictures: list[Sample], texts: list[Sample]
) -> None:
    there, here = enriched(old), enriched(new)
    assert set(there).isdisjoint(here), "a message came out of both sets"
    assert set(there) | set(here) == {sample.key(TENANT).encode() for sample in [*pictures, *texts]}
    assert {(there + here)[sample.key(TENANT).encode()] for sample in texts} == {1}
    assert all(sample.key(TENANT).encode() in there for sample in pictures)
