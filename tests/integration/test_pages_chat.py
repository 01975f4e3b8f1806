"""The page of one conversation, and its files."""

import re
from io import BytesIO

import pytest
from PIL import Image

from connectors.console.pages import reading
from connectors.console.pages.shown_files import PICTURE_SIDE
from connectors.console.pages.words import Words
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.records import Attachment
from tests.browser.scene import Scene, kept, said
from tests.integration.console import key_of
from tests.integration.people import Visitor


def links(page: str, words: str) -> list[str]:
    """The targets of links whose address contains these words."""
    return [
        one.replace("&amp;", "&") for one in re.findall(r'href="([^"]*)"', page) if words in one
    ]


async def test_older_messages_of_a_chat_leave_the_list_beside_it_as_it_is(
    scene: Scene, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE_MESSAGES", 2)
    for number in range(3):
        await scene.console.write(said(f"m{number}", 10 - number, f"word {number}"))
    listed = (await visitor.get("/t/acme/conversations?provider=ycloud")).text
    chat = (await visitor.get(links(listed, "/c/")[0])).text
    (older,) = links(chat, "before=")
    page = (await visitor.get(older)).text
    assert "word 0" in page and page.count('class="bubble') == 1
    assert page.count('class="head"') == 1  # the open conversation stays in the list
    assert "/conversations/live?provider=ycloud" in page  # which stays live, and filtered


async def test_a_file_is_not_shown_again_before_the_look_is_in_the_log(
    scene: Scene, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    cat = await kept(scene.console, "m1", "cat.jpg", "image", "image/jpeg", status="described")
    await scene.console.write(said("m1", 1, None, cat))
    listed = (await visitor.get("/t/acme/conversations")).text
    chat = (await visitor.get(links(listed, "/c/")[0])).text
    (message,) = set(links(chat, "/m/")) - set(links(chat, "/file/"))
    pages = scene.console.parts.pages
    assert pages is not None
    note, tries = type(pages.people).note, 0

    async def away_once(*of: str) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Unavailable("postgres")
        await note(pages.people, *of[1:])

    monkeypatch.setattr(type(pages.people), "note", away_once)
    answers = [(await visitor.get(f"{message}/file/0")).status_code for _ in range(3)]
    assert answers == [503, 200, 200]
    shown = await visitor.get(f"{message}/file/0")
    assert shown.headers["cache-control"] == "private, no-cache"
    tag = {"if-none-match": shown.headers["etag"]}
    assert (await visitor.get(f"{message}/file/0", **tag)).status_code == 304
    seen = "SELECT count(*) FROM audit_log WHERE action = 'media_seen'"
    assert await scene.console.connection.fetchval(seen) == 1


async def test_a_chat_shows_small_pictures_also_of_types_that_browsers_do_not_show(
    scene: Scene, visitor: Visitor
) -> None:
    photo = await kept(scene.console, "m1", "astronaut.heic", "image", "image/heic")
    await scene.console.write(said("m1", 1, None, photo))
    listed = (await visitor.get("/t/acme/conversations")).text
    chat = (await visitor.get(links(listed, "/c/")[0])).text
    (small,) = re.findall(r'<img src="([^"]+)" loading', chat)
    shown = await visitor.get(small)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    with Image.open(BytesIO(shown.content)) as picture:
        assert max(picture.size) <= PICTURE_SIDE
    assert (await visitor.get(small.removesuffix("/picture"))).headers[
        "content-type"
    ] == "image/heic"
    known = await visitor.client.get(small, headers={"if-none-match": shown.headers["etag"]})
    assert known.status_code == 304


async def test_a_sound_that_browsers_do_not_play_is_played_as_mp3_from_any_place(
    scene: Scene, visitor: Visitor
) -> None:
    note = await kept(scene.console, "m1", "voice-es.amr", "audio", "audio/amr")
    await scene.console.write(said("m1", 1, None, note))
    listed = (await visitor.get("/t/acme/conversations")).text
    chat = (await visitor.get(links(listed, "/c/")[0])).text
    (sound,) = re.findall(r'<audio [^>]*src="([^"]+)"', chat)
    whole = await visitor.get(sound)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/mpeg")
    part = await visitor.client.get(sound, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])


async def test_what_is_not_a_picture_is_answered_as_it_came_or_not_at_all(
    scene: Scene, visitor: Visitor
) -> None:
    fine = await kept(scene.console, "m1", "voice-es.mp3", "image", "image/jpeg")
    strange = await kept(scene.console, "m2", "voice-es.mp3", "image", "image/heic")
    await scene.console.write(said("m1", 1, None, fine), said("m2", 2, None, strange))
    listed = (await visitor.get("/t/acme/conversations")).text
    chat = (await visitor.get(links(listed, "/c/")[0])).text
    smalls = re.findall(r'<img src="([^"]+)" loading', chat)
    assert sorted([(await visitor.get(small)).status_code for small in smalls]) == [200, 404]


async def test_a_conversation_is_named_by_the_newest_name_in_the_list_and_in_the_chat(
    scene: Scene, visitor: Visitor
) -> None:
    await scene.console.write(said("m1", 9, "hi", sender_name="Zoe"))
    await scene.console.write(said("m2", 5, "hi", sender_name="Ana"))
    await scene.console.write(said("m3", 1, "hi", sender_name=None))
    listed = (await visitor.get("/t/acme/conversations")).text
    assert "<strong>Ana</strong>" in listed
    assert "<h1>Ana</h1>" in (await visitor.get(links(listed, "/c/")[0])).text


async def test_a_failed_file_that_is_set_aside_is_marked_in_the_list_of_its_cause(
    scene: Scene, visitor: Visitor
) -> None:
    lost = Attachment(index=0, type="image", status="failed", reason="media_timeout")
    for number in (1, 2):
        await scene.console.write(said(f"m{number}", number, None, lost))
    await scene.console.connection.execute(
        "INSERT INTO repair_tries (tenant_id, message_key, reason, tries)"
        " VALUES ('acme', 'acme:ycloud:m1', 'media_timeout', 3), ('acme', 'acme:ycloud:m2', 'media_timeout', 2)"
    )
    page = (await visitor.get("/t/acme/trouble/files?reason=media_timeout")).text
    assert page.count("Set aside") + page.count("set aside") == 1


async def test_a_form_after_the_session_is_over_asks_to_log_in_again(
    scene: Scene, visitor: Visitor
) -> None:
    await scene.console.write(said("m1", 1, "hi"))
    await scene.console.connection.execute("DELETE FROM people_sessions")
    answer = await visitor.client.post("/t/acme/endpoints", data={"csrf": "old", "provider": "x"})
    assert answer.status_code == 401 and "Log in again" in answer.text


async def test_what_is_too_large_to_show_is_said_to_be_missing(
    scene: Scene, visitor: Visitor
) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    words = Words("en")
    lost = Attachment(index=0, type="image", status="failed", reason="media_timeout")
    for name, size in (("small", 0), ("large", 140_000), ("larger", 1_100_000)):
        attributes = {"page_titles": ["x" * size]} if size else {}
        await scene.console.write(said(name, 5, f"the {name} one", lost, attributes=attributes))
    listed = (await visitor.get("/t/acme/conversations")).text
    chat = (await visitor.get(links(listed, "/c/")[0])).text
    assert chat.count(words("chat.too_large")) == 2 and "the larger one" in chat
    for name, is_told in (("small", False), ("large", False), ("larger", True)):
        ref = pages.refs.of(TenantId("acme"), "m", key_of(name))
        page = (await visitor.get(f"/t/acme/m/{ref}")).text
        assert (words("message.too_large") in page) == is_told, name
        assert ('class="file image failed"' in page) != is_told, name


async def test_a_report_of_an_edit_is_told_in_a_sentence(scene: Scene, visitor: Visitor) -> None:
    report = {"unsupported": {"type": "edit"}}
    await scene.console.write(said("m1", 5, "hola"))
    await scene.console.write(said("m2", 4, None, kind="unsupported", attributes=report))
    listed = (await visitor.get("/t/acme/conversations")).text
    assert "Edited an earlier message" in listed
    chat = (await visitor.get(links(listed, "/c/")[0])).text
    assert chat.count("Its sender edited an earlier message.") == 1
    assert Words("en")("kind.unsupported") not in chat
