"""What operators' tools ask of every role while it works."""

import re
import time
import urllib.request
from typing import Any

import pytest

from schemas.pipeline import STAGES
from streams.local.samples import ycloud
from tests.pipeline import Pipeline, Tenant, wait_for


def scrape(pipeline: Pipeline, role: str) -> str:
    with urllib.request.urlopen(
        f"http://127.0.0.1:{pipeline.ports[role]}/metrics", timeout=60
    ) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("role", [*STAGES, "sink", "receive", "console"])
def test_metrics_are_given_at_once(role: str, pipeline: Pipeline) -> None:
    tries: list[float] = []
    while not tries or (min(tries) >= 0.25 and len(tries) < 20):  # a busy machine holds up some
        began = time.monotonic()
        assert "sensorium_" in scrape(pipeline, role)
        tries.append(time.monotonic() - began)
    assert min(tries) < 0.25, "a scrape waits for something"


async def test_lag_is_zero_when_everything_is_read(pipeline: Pipeline, connection: Any) -> None:
    tenant = Tenant(pipeline, "caught-up")
    assert tenant.post(ycloud("hola", None, what="text")) == 200

    async def stored() -> Any:
        return await tenant.rows(connection)

    await wait_for(stored, "the row")

    async def caught_up() -> bool:
        lines = "".join(scrape(pipeline, role) for role in (*STAGES, "sink"))
        lags = re.findall(
            r"^sensorium_(?:stage|sink)_lag_records\{.*\} (\S+)$", lines, re.MULTILINE
        )
        return len(lags) > 4 and all(float(lag) == 0 for lag in lags)

    await wait_for(caught_up, "every lag at zero")
