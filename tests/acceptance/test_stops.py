"""A record that kills who reads it, and a stage that refuses too much."""

import urllib.request
from typing import Any

import pytest

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

        await wait_for(all_settled, "the neighbours' rows and the killer in quarantine", 90)
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
        f"http://127.0.0.1:{pipeline.ports[role]}/metrics", timeout=5
    ) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.mark.slow
async def test_a_stage_that_would_quarantine_everything_stops_until_a_person_resumes_it(
    pipeline: Pipeline, connection: Any
) -> None:
    tenant = Tenant(pipeline, "refused")
    pipeline.restart("dedupe")  # it has heard nobody yet
    limit = pipeline.settings.breaker.consecutive
    bad = [Sample("not JSON", "ycloud", f"not json {n}".encode(), "") for n in range(limit + 10)]
    assert {tenant.post(sample) for sample in bad} == {200}

    async def stopped() -> bool:
        return not pipeline.is_ready("dedupe")

    await wait_for(stopped, "dedupe not ready")
    assert metric(pipeline, "dedupe", "sensorium_stage_stopped") == 1
    good = ycloud("después", None, what="text")
    assert tenant.post(good) == 200

    async def told() -> bool:
        return bool(
            await connection.fetchval(
                "SELECT count(*) FROM stage_stops WHERE stage = 'dedupe' AND resumed_at IS NULL"
            )
        )

    await wait_for(told, "a stop that is told")
    assert len(await quarantined(connection, tenant.name)) < limit + 10
    assert await tenant.rows(connection) == {}
    assert len(pipeline.command("resume", "dedupe")["resumed"]) == 1

    async def all_settled() -> bool:
        return (
            bool(await tenant.rows(connection))
            and len(await quarantined(connection, tenant.name)) == limit + 10
        )

    await wait_for(all_settled, "everything it held")
    assert set(await tenant.rows(connection)) == {good.key(tenant.name)}
    await wait_for(lambda: _ready(pipeline), "dedupe ready again")
    assert metric(pipeline, "dedupe", "sensorium_stage_stopped") == 0


async def _ready(pipeline: Pipeline) -> bool:
    return pipeline.is_ready("dedupe")
