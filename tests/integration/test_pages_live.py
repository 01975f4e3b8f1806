"""Open pages change by themselves: the page of a message, and earlier pages of a chat."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import pytest

from connectors.console.pages import reading
from connectors.console.tenant_queue import STREAMS_PER_SESSION
from schemas.keys import TenantId
from tests.browser.scene import CAT, Scene, kept, later, said
from tests.integration.console import CONVERSATION, key_of
from tests.integration.people import Visitor

ACME = TenantId("acme")
SECONDS = 30.0
ERASE = "DELETE FROM chat_messages WHERE message_key = $1"


def path_of(scene: Scene, kind: str, name: str) -> str:
    pages = scene.console.parts.pages
    assert pages is not None
    return f"/t/acme/{kind}/{pages.refs.of(ACME, kind, name)}"


class Stream:
    """The events of an open page, one after the other."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def following(self) -> str:
        """The next event as one text."""
        event: list[str] = []
        async with asyncio.timeout(SECONDS):
            async for line in self._lines:
                if line and not line.startswith(":"):
                    event.append(line)
                elif not line and event:
                    break
        return "\n".join(event)


@asynccontextmanager
async def opened(visitor: Visitor, path: str) -> AsyncIterator[Stream]:
    async with visitor.client.stream("GET", path) as answer:
        assert answer.status_code == 200
        yield Stream(answer.aiter_lines())


async def test_the_page_of_a_message_completes_is_edited_and_ends_when_it_is_erased(
    scene: Scene, visitor: Visitor
) -> None:
    console = scene.console
    cat = await kept(console, "1", "cat.jpg", "image", "image/jpeg", status="pending")
    first = said("1", 1, "look at this", cat)
    await console.write(first)
    path = path_of(scene, "m", key_of("1"))
    page = (await visitor.get(path)).text
    assert f'hx-sse:connect="{path}/live"' in page and "look at this" in page
    async with opened(visitor, f"{path}/live") as stream:
        shown = await stream.following()
        assert "look at this" in shown and "why pending" in shown and CAT not in shown
        described = msgspec.structs.replace(cat, status="described", description=CAT)
        second = later(first, described)
        await console.write(second)
        shown = await stream.following()
        assert CAT in shown and "why described" in shown
        edited = msgspec.structs.replace(second, content="look at that", version=second.version + 1)
        await console.write(edited)
        shown = await stream.following()
        assert "look at that" in shown and "look at this" not in shown
        await console.connection.execute(ERASE, key_of("1"))
        assert "event: gone" in await stream.following()
    gone = await visitor.get(path)
    assert gone.status_code == 404 and "This message is not here any more" in gone.text
    async with opened(visitor, f"{path}/live") as stream:  # a page that was cut off meanwhile
        assert "event: gone" in await stream.following()


async def test_open_pages_of_messages_count_among_the_streams_of_a_session(
    scene: Scene, visitor: Visitor
) -> None:
    await scene.console.write(said("1", 1, "words"))
    path = f"{path_of(scene, 'm', key_of('1'))}/live"
    async with AsyncExitStack() as pages:
        streams = [
            await pages.enter_async_context(opened(visitor, path))
            for _ in range(STREAMS_PER_SESSION)
        ]
        for page in streams:
            assert "words" in await page.following()
        chat = f"{path_of(scene, 'c', CONVERSATION)}/live"
        for one in (path, chat):
            refused = await pages.enter_async_context(opened(visitor, one))
            assert "event: busy" in await refused.following()


async def test_an_earlier_page_of_a_chat_completes_and_loses_what_is_erased(
    scene: Scene, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE_MESSAGES", 2)
    console = scene.console
    cat = await kept(console, "1", "cat.jpg", "image", "image/jpeg", status="pending")
    first = said("1", 9, "the oldest", cat)
    others = ("the second", "the third", "the newest")
    await console.write(
        first, *(said(str(number), 9 - number, text) for number, text in enumerate(others, 2))
    )
    path = path_of(scene, "c", CONVERSATION)
    (before,) = re.findall(r"\?before=([\w.-]+)", (await visitor.get(path)).text)
    page = (await visitor.get(f"{path}?before={before}")).text
    assert f'hx-sse:connect="{path}/live?before={before}&amp;"' in page
    assert "the oldest" in page and "the third" not in page
    assert "the newest" in page  # in the list of conversations, which does not go back
    async with opened(visitor, f"{path}/live?before={before}") as stream:
        shown = await stream.following()
        assert "the oldest" in shown and "the third" not in shown and CAT not in shown
        described = msgspec.structs.replace(cat, status="described", description=CAT)
        await console.write(later(first, described))
        assert CAT in await stream.following()
        await console.connection.execute(ERASE, key_of("2"))
        shown = await stream.following()
        assert "the oldest" in shown and "the second" not in shown
        await console.connection.execute(ERASE, key_of("1"))
        assert "event: gone" in await stream.following()
    gone = await visitor.get(f"{path}?before={before}")
    assert gone.status_code == 404 and "no earlier messages any more" in gone.text
    assert (await visitor.get(path)).status_code == 200
