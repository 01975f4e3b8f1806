"""Probes that come before a worker has its consumer."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from schemas.settings import Settings
from streams.apps.dedupe import create_app
from streams.lanes.readiness import status, troubles
from streams.roles import worker
from streams.roles.worker import ToParent


def test_a_probe_that_comes_first_makes_no_consumer_of_its_own_event_loop() -> None:
    app = create_app(Settings())
    lanes = app.lanes
    assert lanes is not None
    with ThreadPoolExecutor(1) as prober:
        found = prober.submit(troubles, app, lanes).result()
        said = prober.submit(status, app, lanes).result()
    assert "not a member of the group sensorium-dedupe now" in found
    assert said["troubles"] == found
    assert app._consumer is None, "the worker would wait in another loop than its consumer's"


def test_a_look_at_readiness_that_fails_does_not_end_the_beat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Enough(BaseException):
        """Ends a loop that has no other end."""

    def sleep(_seconds: float) -> None:
        slept.append(_seconds)
        if len(slept) == 2:
            raise Enough

    def look() -> bool:
        if not slept:
            raise RuntimeError("dictionary changed size during iteration")
        return True

    slept: list[float] = []
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=lambda: 1.0, sleep=sleep))
    ours, theirs = os.pipe()
    to_parent = ToParent(theirs)
    to_parent.is_ready = look
    with pytest.raises(Enough):
        to_parent.beat()
    os.close(theirs)
    with os.fdopen(ours, "rb") as said:
        assert [json.loads(line)["ready"] for line in said] == [False, True]
