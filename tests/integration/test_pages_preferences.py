from typing import Any

import pytest

from storage.postgres.people import EVERY_TENANT
from storage.postgres.tenancy import Tenancy
from tests.browser.scene import PASSWORD, Scene
from tests.integration.people import Visitor

PAGE, PEOPLE = "/t/acme/preferences", "/t/acme/people"


@pytest.fixture
def visitor(adam: Visitor) -> Visitor:
    return adam


async def settings_of(scene: Scene) -> dict[str, Any]:
    tenancy = Tenancy(scene.console.connection, scene.console.vault)
    found: dict[str, Any] = (await tenancy.tenant("acme"))["settings"]
    return found


async def test_settings_are_saved_and_only_what_changed_is_in_the_log(
    scene: Scene, visitor: Visitor
) -> None:
    form = {
        "language": "pt-BR", "trade": "a pharmacy", "vision_prompt": "Say what\r\nyou see.", "rate": "5",
        "openai_key": "sk-own", "describe_old": "on", "vision_model": "",
    }  # fmt: skip
    assert (await visitor.post(PAGE, form, at=PAGE)).status_code == 303
    now = await settings_of(scene)
    assert (now["language"], now["trade"], now["rate"], now["describe_old"]) == ("pt-BR", "a pharmacy", 5.0, True)  # fmt: skip
    assert (now["vision_prompt"], now["openai_key"]) == ("Say what\nyou see.", "(set)")
    page = (await visitor.get(PAGE)).text
    assert "sk-own" not in page and 'value="5"' in page and "a key is set" in page
    await visitor.post(PAGE, form | {"openai_key": "", "rate": "6"}, at=PAGE)
    rows = await scene.console.connection.fetch(
        "SELECT actor, detail FROM audit_log WHERE action = 'tenant_set' ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [
        ("adam", "describe_old, language, openai_key, rate, trade, vision_prompt"),
        ("adam", "rate"),
    ]
    assert (await settings_of(scene))["openai_key"] == "(set)"  # empty keeps it
    await visitor.post(PAGE, {"end_openai_key": "on", "trade": ""}, at=PAGE)
    now = await settings_of(scene)
    assert (now["openai_key"], now["trade"], now["describe_old"]) == (None, None, False)


async def test_what_is_wrong_is_said_at_its_field_and_nothing_is_saved(
    scene: Scene, visitor: Visitor
) -> None:
    before = await settings_of(scene)
    form = {"language": "klingon", "rate": "fast", "max_bytes": "0", "context_text": "x", "trade": "ok"}  # fmt: skip
    answer = await visitor.post(PAGE, form, at=PAGE)
    assert answer.status_code == 422 and answer.text.count('aria-invalid="true"') == 4
    assert "“klingon” is not a language: " in answer.text and 'value="fast"' in answer.text
    assert await settings_of(scene) == before


async def test_what_was_typed_stays_beside_a_wrong_field(scene: Scene, visitor: Visitor) -> None:
    form = {"language": "klingon", "describe_old": "on", "trade": "a bakery"}
    answer = await visitor.post(PAGE, form, at=PAGE, **{"accept-language": "es"})
    assert answer.status_code == 422 and "no es un idioma" in answer.text
    assert 'name="describe_old" checked' in answer.text and 'value="a bakery"' in answer.text
    assert 'name="describe_outgoing" checked' not in answer.text


async def test_settings_that_cannot_be_opened_are_not_shown_as_defaults(
    scene: Scene, visitor: Visitor
) -> None:
    await scene.console.connection.execute(
        "UPDATE tenants SET settings = 'x' WHERE tenant_id = 'acme'"
    )
    for answer in (await visitor.get(PAGE), await visitor.post(PAGE, {"rate": "1"}, at=PEOPLE)):
        assert answer.status_code == 409 and "cannot be opened" in answer.text


async def test_a_model_that_nobody_knows_is_remarked_and_kept(
    scene: Scene, visitor: Visitor
) -> None:
    await visitor.post(PAGE, {"vision_model": "my-own-model"}, at=PAGE)
    assert (await settings_of(scene))["vision_model"] == "my-own-model"
    assert "This version does not know the model my-own-model" in (await visitor.get(PAGE)).text


# --- people


async def test_a_person_is_invited_given_roles_logged_out_and_removed(
    scene: Scene, visitor: Visitor
) -> None:
    shown = await visitor.send(PEOPLE, {"name": "Luz@acme", "role": "viewer"}, at=PEOPLE)
    link = shown.text.partition("/login/link?token=")[2].partition("<")[0]
    assert shown.status_code == 200 and link
    luz = Visitor(scene.url)
    assert (await luz.use(f"/login/link?token={link}")).status_code == 303
    assert (await luz.get("/t/acme/audit")).status_code == 403
    pages = scene.console.parts.pages
    assert pages is not None
    (member,) = [one for one in await pages.people.members("acme") if one["name"] == "luz@acme"]
    assert member["sessions"] == 1
    path = f"{PEOPLE}/{member['person_id']}"
    await visitor.post(f"{path}/role", {"role": "admin"}, at=PEOPLE)
    assert (await luz.get("/t/acme/audit")).status_code == 200
    await visitor.post(f"{path}/log-out", {}, at=PEOPLE)
    assert (await luz.get("/t/acme/audit")).status_code == 303
    await visitor.post(f"{path}/remove", {}, at=PEOPLE)
    assert "luz@acme" not in (await visitor.get(PEOPLE)).text
    assert (await visitor.post(f"{path}/role", {"role": "admin"}, at=PEOPLE)).status_code == 404
    rows = await scene.console.connection.fetch(
        "SELECT action, detail FROM audit_log WHERE actor = 'adam' AND tenant_id = 'acme' ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [
        ("person_added", "luz@acme viewer"),
        ("role_given", "luz@acme admin"),
        ("sessions_ended", "luz@acme"),
        ("role_ended", "luz@acme"),
    ]
    await luz.client.aclose()


