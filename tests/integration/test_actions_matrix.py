"""Which role may use each form of the pages and each route of the API, at each tenant.

Nothing of another tenant may change.
"""

import re
from collections import defaultdict
from typing import Any

import pytest
from fastapi.routing import APIRoute

from connectors.console.pages.routes import pages_router
from schemas.keys import TenantId
from storage.postgres.people import PersonRole
from tests.browser.scene import PASSWORD, Scene
from tests.integration.console import key_of
from tests.integration.people import Visitor
from tests.integration.test_pages_matrix import ABOUT_NO_TENANT, RANKED, ROLES, planted, scene

__all__ = ["scene"]
NEEDS: dict[str, str] = {
    "/t/{tenant}/removal": "nobody of one tenant",
    "/t/{tenant}/c/{ref}/unmask": "viewer",
    "/t/{tenant}/quarantined/dismiss": "operator",
    "/t/{tenant}/repairs": "operator",
    "/t/{tenant}/repairs/{repair_id}/apply": "operator",
    "/t/{tenant}/repairs/{repair_id}/cancel": "operator",
}
"""The forms that need less than the role admin."""
KEPT = (
    "quarantined_messages",
    "repairs",
    "repair_tries",
    "api_keys",
    "webhook_endpoints",
    "tenants",
    "people_roles",
)
"""The tables of a tenant that the forms change, besides the audit log."""
FORM = {
    "reason": "media_not_found", "why": "a reason", "name": "n", "scope": "read", "secret": "s", "provider": "ycloud",
    "kind": "attachments", "rate": "50", "sure": "yes", "place": "raw-messages[0]@502", "typed": "acme",
}  # fmt: skip


def forms(scene: Scene) -> list[str]:
    """The path of every form of the pages."""
    parts = scene.console.parts
    assert parts.pages is not None
    return sorted(
        route.path
        for route in pages_router(parts, parts.pages).routes
        if isinstance(route, APIRoute) and "POST" in route.methods
    )


async def filled(scene: Scene, path: str, tenant: str, owner: str) -> str:
    """The path at a tenant, with ids of things that the owner has."""
    pages = scene.console.parts.pages
    assert pages is not None
    _, number, *_, identifier = planted(owner)
    of, fetched = TenantId(owner), scene.console.connection.fetchval
    chat, message = f"1555~{number}", key_of(identifier, owner)
    key_id = "SELECT key_id FROM api_keys WHERE tenant_id = $1 ORDER BY key_id LIMIT 1"
    known = {
        "tenant": tenant,
        "ref": pages.refs.of(of, "c", chat) if "/c/" in path else pages.refs.of(of, "m", message),
        "index": "0",
        "repair_id": scene.repairs[owner],
        "plan": scene.repairs[owner],
        "key_id": await fetched(key_id, owner),
        "conversation_id": chat,
        "message_key": message,
    }
    return path.format_map(defaultdict(lambda: f"of-{owner}", known))


async def state_of(scene: Scene, tenant: str) -> dict[str, list[str]]:
    return {
        table: [
            row[0]
            for row in await scene.console.connection.fetch(
                f"SELECT t::text FROM {table} t WHERE tenant_id = $1 ORDER BY 1", tenant
            )
        ]
        for table in KEPT
    }


async def test_there_are_forms_to_send(scene: Scene) -> None:
    found = forms(scene)
    assert set(NEEDS) <= set(found)
    assert all(path in ABOUT_NO_TENANT or path.startswith("/t/{tenant}/") for path in found)


@pytest.mark.parametrize("role", ROLES)
async def test_nobody_changes_anything_of_another_tenant(scene: Scene, role: PersonRole) -> None:
    visitor = Visitor(scene.url)
    await visitor.log_in(role, PASSWORD)
    before = await state_of(scene, "other")
    for path in forms(scene):
        if path in ABOUT_NO_TENANT:
            continue
        for tenant in ("other", "acme"):
            asked = await filled(scene, path, tenant, "other")
            answer = await visitor.post(asked, FORM, at="/t/acme/conversations")
            assert [one for one in planted("other") if one in answer.text] == [], asked
            assert tenant == "acme" or answer.status_code == 404, (role, asked)
            if "{repair_id}" in path or "{ref}" in path:
                assert answer.status_code in (403, 404), (role, asked)
    assert await state_of(scene, "other") == before
    await visitor.client.aclose()


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_sends_the_forms_that_are_its_own(scene: Scene, role: PersonRole) -> None:
    visitor = Visitor(scene.url)
    await visitor.log_in(role, PASSWORD)
    before = await state_of(scene, "acme")
    for path in forms(scene):
        if path in ABOUT_NO_TENANT:
            continue
        asked = await filled(scene, path, "acme", "acme")
        answer = await visitor.post(asked, FORM, at="/t/acme/conversations")
        may = RANKED.index(role) >= RANKED.index(NEEDS.get(path, "admin"))
        assert (answer.status_code != 403) is may, (role, asked, answer.status_code)
        assert answer.status_code != 200, asked  # to load it again would send the form again
    if role in ("viewer", "reader"):
        assert await state_of(scene, "acme") == before
    await visitor.client.aclose()


async def test_a_visitor_who_is_not_logged_in_sends_no_form(scene: Scene) -> None:
    visitor = Visitor(scene.url)
    before = await state_of(scene, "acme")
    for path in forms(scene):
        if path not in ABOUT_NO_TENANT:
            asked = await filled(scene, path, "acme", "acme")
            assert (await visitor.post(asked, FORM)).status_code == 401, path
    assert await state_of(scene, "acme") == before
    await visitor.client.aclose()


async def routes_of_the_api(scene: Scene) -> list[tuple[str, str]]:
    """Method and path of every route that the API describes."""
    described: dict[str, Any] = (await scene.console.get("/openapi.json", scope="")).json()["paths"]
    return sorted(
        (method.upper(), path) for path, methods in described.items() for method in methods
    )


@pytest.mark.parametrize("scope", ["admin", "read", "chat", ""])
async def test_no_key_reaches_another_tenant_by_the_api(scene: Scene, scope: str) -> None:
    before = await state_of(scene, "other")
    asked = await routes_of_the_api(scene)
    assert ("POST", "/api/repairs/{plan}/apply") in asked and len(asked) > 10
    queries = (
        "",
        "?reason=media_not_found",
        "?kind=quarantine",
        "?url=https://x/recibo-claveother",
    )
    for method, path in asked:
        for query in queries:
            where = await filled(scene, path, "other", "other") + query
            answer = await scene.console.get(where, scope=scope, method=method)
            told = [one for one in planted("other") if one in answer.text and one not in where]
            assert told == [], (method, where)
            if re.search(r"\{plan\}", path):
                wanted = {"admin": 404, "": 401}.get(scope, 403)
                assert answer.status_code in (wanted, 422), (scope, method, where)
    assert await state_of(scene, "other") == before


async def test_a_key_of_its_own_tenant_finds_what_is_planted(scene: Scene) -> None:
    shown = set[str]()
    for method, path in await routes_of_the_api(scene):
        where = await filled(scene, path, "acme", "acme")
        answer = await scene.console.get(where, scope="admin", method=method)
        shown |= {one for one in planted("acme") if one in answer.text}
    assert len(shown) >= 4  # or the plants prove nothing
