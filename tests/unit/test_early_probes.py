"""Probes that come before a worker has its consumer."""

from concurrent.futures import ThreadPoolExecutor

from schemas.settings import Settings
from streams.apps.dedupe import create_app
from streams.lanes.readiness import status, troubles


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
