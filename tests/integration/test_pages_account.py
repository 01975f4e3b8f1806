"""A person's own account: the password, and logging out everywhere."""

from collections.abc import AsyncIterator

import pytest

from connectors.console.pages import throttle
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.people import People, PeopleError, Session
from storage.postgres.portals import portal_token
from tests.browser.scene import PASSWORD, Scene, staged
from tests.integration.people import Visitor, noted

HOME, ACCOUNT, PEOPLE = "/t/acme/conversations", "/account", "/t/acme/people"
CHOSEN = "a horse of my own"


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace)) as made:
        await made.person("adam", "admin")
        yield made


@pytest.fixture
async def visitor(scene: Scene) -> AsyncIterator[Visitor]:
    made = Visitor(scene.url)
    await made.log_in("adam", PASSWORD)
    yield made
    await made.client.aclose()


def form(new: str = CHOSEN, again: str | None = None, **more: str) -> dict[str, str]:
    return {"new": new, "again": new if again is None else again} | more


async def guest_of(scene: Scene, visitor: Visitor, name: str) -> Visitor:
    """A person who was invited by link, and has used it."""
    shown = await visitor.send(PEOPLE, {"name": name, "role": "reader"}, at=PEOPLE)
    link = shown.text.partition("/login/link?token=")[2].partition("<")[0]
    guest = Visitor(scene.url)
    assert (await guest.use(f"/login/link?token={link}")).status_code == 303
    return guest


async def test_a_person_changes_the_password_and_the_other_sessions_end(
    scene: Scene, visitor: Visitor
) -> None:
    assert f'href="{ACCOUNT}"' in (await visitor.get(HOME)).text
    other = Visitor(scene.url)
    await other.log_in("adam", PASSWORD)
    link, before = await scene.link("adam"), visitor.client.cookies[visitor.cookie]
    page = (await visitor.get(ACCOUNT)).text
    assert 'name="old"' in page and "logged in 2 times" in page
    saved = await visitor.send("/account/password", form(old=PASSWORD), at=ACCOUNT)
    assert "The password is saved" in saved.text and "You are logged in once" in saved.text
    assert visitor.client.cookies[visitor.cookie] != before
    assert (await visitor.get(HOME)).status_code == 200
    assert (await other.get(HOME)).status_code == 303
    assert (await other.use(link)).status_code == 403
    assert (await other.log_in("adam", PASSWORD)).status_code == 401
    assert (await other.log_in("adam", CHOSEN)).status_code == 303
    assert await noted(scene, "password_set") == [("*", "adam", "adam")]
    await other.client.aclose()


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (form(old="wrong"), "The present password is wrong"),
        (form(), "The present password is wrong"),
        (form("short", old=PASSWORD), "A password has 12 to"),
        (form("x" * 1_001, old=PASSWORD), "A password has 12 to"),
        (form(again=CHOSEN + ".", old=PASSWORD), "The two new passwords differ"),
    ],
)
async def test_a_change_that_is_refused_changes_nothing(
    scene: Scene, visitor: Visitor, sent: dict[str, str], says: str
) -> None:
    stored = "SELECT password FROM people WHERE name = 'adam'"
    before = await scene.console.connection.fetchval(stored)
    answer = await visitor.post("/account/password", sent, at=ACCOUNT)
    assert answer.status_code == 422 and f'role="alert">{says}' in answer.text
    assert CHOSEN not in answer.text
    assert await scene.console.connection.fetchval(stored) == before
    assert (await visitor.get(HOME)).status_code == 200
    wrong = [("*", "adam", "127.0.0.1")] if "present" in says else []
    assert await noted(scene, "password_change_failed") == wrong
    assert await noted(scene, "password_set") == []


async def test_the_present_password_is_tried_as_seldom_as_at_the_login(
    scene: Scene, visitor: Visitor
) -> None:
    for _ in range(throttle.PER_ACCOUNT_AND_ADDRESS):
        answer = await visitor.post("/account/password", form(old="wrong"), at=ACCOUNT)
        assert answer.status_code == 422
    answer = await visitor.post("/account/password", form(old=PASSWORD), at=ACCOUNT)
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0
    stranger = Visitor(scene.url)
    assert (await stranger.log_in("adam", PASSWORD)).status_code == 429  # they are the same tries
    await stranger.client.aclose()


