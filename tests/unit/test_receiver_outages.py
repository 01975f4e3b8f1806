"""While Kafka or the tenants are away nothing is accepted, and probes and metrics say so."""

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from connectors.webhooks import receiver
from tests.integration.waiting import until
from tests.unit.receiving import MESSAGE, TEXT, WOOT, Application, count, problem


async def test_without_kafka_nothing_is_accepted_and_all_are_asked_to_come_again() -> None:
    application = Application()
    application.log.away = True
    for answer in (
        await application.deliver("ycloud", TEXT),
        await application.deliver("chatwoot", WOOT),
        await application.chat(MESSAGE),
    ):
        assert problem(answer) == (503, "Service Unavailable")
        assert answer.headers["retry-after"] == "1"


async def test_an_outage_is_not_a_line_of_log_for_every_request() -> None:
    application = Application()
    application.log.away = True
    with capture_logs() as lines:
        for _ in range(20):
            assert (await application.deliver("ycloud", TEXT)).status == 503
    assert len(lines) < 5
    assert lines[0] == {
        "event": "receiver_unavailable",
        "log_level": "warning",
        "what": "kafka",
        "detail": "_TIMED_OUT",
    }


async def test_before_tenants_are_known_nobody_is_a_stranger() -> None:
    application = Application()
    application.directory.loaded = False
    for answer in (
        await application.deliver("ycloud", TEXT),
        await application.deliver("ycloud", TEXT, token="unknown"),
        await application.chat(MESSAGE),
        await application.chat(MESSAGE, key="unknown"),
    ):
        assert problem(answer) == (503, "Service Unavailable")
        assert answer.headers["retry-after"] == "1"
    assert (await application.request("GET", "/readyz")).status == 503
    assert (await application.request("GET", "/livez")).status == 200


async def test_while_draining_it_is_not_ready_and_still_answers() -> None:
    application = Application()
    assert (await application.request("GET", "/readyz")).status == 200
    application.receiver.drain()
    assert (await application.request("GET", "/readyz")).status == 503
    assert (await application.request("GET", "/livez")).status == 200
    assert (await application.deliver("ycloud", TEXT)).status == 200
    assert (await application.chat(MESSAGE)).status == 202


async def test_it_is_not_ready_while_kafka_is_away() -> None:
    application = Application()
    application.log.healthy = False
    assert (await application.request("GET", "/readyz")).status == 503


async def test_a_bug_is_counted_as_500_and_leaves_nothing_in_the_budget() -> None:
    application = Application(max_pending_bytes=2 * len(TEXT))
    application.log.broken = True
    before = count("ycloud", 500)
    for _ in range(3):
        answer = await application.deliver("ycloud", TEXT)
        assert problem(answer) == (500, "Internal Server Error")
    assert count("ycloud", 500) == before + 3


# --- probes and metrics


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_operations_answer_get_and_head_only(path: str) -> None:
    application = Application()
    assert (await application.request("GET", path)).status == 200
    assert (await application.request("HEAD", path)).status == 200
    answer = await application.request("POST", path)
    assert problem(answer) == (405, "Method Not Allowed")
    assert answer.headers["allow"] == "GET, HEAD"


async def test_labels_of_metrics_do_not_follow_what_strangers_send() -> None:
    def labels() -> set[Any]:
        families = [
            family for family in REGISTRY.collect() if family.name == "sensorium_receiver_requests"
        ]
        return {tuple(sample.labels.values()) for family in families for sample in family.samples}

    application = Application()
    await application.request("POST", "/webhooks/other/x", b"")
    before = labels()
    for n in range(50):
        await application.request("POST", f"/webhooks/provider{n}/{n}", b"")
    assert labels() == before


async def test_the_metrics_name_the_bytes_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "METRICS_SECONDS", 0.0)
    application = Application()
    application.log.held = True
    delivering = asyncio.create_task(application.deliver("ycloud", TEXT))
    await until(lambda: bool(application.log.waiting))
    found = (await application.request("GET", "/metrics")).body
    application.log.release()
    assert (await delivering).status == 200
    assert f"sensorium_receiver_pending_bytes {float(len(TEXT))}".encode() in found
    assert (
        b"sensorium_receiver_pending_bytes 0.0"
        in (await application.request("GET", "/metrics")).body
    )
