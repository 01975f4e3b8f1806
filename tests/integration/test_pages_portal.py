"""The people of a portal share one account; they are told apart, and log nobody out."""

from urllib.parse import urlencode

import pytest

from schemas.keys import TenantId
from storage.postgres import people
from storage.postgres.portals import portal_token
from tests.browser.scene import Scene, said
from tests.integration.console import CONVERSATION
from tests.integration.people import Visitor, visiting

ACME = TenantId("acme")
HOME = "/t/acme/conversations"


async def tokens_of(scene: Scene, count: int) -> list[str]:
    """The tokens of login links of the portal of acme."""
    pages = scene.console.parts.pages
    assert pages is not None
    return [await portal_token(pages.people, "acme") for _ in range(count)]


async def entries(scene: Scene, condition: str) -> list[tuple[str, ...]]:
    rows = await scene.console.connection.fetch(
        f"SELECT actor, action, detail FROM audit_log WHERE {condition} ORDER BY id"
    )
    return [tuple(row) for row in rows]


async def test_the_audit_log_tells_the_people_of_a_portal_apart(
    scene: Scene, visitor: Visitor
) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    await scene.console.write(said("m1", 5, "hello"))
    ref = pages.refs.of(ACME, "c", CONVERSATION)
    tokens = await tokens_of(scene, 2)
    for token in tokens:
        async with visiting(scene) as guest:
            await guest.use(f"/login/link?token={token}")
            assert (await guest.get(f"/t/acme/c/{ref}/context")).status_code == 200
    first, second = names = [f"portal@acme#{token[:6]}" for token in tokens]
    made = await entries(scene, "action = 'portal_link_made'")
    assert [detail for _, _, detail in made] == names
    assert await entries(scene, "actor LIKE 'portal@%'") == [
        (first, "login_by_link", ""),
        (first, "context_seen", ref),
        (second, "login_by_link", ""),
        (second, "context_seen", ref),
    ]
    page = (await visitor.get(f"/t/acme/audit?{urlencode({'actor': first})}")).text
    assert (page.count(f"<td>{first}</td>"), page.count(f"<td>{second}</td>")) == (2, 0)


async def test_a_person_who_is_no_portal_has_one_name_however_the_login_was(scene: Scene) -> None:
    await scene.person("luz", "viewer")
    async with visiting(scene) as luz:
        await luz.use(await scene.link("luz"))
        assert (await luz.get(HOME)).status_code == 200
    assert await entries(scene, "action = 'login_by_link'") == [("luz", "login_by_link", "")]


async def test_more_people_of_a_portal_are_logged_in_at_once_than_one_person(
    scene: Scene, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "SESSIONS_PER_PERSON", 1)
    monkeypatch.setattr(people, "SESSIONS_PER_PORTAL", 2)
    guests = [Visitor(scene.url) for _ in range(3)]
    for token, guest in zip(await tokens_of(scene, 3), guests, strict=True):
        await guest.use(f"/login/link?token={token}")
    assert [(await guest.get(HOME)).status_code for guest in guests] == [303, 200, 200]
    assert (await visitor.get(HOME)).status_code == 200
    async with visiting(scene, "ana") as again:
        assert (await again.get(HOME)).status_code == 200
    assert (await visitor.get(HOME)).status_code == 303
    for guest in guests:
        await guest.client.aclose()