async def test_an_admin_of_one_tenant_touches_nobody_of_others(
    scene: Scene, visitor: Visitor
) -> None:
    foreign = await scene.person("eve", "admin", "other")
    both = await scene.person("bob", "reader")
    pages = scene.console.parts.pages
    assert pages is not None
    await pages.people.set_role("other", both, "admin")
    for action in ("role", "remove", "log-out"):
        answer = await visitor.post(f"{PEOPLE}/{foreign}/{action}", {"role": "admin"}, at=PEOPLE)
        assert answer.status_code == 404, action
    for person in (both, scene.people["ana"]):
        assert (await visitor.post(f"{PEOPLE}/{person}/log-out", {}, at=PEOPLE)).status_code == 403
    text = (await visitor.get(PEOPLE)).text
    assert "<strong>eve<" not in text and "<strong>bob<" in text
    for name in ("eve", "portal@acme"):
        taken = await visitor.post(PEOPLE, {"name": name, "role": "viewer"}, at=PEOPLE)
        assert taken.status_code == 409 and "This name is taken" in taken.text
    assert await scene.console.connection.fetchval("SELECT count(*) FROM login_links") == 0
    await pages.people.set_role(EVERY_TENANT, both, "viewer")
    assert "every tenant" in (await visitor.get(PEOPLE)).text


async def test_an_account_whose_last_role_is_taken_away_is_logged_out(
    scene: Scene, visitor: Visitor
) -> None:
    maria = await scene.person("maria", "reader")
    held = Visitor(scene.url)
    await held.log_in("maria", PASSWORD)
    assert (await held.get("/t/acme/conversations")).status_code == 200
    await visitor.post(f"{PEOPLE}/{maria}/remove", {}, at=PEOPLE)
    pages = scene.console.parts.pages
    assert pages is not None
    await pages.people.set_role("other", maria, "reader")
    assert (await held.get("/t/other/conversations")).status_code == 303
    await held.client.aclose()


async def test_an_account_without_password_is_logged_out_when_another_tenant_adds_it(
    scene: Scene, visitor: Visitor
) -> None:
    shown = await visitor.send(PEOPLE, {"name": "maria@other", "role": "reader"}, at=PEOPLE)
    link = shown.text.partition("/login/link?token=")[2].partition("<")[0]
    held = Visitor(scene.url)
    await held.use(f"/login/link?token={link}")
    chief = Visitor(scene.url)
    await chief.log_in("ana", PASSWORD)
    form = {"name": "maria@other", "role": "admin"}
    assert (await chief.post("/t/other/people", form, at=PEOPLE)).status_code == 303
    assert (await held.get("/t/other/people")).status_code == 303
    await held.client.aclose()
    await chief.client.aclose()


async def test_an_admin_of_one_tenant_keeps_the_own_role(scene: Scene, visitor: Visitor) -> None:
    adam = scene.people["adam"]
    for path, form in (
        (f"{PEOPLE}/{adam}/role", {"role": "viewer"}),
        (f"{PEOPLE}/{adam}/remove", {}),
        (PEOPLE, {"name": "adam", "role": "viewer"}),
    ):
        answer = await visitor.post(path, form, at=PEOPLE)
        assert answer.status_code == 409 and "your own role" in answer.text
    page = (await visitor.get(PEOPLE)).text
    assert f"{adam}/role" not in page and f"{adam}/remove" not in page


async def test_who_has_no_password_gets_a_new_link_as_often_as_needed(
    scene: Scene, visitor: Visitor
) -> None:
    await visitor.post(PEOPLE, {"name": "luz", "role": "viewer"}, at=PEOPLE)
    luz = await scene.console.connection.fetchval("SELECT person_id FROM people WHERE name = 'luz'")
    shown = await visitor.send(f"{PEOPLE}/{luz}/link", {}, at=PEOPLE)
    link = shown.text.partition("/login/link?token=")[2].partition("<")[0]
    guest = Visitor(scene.url)
    assert (await guest.use(f"/login/link?token={link}")).status_code == 303
    assert (await guest.get("/t/acme/conversations")).status_code == 200
    with_password = await scene.person("bob", "reader")
    assert (await visitor.post(f"{PEOPLE}/{with_password}/link", {}, at=PEOPLE)).status_code == 403
    await guest.client.aclose()


@pytest.mark.parametrize("form", [{"name": "x", "role": "root"}, {"name": "no name", "role": "viewer"}])  # fmt: skip
async def test_a_person_that_cannot_be_is_refused(visitor: Visitor, form: dict[str, str]) -> None:
    assert (await visitor.post(PEOPLE, form, at=PEOPLE)).status_code == 422