async def test_who_was_invited_by_link_sets_a_password_and_needs_no_link_any_more(
    scene: Scene, visitor: Visitor
) -> None:
    luz = await guest_of(scene, visitor, "luz")
    page = (await luz.get(ACCOUNT)).text
    assert "Set a password" in page and 'name="old"' not in page
    await luz.send("/account/password", form(), at=ACCOUNT)
    assert 'name="old"' in (await luz.get(ACCOUNT)).text
    await luz.post("/logout", {}, at=HOME)
    assert (await luz.log_in("luz", CHOSEN)).status_code == 303
    refused = await luz.post("/account/password", form("another one of mine"), at=ACCOUNT)
    assert refused.status_code == 422
    await luz.client.aclose()


async def test_a_portal_has_no_password_and_is_not_logged_out_for_everybody(scene: Scene) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    first, second = Visitor(scene.url), Visitor(scene.url)
    for one in (first, second):
        await one.use(f"/login/link?token={await portal_token(pages.people, 'acme')}")
    page = (await first.get(ACCOUNT)).text
    assert "shared by everybody" in page and "/account/" not in page
    for path in ("/account/password", "/account/log-out"):
        assert (await first.post(path, form(), at=HOME)).status_code == 403
    assert (await second.get(HOME)).status_code == 200
    stored = "SELECT password FROM people WHERE name = 'portal@acme'"
    assert await scene.console.connection.fetchval(stored) is None
    for one in (first, second):
        await one.client.aclose()


async def test_a_person_logs_out_everywhere(scene: Scene, visitor: Visitor) -> None:
    other, link = Visitor(scene.url), await scene.link("adam")
    await other.log_in("adam", PASSWORD)
    left = await visitor.post("/account/log-out", {}, at=ACCOUNT)
    assert left.headers["location"] == "/login" and "storage" in left.headers["clear-site-data"]
    for one in (visitor, other):
        assert (await one.get(HOME)).status_code == 303
    assert (await other.use(link)).status_code == 403
    assert await noted(scene, "sessions_ended") == [("*", "adam", "adam")]
    await other.client.aclose()


async def test_nobody_else_changes_an_account(scene: Scene, visitor: Visitor) -> None:
    stranger = Visitor(scene.url)
    assert (await stranger.get(ACCOUNT)).headers["location"] == "/login?next=/account"
    for path in ("/account/password", "/account/log-out"):
        assert (await stranger.post(path, form(old=PASSWORD))).status_code == 401
        sent = form(old=PASSWORD) | {"csrf": await stranger.token()}
        assert (await visitor.client.post(path, data=sent)).status_code == 403
    assert (await visitor.get(HOME)).status_code == 200
    await stranger.client.aclose()


async def test_a_password_that_was_changed_meanwhile_stays(scene: Scene, visitor: Visitor) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    people, token = pages.people, visitor.client.cookies[visitor.cookie]
    session, adam = await people.session(token), scene.people["adam"]
    assert isinstance(session, Session)
    known = await people.named("adam")
    assert known is not None
    own = known["password"]
    for ends, former in ((False, "another"), (False, None), (True, own)):
        if ends:
            await people.end_sessions(adam)
        with pytest.raises(PeopleError, match="meanwhile"):
            async with scene.console.connection.transaction():
                await People(scene.console.connection).set_own_password(session, former, "x")
        again = await people.named("adam")
        assert again is not None and again["password"] == own


async def test_a_password_of_an_account_that_another_tenant_made_ends_with_a_role_elsewhere(
    scene: Scene, visitor: Visitor
) -> None:
    held = await guest_of(scene, visitor, "maria@other")  # adam made it, and keeps it
    await held.send("/account/password", form(), at=ACCOUNT)
    chief = Visitor(scene.url)
    await chief.log_in("ana", PASSWORD)
    given = {"name": "maria@other", "role": "admin"}
    assert (await chief.post("/t/other/people", given, at=PEOPLE)).status_code == 303
    assert (await held.get("/t/other/people")).status_code == 303
    assert (await held.log_in("maria@other", CHOSEN)).status_code == 401
    maria = await scene.console.connection.fetchval(
        "SELECT person_id FROM people WHERE name = 'maria@other'"
    )
    shown = await chief.send(f"/t/other/people/{maria}/link", {}, at="/t/other/people")
    assert "/login/link?token=" in shown.text  # for maria herself
    for one in (held, chief):
        await one.client.aclose()


async def test_a_password_from_a_command_stays_with_a_role_elsewhere(scene: Scene) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    adam = scene.people["adam"]
    await pages.people.set_password(adam, "from a command")
    await pages.people.admit("other", adam, "reader")
    known = await pages.people.named("adam")
    assert known is not None and known["password"] == "from a command"
    assert await pages.people.roles(adam) == {"acme": "admin", "other": "reader"}
