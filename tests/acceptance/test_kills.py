"""SIGKILL of each role in turn, during traffic.

The rows are the same, each exists once, and a read_committed reader sees one version 1
per key.
"""

import asyncio
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError

from schemas.codec import decode
from schemas.records import EnrichedMessage
from storage.kafka.client import reader_config
from streams.local.samples import MEDIA_DIR, Sample, SampleFile, chatwoot, link, mime_of, ycloud
from tests.pipeline import ROLES, Pipeline, Tenant, wait_for

TEXTS, FILES, SENDERS = 120, 12, 8


def _traffic(media: str) -> list[Sample]:
    """Texts, images and voice notes, each delivered twice, in mixed order."""
    names = ["cat.jpg", "coffee.jpg", "voice-note-es.ogg"]
    files = [names[n % len(names)] for n in range(FILES)]
    sent = [
        ycloud(f"texto {n}", None, what="text")
        if n % 2
        else chatwoot(f"text {n}", None, what="text")
        for n in range(TEXTS)
    ]
    sent += [
        ycloud(
            None,
            SampleFile(
                "audio" if name.endswith("ogg") else "image",
                link(media, name),
                mime_of(MEDIA_DIR / name),
            ),
            what=name,
        )
        for name in files
    ]
    return [
        one
        for sample in sorted(sent, key=lambda s: s.provider_message_id)
        for one in (sample, sample)
    ]


def enriched(pipeline: Pipeline, tenant: str) -> list[EnrichedMessage]:
    """All versions of a tenant, as a read_committed reader sees them."""
    consumer = Consumer(
        reader_config(pipeline.settings.kafka, "test-reader") | {"enable.partition.eof": True}
    )
    topic = pipeline.names.topic("enriched-messages")
    from confluent_kafka import TopicPartition

    partitions = range(pipeline.settings.kafka.partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found, ended, deadline = [], set[int](), time.monotonic() + 60
    while len(ended) < len(partitions):
        assert time.monotonic() < deadline, "the topic could not be read to its end"
        message = consumer.poll(0.5)
        if message is None:
            continue
        error = message.error()
        if error is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            ended.add(message.partition() or 0)
        elif message.value() is not None:  # a tombstone of a test that erased messages
            record = decode(EnrichedMessage, message.value())
            if record.tenant_id == tenant:
                found.append(record)
    consumer.close()
    return found


@pytest.mark.parametrize("role", ROLES)
async def test_a_killed_role_loses_nothing_and_repeats_nothing(
    role: str, pipeline: Pipeline, media: str, connection: Any
) -> None:
    tenant = Tenant(pipeline, f"kill-{role.replace('_', '-')}")
    traffic = _traffic(media)
    keys = {sample.key(tenant.name) for sample in traffic}
    with ThreadPoolExecutor(SENDERS) as senders:
        loop = asyncio.get_running_loop()
        sending = [loop.run_in_executor(senders, tenant.post, sample) for sample in traffic]
        for share in (0.2, 0.6):  # in mid-traffic, twice

            async def sent(share: float = share) -> bool:
                return sum(one.done() for one in sending) >= share * len(sending)

            await wait_for(sent, "traffic under way")
            await asyncio.to_thread(pipeline.kill, role)
        assert set(await asyncio.gather(*sending)) == {200}

    async def all_finished() -> Any:
        rows = await tenant.rows(connection)
        return (
            rows
            if len(rows) >= len(keys) and all(row["status"] != "pending" for row in rows.values())
            else None
        )

    rows = await wait_for(all_finished, f"{len(keys)} finished rows", 120)
    assert set(rows) == keys
    assert {row["status"] for row in rows.values()} == {"complete"}
    versions = enriched(pipeline, tenant.name)
    firsts = Counter(message.message_key for message in versions if message.version == 1)
    assert firsts == Counter(keys)
    last = {message.message_key: message.version for message in versions}
    assert {key: row["version"] for key, row in rows.items()} == last
    await asyncio.to_thread(pipeline.wait_ready, role)
