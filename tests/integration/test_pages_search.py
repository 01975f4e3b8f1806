"""Searches find words by each of their ways, and the trouble page counts beyond the newest."""

import re
from collections.abc import AsyncIterator

import pytest

from connectors.console.pages import counting, searching
from schemas.records import Attachment
from schemas.settings import Settings
from schemas.topics import Names
from tests.browser.scene import PASSWORD, Scene, said, staged
from tests.integration.people import Visitor


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace)) as made:
        for number in range(6):
            words = "factura del sábado" if number % 2 else "otra cosa"
            chat = f"15550109999~1555010000{number}"
            await made.console.write(said(f"m{number}", number, words, conversation_id=chat))
        foreign = {"tenant_id": "other", "message_key": "other:ycloud:1"}
        await made.console.write(said("o", 1, "factura ajena", **foreign))
        yield made


@pytest.mark.parametrize("most_by_index", [0, 20_000], ids=["frequent", "rare"])
async def test_words_are_found_as_frequent_and_as_rare_ones(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, most_by_index: int
) -> None:
    monkeypatch.setattr(searching, "MOST_BY_INDEX", most_by_index)
    visitor = Visitor(scene.url)
    await visitor.log_in("ana", PASSWORD)
    for query, found in (("factura", 3), ("factura+sábado", 3), ("cosa", 3), ("nosuch", 0)):
        page = (await visitor.get(f"/t/acme/conversations?q={query}")).text
        assert page.count('class="head"') == found, query
        assert "ajena" not in page
    other = (await visitor.get("/t/acme/conversations?q=factura&state=pending")).text
    assert other.count('class="head"') == 0
    await visitor.client.aclose()


async def test_a_search_for_frequent_words_looks_at_a_bounded_number_of_messages(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MOST_BY_INDEX", -1)
    monkeypatch.setattr(searching, "WALKED", (1, 1, 1))
    visitor = Visitor(scene.url)
    await visitor.log_in("ana", PASSWORD)
    for query, heads in (("factura", [1, 2]), ("cosa", [2, 1]), ("nosuch", [0, 0])):
        path, found = f"/t/acme/conversations?q={query}", []
        for _ in range(2):  # three messages on each page
            page = (await visitor.get(path)).text
            found.append(page.count('class="head"'))
            older = re.search(r'class="more" href="([^"]+)"', page)
            assert older is not None
            assert ("searched so far" in page) == (not found[-1])
            path = older[1].replace("&amp;", "&")
        assert found == heads, query
        last = (await visitor.get(path)).text
        assert 'class="head"' not in last and 'class="more"' not in last
    await visitor.client.aclose()


async def test_a_search_that_takes_too_long_is_ended_and_says_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "SEARCH_SECONDS", 0.1)
    monkeypatch.setattr(searching, "WALKED", (1, 1, 1))  # so that the words are counted
    assert scene.console.parts.pages is not None
    search = scene.console.parts.pages.reading._search
    slow = "SELECT count(*) AS found FROM pg_sleep(300) WHERE $1 <> '' AND $2 <> '' AND $3 > 0"
    search._sql = {**search._sql, "words_found": slow}
    visitor = Visitor(scene.url)
    await visitor.log_in("ana", PASSWORD)
    answer = await visitor.get("/t/acme/conversations?q=factura")
    assert answer.status_code == 503 and "This takes too long" in answer.text
    assert (await visitor.get("/t/acme/conversations")).status_code == 200
    await visitor.client.aclose()


async def test_a_cause_that_is_not_among_the_newest_failures_is_counted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST_COUNTED", 1)
    monkeypatch.setattr(counting, "WAIT_SECONDS", 20.0)
    for age, reason in ((60 * 24 * 40, "media_gone"), (5, "media_timeout"), (3, "media_timeout")):
        lost = Attachment(
            index=0, type="image", status="failed", reason=reason, original_url="https://x/1"
        )
        await scene.console.write(said(f"f{age}", age, None, lost))
    visitor = Visitor(scene.url)
    await visitor.log_in("ana", PASSWORD)
    page = (await visitor.get("/t/acme/trouble")).text
    rows = re.findall(r"<code>(\w+)</code>.*?<strong>(\d+)</strong>", page, re.DOTALL)
    assert rows == [("media_timeout", "2"), ("media_gone", "1")]
    await visitor.client.aclose()
