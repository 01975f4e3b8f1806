import asyncio
import itertools
import time
from types import SimpleNamespace
from typing import Any

import pytest

from streams.lanes import jobs as jobs_module
from streams.lanes.entries import Entry
from streams.lanes.job_entries import JobEntries
from streams.lanes.jobs import Jobs, Waiting


class Desk:
    def __init__(self) -> None:
        self.handed_out: asyncio.Queue[Any] = asyncio.Queue()

    def hand_out(self, job: Any) -> None:
        self.handed_out.put_nowait(job)


async def test_a_timer_that_fires_a_moment_too_early_is_set_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    jobs = Jobs(desk, 4, 4)  # type: ignore[arg-type]
    clock = itertools.chain(
        [100.0] * 3, itertools.repeat(100.02)
    )  # the third look is the timer's, which is early
    monkeypatch.setattr(
        jobs_module, "time", SimpleNamespace(monotonic=lambda: next(clock), time=time.time)
    )
    state = JobEntries()
    state.put(7, Entry("acme", b"", [], b"", 0.0))
    jobs.admit([Waiting(SimpleNamespace(state=state), 7, "acme", due_at=100.01)])  # type: ignore[arg-type]
    job = await asyncio.wait_for(desk.handed_out.get(), 60)
    assert job.offset == 7
