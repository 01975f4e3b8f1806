import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from connectors.webhooks import receiver
from connectors.webhooks.siblings import Siblings, merged
from schemas.settings import Settings
from streams.settings import SettingsError, read_settings, to_environment
from tests.integration.waiting import until
from tests.unit.receiving import Application


def text(requests: int) -> bytes:
    registry = CollectorRegistry()
    counter = Counter("requests", 'Requests, "by" status.', ["status"], registry=registry)
    counter.labels("a b} c").inc(requests)
    Counter("bare", "Without labels.", registry=registry).inc(2)
    Histogram("seconds", "Durations.", buckets=(1, 2), registry=registry).observe(1.5)
    return generate_latest(registry)


def test_merged_metrics_are_a_valid_page_with_every_sample_of_every_process() -> None:
    families = list(text_string_to_metric_families(merged([(0, text(3)), (1, text(4))]).decode()))
    found = {
        (sample.name, sample.labels["process"], sample.labels.get("status")): sample.value
        for family in families
        for sample in family.samples
    }
    assert found["requests_total", "0", "a b} c"] == 3
    assert found["requests_total", "1", "a b} c"] == 4
    assert found["bare_total", "0", None] == found["bare_total", "1", None] == 2
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert {family.name: family.type for family in families}["seconds"] == "histogram"


@asynccontextmanager
async def answering(folder: Path, *ready: bool) -> AsyncIterator[list[Siblings]]:
    """Processes that say they are ready or not.

    The last of the siblings does not listen.
    """
    all_ = [Siblings(folder, index, len(ready) + 1) for index in range(len(ready) + 1)]
    tasks = [
        asyncio.create_task(each.serve(lambda is_ready=is_ready: is_ready, lambda: text(5)))  # type: ignore[misc]
        for each, is_ready in zip(all_, ready, strict=False)
    ]
    await until(lambda: len(list(folder.glob("*.sock"))) == len(ready))
    try:
        yield all_
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_all_are_ready_only_if_each_other_one_says_so(tmp_path: Path) -> None:
    async with answering(tmp_path, True, True) as (first, second, last):
        assert await last.are_ready()
        assert not await first.are_ready(), "the last one does not answer"
        assert not await second.are_ready()
    for path in tmp_path.glob("*.sock"):
        path.unlink()
    async with answering(tmp_path, True, False) as (*_, last):
        assert not await last.are_ready()


async def test_metrics_are_those_of_the_processes_that_answer(tmp_path: Path) -> None:
    async with answering(tmp_path, True, True) as (first, *_):
        page = (await first.metrics(text(1))).decode()
    assert 'bare_total{process="0"} 2.0' in page
    assert 'bare_total{process="1"} 2.0' in page
    assert 'process="2"' not in page


async def test_a_text_that_breaks_off_is_left_out(tmp_path: Path) -> None:
    async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"# HELP x \xe2\x82")
        writer.close()

    server = await asyncio.start_unix_server(breaks_off, tmp_path / "1.sock")
    async with server:
        page = await Siblings(tmp_path, 0, 2).metrics(text(1))
    assert b'bare_total{process="0"} 2.0' in page
    assert b'process="1"' not in page


@pytest.mark.parametrize("path", ["/readyz", "/metrics"])
async def test_a_bug_in_asking_the_others_is_answered_500(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def bug(self: Siblings, question: bytes) -> list[tuple[int, bytes]]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Siblings, "_ask_all", bug)
    app = Application(siblings=Siblings(tmp_path, 0, 2))
    assert (await app.request("GET", path)).status == 500


async def test_others_that_never_answer_end_as_500(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(self: Siblings, question: bytes) -> list[tuple[int, bytes]]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(Siblings, "_ask_all", never)
    monkeypatch.setattr(receiver, "ASK_ALL_SECONDS", 0.05)
    app = Application(siblings=Siblings(tmp_path, 0, 2))
    assert (await app.request("GET", "/readyz")).status == 500


async def test_metrics_asked_for_again_at_once_are_not_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    def make() -> bytes:
        made.append(1)
        return b"%d\n" % len(made)

    monkeypatch.setattr(receiver, "generate_latest", make)
    app = Application()
    first = await app.request("GET", "/metrics")
    monkeypatch.setattr(receiver, "METRICS_SECONDS", 0.0)
    assert (await app.request("GET", "/metrics")).body == first.body == b"1\n"
    other = Application()
    pages = [(await other.request("GET", "/metrics")).body for _ in range(2)]
    assert pages == [b"2\n", b"3\n"]


def test_the_number_of_processes_has_bounds() -> None:
    name = "SENSORIUM_RECEIVER__PROCESSES"
    assert read_settings({name: "64"}).receiver.processes == 64
    assert to_environment(Settings())[name] == "1"
    for wrong in ("0", "-1", "65", "two"):
        try:
            read_settings({name: wrong})
        except SettingsError as error:
            assert name in str(error)
        else:
            raise AssertionError(wrong)
