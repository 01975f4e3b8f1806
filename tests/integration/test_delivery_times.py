"""The times of repeated deliveries: the sink stores them, and the message's page shows them."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from connectors.console.pages import delivered
from connectors.postgres.rows import MOST_AGAIN, arrivals
from connectors.postgres.staging import add_arrivals
from schemas.receipts import Line
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.sql import queries
from tests.browser.scene import PASSWORD, Scene, said, staged
from tests.integration.console import key_of
from tests.integration.databases import Connection
from tests.integration.people import Visitor
from tests.integration.test_sink_writer import Sink, a_receipt, line, sink
from tests.unit.records import NOW

__all__ = ["sink"]

FAR = datetime(9999, 1, 1, tzinfo=UTC)


def at(offset: int, seconds: int, outcome: str = "duplicate", **fields: Any) -> Line:
    received = int((NOW + timedelta(seconds=seconds)).timestamp() * 1000)
    return line(offset, outcome=outcome, **fields)._replace(received_ms=received)


async def test_every_delivery_keeps_its_time_and_place_and_a_batch_still_costs_one_row(
    sink: Sink, database: Connection
) -> None:
    first = (at(0, 0, "forwarded"), at(1, 5, "forwarded", generation=4), at(2, 9), at(3, 70))
    await sink.write(a_receipt(*first))
    await sink.write(a_receipt(at(4, 600)))
    await sink.write(a_receipt(at(5, 700, "forwarded", generation=7)))
    assert await database.fetchval("SELECT count(*) FROM arrival_records") == 3
    found = await database.fetch(
        queries("pages")["deliveries_of_message"], "acme", "ycloud", "w1", FAR, 0, 0, 10
    )
    shown = [(r["offset"], (r["received_at"] - NOW).seconds, r["deliveries"]) for r in found]
    assert shown == [(5, 700, 0), (4, 600, 1), (3, 70, 1), (2, 9, 1), (0, 0, 3)]


async def test_a_delivery_behind_a_repair_in_one_batch_is_the_place_of_the_row(
    sink: Sink, database: Connection
) -> None:
    await sink.write(a_receipt(at(1, 5, "forwarded", generation=4), at(2, 9)))
    (found,) = await database.fetch("SELECT * FROM arrival_records")
    place = (found["offset"], (found["received_at"] - NOW).seconds, found["deliveries"])
    assert (place, found["outcome"], found["again_at"]) == ((2, 9, 1), "forwarded", None)


async def test_of_very_many_deliveries_in_a_batch_the_last_times_are_kept(
    sink: Sink, database: Connection
) -> None:
    many = MOST_AGAIN + 50
    await sink.write(a_receipt(at(0, 0, "forwarded"), *(at(n, n) for n in range(1, many))))
    (found,) = await database.fetch("SELECT deliveries, again_offsets FROM arrival_records")
    assert (found["deliveries"], found["again_offsets"]) == (many, list(range(50, many)))


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace)) as made:
        message = said("w1", 1, "words")
        step = msgspec.structs.replace(message.steps[0], partition=3, offset=0)
        await made.console.write(msgspec.structs.replace(message, steps=(step,)))
        yield made


async def page_of(scene: Scene, more: str = "") -> str:
    pages = scene.console.parts.pages
    assert pages is not None
    visitor = Visitor(scene.url)
    await visitor.log_in("ana", PASSWORD)
    ref = pages.refs.of("acme", "m", key_of("w1"))  # type: ignore[arg-type]
    text = (await visitor.get(f"/t/acme/m/{ref}{more}")).text
    await visitor.client.aclose()
    return re.sub(r"\s+", " ", text)


def listed(text: str) -> list[tuple[str, str, str]]:
    """Time, place and state of each delivery that the page lists."""
    pattern = (
        r"<li><span><time datetime=\"[^\"]*?T([0-9:]{8}).*?<code>([^<]+)</code>"
        r".*?<span class=\"tag [^\"]*\">([^<]+)</span></li>"
    )
    return re.findall(pattern, text)


async def test_a_message_shows_when_it_was_delivered_and_which_delivery_counts(
    scene: Scene,
) -> None:
    connection = scene.console.connection
    await add_arrivals(connection, arrivals([a_receipt(at(0, 0, "forwarded"), at(3, 70))]))
    await add_arrivals(connection, arrivals([a_receipt(at(5, 700, "forwarded", generation=7))]))
    text = await page_of(scene)
    times = [f"{NOW + timedelta(seconds=seconds):%H:%M:%S}" for seconds in (700, 70, 0)]
    assert listed(text) == [
        (times[0], "raw-messages[3]@5", "read again by a repair"),
        (times[1], "raw-messages[3]@3", "duplicate"),
        (times[2], "raw-messages[3]@0", "counts"),
    ]
    assert "Deliveries <small>2 times</small>" in text and "only counted" not in text
    assert "not on the topic any more" in await page_of(scene, "/delivery/3/3")
    for nowhere in ("/delivery/3/4", "/delivery/2/3", f"/delivery/3/{2**70}", "/delivery/-1/3"):
        assert "404" in await page_of(scene, nowhere), nowhere


async def test_older_deliveries_have_pages_of_their_own_and_each_leads_to_its_record(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivered, "MOST_DELIVERIES", 2)
    lines = (at(0, 0, "forwarded"), *(at(offset, 70) for offset in (1, 2, 3)), at(4, 90))
    await add_arrivals(scene.console.connection, arrivals([a_receipt(*lines)]))
    texts, offsets, more = list[str](), list[list[int]](), ""
    for _ in range(9):
        texts.append(await page_of(scene, more))
        offsets.append([int(place.partition("@")[2]) for _, place, _ in listed(texts[-1])])
        older = re.search(r"/m/[\w-]+(/deliveries\?before=[0-9.]+)\"", texts[-1])
        if older is None:
            break
        more = older[1]
    assert offsets == [[4, 3], [2, 1], [0]]
    assert not any("only counted" in text for text in texts)
    assert "/delivery/3/0" in texts[0]  # the first delivery, among the facts
    assert "not on the topic any more" in await page_of(scene, "/delivery/3/0")


async def test_a_message_that_came_once_shows_no_list_of_deliveries(scene: Scene) -> None:
    await add_arrivals(scene.console.connection, arrivals([a_receipt(at(0, 0, "forwarded"))]))
    assert listed(await page_of(scene)) == []


async def test_deliveries_that_were_only_counted_are_said_to_be_so(scene: Scene) -> None:
    connection = scene.console.connection
    await add_arrivals(connection, arrivals([a_receipt(at(0, 0, "forwarded"))]))
    await add_arrivals(connection, arrivals([a_receipt(at(5, 700))]))
    await connection.execute('UPDATE arrival_records SET deliveries = 4 WHERE "offset" = 0')
    text = await page_of(scene)
    assert len(listed(text)) == 2 and "the others were only counted" in text


async def test_an_update_of_the_provider_is_told_from_a_duplicate(scene: Scene) -> None:
    connection = scene.console.connection
    await add_arrivals(connection, arrivals([a_receipt(at(0, 0, "forwarded"))]))
    await add_arrivals(connection, arrivals([a_receipt(at(3, 70))]))
    await add_arrivals(connection, arrivals([a_receipt(at(5, 700, "skipped", reason="update"))]))
    mixed = a_receipt(at(6, 800), at(7, 900, "skipped", reason="update"))
    await add_arrivals(connection, arrivals([mixed]))
    text = await page_of(scene)
    assert [state for _, _, state in listed(text)] == [
        "duplicate",
        "duplicate",
        "update, not applied",
        "duplicate",
        "counts",
    ]
    assert "An update reports a new state" in text
