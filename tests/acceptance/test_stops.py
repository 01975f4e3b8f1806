"""A record that kills its readers, and a stage that would refuse too many records."""

import urllib.request
from typing import Any

import pytest
from confluent_kafka import Producer

from storage.kafka.client import plain_producer_config
from streams.local.samples import Sample, ycloud
from tests.pipeline import Pipeline, Tenant, wait_for

KILLER = "read-this-and-die"


async def quarantined(connection: Any, tenant: str) -> list[tuple[str, str]]:
    found = await connection.fetch(
        "SELECT stage, reason FROM quarantined_messages WHERE tenant_id = $1", tenant
    )
    return [(row["stage"], row["reason"]) for row in found]


async def test_a_body_that_kills_its_reader_is_set_aside_unread_and_its_neighbours_go_through(
    pipeline: Pipeline, connection: Any
) -> None:
    tenant = Tenant(pipeline, "killed")
    pipeline.restart("dedupe", f"read:{KILLER}")
    said_before = len(pipeline.log_of("dedupe"))
    try:
        sent = [ycloud(f"vecino {n}", None, what="text") for n in range(20)]
        assert [tenant.post(sample) for sample in sent[:10]] == [200] * 10
        assert tenant.post(ycloud(KILLER, None, what="text")) == 200
        assert [tenant.post(sample) for sample in sent[10:]] == [200] * 10

        async def all_settled() -> bool:
            return len(await tenant.rows(connection)) == 20 and bool(
                await quarantined(connection, tenant.name)
            )

        await wait_for(all_settled, "the neighbours' rows and the killer in quarantine", 120)
        assert await quarantined(connection, tenant.name) == [("dedupe", "process_killer")]
        assert set(await tenant.rows(connection)) == {sample.key(tenant.name) for sample in sent}
        deaths = [
            line
            for line in pipeline.log_of("dedupe")[said_before:].splitlines()
            if "worker_died_reading" in line
        ]
        assert len(deaths) == 3
    finally:
        pipeline.restart("dedupe")


def metric(pipeline: Pipeline, role: str, name: str) -> float:
    with urllib.request.urlopen(
        f"http://127.0.0.1:{pipeline.ports[role]}/metrics", timeout=60
    ) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def refused_by_the_program(pipeline: Pipeline, tenant: Tenant, count: int) -> None:
    """Records that no sender can cause: they are not in the wire format."""
    producer = Producer(plain_producer_config(pipeline.settings.kafka))
    for number in range(count):
        producer.produce(
            pipeline.names.topic("raw-messages"),
            b"not wire format",
            f"{tenant.name}:ycloud:{number}".encode(),
            headers=[("tenant", tenant.name.encode()), ("provider", b"ycloud")],
        )
    assert producer.flush(30) == 0


async def test_bodies_that_are_not_messages_stop_nobody_however_many_one_tenant_sends(
    pipeline: Pipeline, connection: Any
) -> None:
    hostile, quiet = Tenant(pipeline, "hostile"), Tenant(pipeline, "quiet")
    pipeline.restart("dedupe")  # it has heard nobody yet
    count = 2 * pipeline.settings.breaker.consecutive
    bad = [Sample("not JSON", "ycloud", f"not json {n}".encode(), "") for n in range(count)]
    assert {hostile.post(sample) for sample in bad} == {200}

    async def all_set_aside() -> bool:
        return len(await quarantined(connection, hostile.name)) == count

    await wait_for(all_set_aside, "every body in quarantine")
    good = ycloud("buenas", None, what="text")
    assert quiet.post(good) == 200

    async def arrived() -> bool:
        return set(await quiet.rows(connection)) == {good.key(quiet.name)}

    await wait_for(arrived, "the quiet tenant's row")
    await wait_for(lambda: _ready(pipeline), "dedupe is ready")
    assert metric(pipeline, "dedupe", "sensorium_stage_stopped") == 0
    assert metric(pipeline, "dedupe", "sensorium_stage_tenants_held") == 0


@pytest.mark.slow
async def test_what_the_program_refuses_of_one_tenant_holds_it_and_of_two_stops_the_stage_until_a_person_resumes_it(
    pipeline: Pipeline, connection: Any
) -> None:
    first, second, third = (Tenant(pipeline, name) for name in ("refused", "too", "waiting"))
    pipeline.restart("dedupe")  # it has heard nobody yet
    limit = pipeline.settings.breaker.consecutive
    refused_by_the_program(pipeline, first, limit + 10)

    async def is_held() -> bool:
        return metric(pipeline, "dedupe", "sensorium_stage_tenants_held") == 1

    await wait_for(is_held, "a tenant that is held")
    await wait_for(lambda: _ready(pipeline), "dedupe is ready")
    refused_by_the_program(pipeline, second, limit)

    async def stopped() -> bool:
        return metric(pipeline, "dedupe", "sensorium_stage_stopped") == 1

    await wait_for(stopped, "dedupe stopped")
    assert not pipeline.is_ready("dedupe")
    good = ycloud("después", None, what="text")
    assert third.post(good) == 200

    async def told() -> bool:
        return bool(
            await connection.fetchval(
                "SELECT count(*) FROM stage_stops WHERE stage = 'dedupe' AND resumed_at IS NULL"
            )
        )

    await wait_for(told, "a stop that is told")
    assert len(await quarantined(connection, second.name)) < limit
    assert await third.rows(connection) == {}
    assert len(pipeline.command("resume", "dedupe")["resumed"]) == 1

    async def all_settled() -> bool:
        counts = [len(await quarantined(connection, one.name)) for one in (first, second)]
        return bool(await third.rows(connection)) and counts == [limit + 10, limit]

    await wait_for(all_settled, "everything it held")
    assert set(await third.rows(connection)) == {good.key(third.name)}
    await wait_for(lambda: _ready(pipeline), "dedupe ready again")
    assert metric(pipeline, "dedupe", "sensorium_stage_stopped") == 0


async def _ready(pipeline: Pipeline) -> bool:
    return pipeline.is_ready("dedupe")
