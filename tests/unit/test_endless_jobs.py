"""Jobs whose tries never return."""

import asyncio
import time
from typing import Any

import pytest

from schemas.outcomes import Unavailable
from schemas.records import VisionJob
from streams.apps import jobs as jobs_app
from streams.apps.jobs import LONGEST_WAIT_SECONDS, JobStage, StageAttempt, _Calls
from tests.unit.records import vision_job


@pytest.mark.parametrize(
    ("waited", "ends"),
    [
        (0.0, Unavailable),
        (LONGEST_WAIT_SECONDS - 60, Unavailable),
        (LONGEST_WAIT_SECONDS, TimeoutError),
    ],
)
async def test_a_try_that_never_returns_is_made_again_for_a_day_and_then_set_aside(
    waited: float, ends: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_app, "TRY_SECONDS", 0.01)

    async def never(turn: StageAttempt[VisionJob]) -> Any:
        await asyncio.Event().wait()

    nothing: Any = None
    settlement = _Calls(JobStage("describe", VisionJob, never, nothing), nothing, nothing)
    began = time.monotonic()
    with pytest.raises(ends):
        await settlement._work(StageAttempt(vision_job(), nothing, waited))
    assert time.monotonic() - began < 60
