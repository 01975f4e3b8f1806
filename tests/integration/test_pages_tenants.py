"""A person with more tenants than a menu shows."""

import re
from collections.abc import AsyncIterator

import pytest

from connectors.console.pages import tenants
from schemas.keys import TenantId
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.people import MOST_LISTED, Session
from tests.browser.scene import PASSWORD, Scene, staged
from tests.integration.people import Visitor

MANY = 60
LAST = f"t{MANY - 1:03}"


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    """Beside acme and other, tenants t000 to t059."""
    async with staged(stack, Names(namespace)) as made:
        await made.console.connection.execute(
            "INSERT INTO tenants (tenant_id, settings) SELECT 't' || lpad(n::text, 3, '0'), settings"
            " FROM generate_series(0, $1) AS n, tenants WHERE tenant_id = 'acme'",
            MANY - 1,
        )
        yield made


async def entered(scene: Scene, name: str) -> Visitor:
    visitor = Visitor(scene.url)
    await visitor.log_in(name, PASSWORD)
    return visitor


async def session_of(scene: Scene, visitor: Visitor, about: str, most: int) -> Session:
    pages = scene.console.parts.pages
    assert pages is not None
    token = visitor.client.cookies[visitor.cookie]
    found = await pages.people.session(token, about=about, most=most)
    assert found is not None
    return found


def menu(text: str) -> list[str]:
    return re.findall(r'<li><a href="/t/([^/"]+)/conversations"', text.partition("</details>")[0])


def found(text: str) -> list[str]:
    return re.findall(r'<a href="/t/([^/"]+)/conversations"', text.partition("<main")[2])


async def test_the_menu_names_the_first_tenants_and_leads_to_a_search(scene: Scene) -> None:
    ana = await entered(scene, "ana")
    page = (await ana.get(f"/t/{LAST}/conversations")).text
    assert menu(page) == ["acme", "other", *(f"t{n:03}" for n in range(MOST_LISTED - 2))]
    assert '<span class="tenant-name">t059</span><span class="role">Admin</span>' in page
    assert '<a href="/tenants">' in page
    luz = await scene.person("luz", "reader")
    pages = scene.console.parts.pages
    assert pages is not None
    await pages.people.set_role(LAST, luz, "viewer")
    few = await entered(scene, "luz")
    page = (await few.get("/t/acme/conversations")).text
    assert menu(page) == ["acme", LAST] and '<a href="/tenants">' not in page
    assert (await few.get("/t/t001/conversations")).status_code == 404
    for one in (ana, few):
        await one.client.aclose()


async def test_all_tenants_are_listed_a_page_at_a_time_and_searched(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenants, "PAGE", 25)
    ana = await entered(scene, "ana")
    seen, path = list[str](), "/tenants"
    for _ in range(3):
        page = (await ana.get(path)).text
        seen += found(page)
        more = re.search(r'class="more" href="([^"]+)"', page)
        path = more[1].replace("&amp;", "&") if more else ""
    assert path == "" and seen == ["acme", "other", *(f"t{n:03}" for n in range(MANY))]
    assert found((await ana.get("/tenants?q=05")).text) == [
        "t005",
        *(f"t{n:03}" for n in range(50, 60)),
    ]
    assert "No tenant of yours has this" in (await ana.get("/tenants?q=%25_")).text
    await ana.client.aclose()


async def test_the_search_finds_only_tenants_of_the_person_that_are_not_removed(
    scene: Scene,
) -> None:
    await scene.person("luz", "operator")
    luz = await entered(scene, "luz")
    page = (await luz.get("/tenants")).text
    assert found(page) == ["acme"] and '<span class="tag">Operator</span>' in page
    assert found((await luz.get("/tenants?q=t0")).text) == []
    ana = await entered(scene, "ana")
    await scene.console.connection.execute(
        "UPDATE tenants SET removed_at = now() WHERE tenant_id = 't001'"
    )
    assert found((await ana.get("/tenants?q=t001")).text) == []
    assert (await ana.get("/t/t001/conversations")).status_code == 404
    stranger = Visitor(scene.url)
    assert (await stranger.get("/tenants")).headers["location"] == "/login?next=/tenants"
    for one in (luz, ana, stranger):
        await one.client.aclose()


async def test_a_session_has_the_role_at_the_asked_tenant_and_at_the_first_ones(
    scene: Scene,
) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    luz = await scene.person("luz", "viewer", "*")
    for tenant, role in ((LAST, "admin"), ("t000", "reader")):
        await pages.people.set_role(tenant, luz, role)  # type: ignore[arg-type]
    visitor = await entered(scene, "luz")
    one = await session_of(scene, visitor, LAST, 0)
    assert (one.roles, one.has_more) == ({TenantId(LAST): "admin"}, True)
    none = await session_of(scene, visitor, "nobody", 0)
    assert none.roles == {} and not none.may(TenantId("nobody"), "viewer")
    three = await session_of(scene, visitor, LAST, 3)
    assert list(three.roles.items()) == [
        ("acme", "viewer"), ("other", "viewer"), ("t000", "reader"), (LAST, "admin")
    ]  # fmt: skip
    whole = await session_of(scene, visitor, "", MANY + 2)
    assert not whole.has_more and len(whole.roles) == MANY + 2
    assert whole.roles == await pages.people.tenants(luz)
    await visitor.client.aclose()


async def test_trouble_of_all_tenants_is_still_of_all(scene: Scene) -> None:
    ana = await entered(scene, "ana")
    page = (await ana.get("/trouble")).text
    assert f"{MANY + 2} tenants" in page and len(menu(page)) == MOST_LISTED
    await ana.client.aclose()
