import re
from collections.abc import AsyncIterator

import msgspec
import pytest
from fastapi.routing import APIRoute

from connectors.console.pages.repairing import repair_request_of
from connectors.console.pages.routes import pages_router
from schemas.keys import TenantId
from schemas.records import Attachment
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.people import PersonRole
from storage.postgres.tenancy import Tenancy
from tests.browser.scene import PASSWORD, Redone, Scene, said, staged
from tests.integration.console import key_of
from tests.integration.people import Visitor

PLANTED = (
    "Zoraida",
    "5215577",
    "palabra-clave",
    "descripcion-clave",
    "recibo-clave",
    "wamid-clave",
)
"""A name, a number, a text, a description, a file name and an id.

Each tenant has them with its own name appended.
"""
ROLES: tuple[PersonRole, ...] = ("viewer", "reader", "operator", "admin")
ABOUT_NO_TENANT = {
    "/",
    "/account",
    "/account/log-out",
    "/account/password",
    "/tenants",
    "/tenants/removed",
    "/login",
    "/login/link",
    "/logout",
    "/t/{rest:path}",
    "/trouble",
}
"""`/trouble` and `/tenants` are of all tenants of a person: test_pages_everywhere and _tenants look at them.
`/tenants/removed` is of those that nobody belongs to any more: test_pages_removals."""
OFFSETS = {"acme": 501, "other": 502}
"""The position of the quarantined record of each tenant."""
RANKED = (*ROLES, "nobody of one tenant")
NEEDS: dict[str, str] = {
    "/t/{tenant}/c/{ref}/context": "reader",
    "/t/{tenant}/c/{ref}/erase": "admin",
    "/t/{tenant}/m/{ref}/erase": "admin",
    "/t/{tenant}/m/{ref}/file/{index}": "reader",
    "/t/{tenant}/m/{ref}/file/{index}/{form}": "reader",
    "/t/{tenant}/repairs/{repair_id}": "operator",
    "/t/{tenant}/tenants": "admin",
    "/t/{tenant}/removal": "nobody of one tenant",
    "/t/{tenant}/endpoints/{endpoint_id}": "admin",
    "/t/{tenant}/preferences": "admin",
    "/t/{tenant}/people": "admin",
    "/t/{tenant}/audit": "admin",
    "/t/{tenant}/audit.csv": "admin",
    "/t/{tenant}/repairs/{repair_id}/live": "operator",
    "/t/{tenant}/pipeline/live": "nobody of one tenant",
}
"""The pages that need more than the role viewer."""
LEADS_ON = {"/t/{tenant}/sent/{ref}"}
"""Waits for a message, and redirects to its page."""


def planted(tenant: str) -> list[str]:
    return [f"{one}{tenant}" for one in PLANTED]


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace), Redone()) as made:
        for tenant in ("acme", "other"):
            name, number, text, description, file, identifier = planted(tenant)
            stored = await made.console.keep(
                b"RIFF" + tenant.encode(), "image/png", "png", tenant=tenant, of=identifier
            )

            shown = msgspec.structs.replace(
                stored, type="image", status="described", description=description, filename=file
            )
            lost = Attachment(
                index=1,
                type="image",
                status="failed",
                reason="media_not_found",
                original_url=f"https://x/{file}",
            )
            await made.console.write(
                said(identifier, 1, text, shown, lost, tenant_id=tenant, message_key=key_of(identifier, tenant),
                     conversation_id=f"1555~{number}", sender_name=name, sender_id=number, status="degraded")
            )  # fmt: skip
            await refused(made, tenant)
            await made.console.connection.execute(
                "INSERT INTO arrival_records VALUES"
                " ($1, 'ycloud', $2, NULL, 'raw-messages', 0, 0, now(), 'forwarded', '', 1)",
                tenant,
                identifier,
            )
        for role in ROLES:
            await made.person(role, role)
        pages = made.console.parts.pages
        assert pages is not None
        for tenant in ("acme", "other"):
            made.endpoints[tenant] = await endpoint_of(made, tenant)
            form = {"reason": "media_not_found"}
            made.repairs[tenant] = await pages.work.plan(
                repair_request_of(TenantId(tenant), "x", "attachments", form)
            )
        yield made


async def refused(scene: Scene, tenant: str) -> None:
    """A quarantined record of the planted message, which contains the planted texts."""
    *texts, identifier = planted(tenant)
    await scene.console.connection.execute(
        """INSERT INTO quarantined_messages (tenant_id, stage, reason, topic, record_key, partition, "offset", detail,
               created_at, key, value, program_version)
           VALUES ($1, 'dedupe', 'not_json', 'raw-messages', $2, 0, $3, $4, now(), 'k', $5, '1')""",
        *(tenant, key_of(identifier, tenant), OFFSETS[tenant], texts[2], " ".join(texts).encode()),
    )


async def endpoint_of(scene: Scene, tenant: str) -> str:
    tenancy = Tenancy(scene.console.connection, scene.console.vault)
    endpoint = await tenancy.add_endpoint(
        tenant, "ycloud", secret=f"secreto-clave{tenant}", unsigned=False, api_key=None
    )
    return endpoint.endpoint_id


def get_routes(scene: Scene) -> list[str]:
    """The path of every page."""
    parts = scene.console.parts
    assert parts.pages is not None
    return sorted(
        route.path
        for route in pages_router(parts, parts.pages).routes
        if isinstance(route, APIRoute) and "GET" in route.methods
    )


def filled(scene: Scene, path: str, tenant: str, *, refs_of: str | None = None) -> str:
    pages = scene.console.parts.pages
    assert pages is not None
    _, number, *_, identifier = planted(refs_of or tenant)
    owner = TenantId(refs_of or tenant)
    ref = (
        pages.refs.of(owner, "c", f"1555~{number}")
        if "/c/" in path
        else pages.refs.of(owner, "m", key_of(identifier, owner))
    )
    return path.format(
        tenant=tenant,
        ref=ref,
        index=0,
        form="picture",
        repair_id=scene.repairs[owner],
        endpoint_id=scene.endpoints[owner],
        stage="dedupe",
        topic="raw-messages",
        partition=0,
        offset=OFFSETS[owner],
    )


async def first_bytes(visitor: Visitor, path: str) -> tuple[int, str]:
    """The status and body; of a stream, the first event."""
    async with visitor.client.stream("GET", path) as answer:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            return answer.status_code, (await answer.aread()).decode("utf-8", "replace")
        text = ""
        async for piece in answer.aiter_text():
            text += piece
            if re.search(r"\r?\n\r?\n", text):
                break
        return answer.status_code, text


async def test_there_are_pages_to_look_at(scene: Scene) -> None:
    routes = get_routes(scene)
    assert {"/t/{tenant}/conversations", "/t/{tenant}/c/{ref}/live", "/t/{tenant}/m/{ref}"} <= set(
        routes
    )
    assert all(path in ABOUT_NO_TENANT or path.startswith("/t/{tenant}/") for path in routes)


@pytest.mark.parametrize("role", ROLES)
async def test_nobody_sees_anything_of_another_tenant(scene: Scene, role: PersonRole) -> None:
    visitor = Visitor(scene.url)
    await visitor.log_in(role, PASSWORD)
    for path in get_routes(scene):
        if path in ABOUT_NO_TENANT:
            continue
        for asked in (filled(scene, path, "other"), filled(scene, path, "acme", refs_of="other")):
            status, text = await first_bytes(visitor, asked)
            assert [one for one in planted("other") if one in text] == [], asked
            if "{re" in path or "{endpoint_id}" in path or "{offset}" in path or "/other/" in asked:
                opens_first = "{ref}" in path and not path.endswith("/erase")
                may_ask = RANKED.index(role) >= RANKED.index(NEEDS.get(path, "viewer"))
                wanted = 404 if may_ask or "/other/" in asked or opens_first else 403
                assert status == wanted, (role, asked)
    await visitor.client.aclose()


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_sees_its_pages_and_a_viewer_nothing_of_the_content(
    scene: Scene, role: PersonRole
) -> None:
    visitor = Visitor(scene.url)
    await visitor.log_in(role, PASSWORD)
    shown = set[str]()
    for path in get_routes(scene):
        if path in ABOUT_NO_TENANT:
            continue
        status, text = await first_bytes(visitor, filled(scene, path, "acme"))
        may = RANKED.index(role) >= RANKED.index(NEEDS.get(path, "viewer"))
        wanted = 303 if path in LEADS_ON else 200
        assert status == (wanted if may else 403), (role, path, text[:300])
        found = {one for one in planted("acme") if one in text}
        shown |= found
        if role == "viewer":
            assert found == set(), path
    if role != "viewer":
        assert len(shown) >= 5  # or the plants prove nothing
    await visitor.client.aclose()


async def test_a_visitor_who_is_not_logged_in_sees_nothing(scene: Scene) -> None:
    visitor = Visitor(scene.url)
    for path in get_routes(scene):
        if path not in ABOUT_NO_TENANT:
            status, text = await first_bytes(visitor, filled(scene, path, "acme"))
            assert status in (303, 401), path
            assert not any(one in text for one in planted("acme"))
    await visitor.client.aclose()


async def test_a_viewer_unmasks_a_conversation_and_the_log_says_who_what_and_why(
    scene: Scene,
) -> None:
    visitor = Visitor(scene.url)
    await visitor.log_in("viewer", PASSWORD)
    path = filled(scene, "/t/{tenant}/c/{ref}", "acme")
    assert (await visitor.post(f"{path}/unmask", {"why": " "}, at=path)).status_code == 422
    assert "palabra-claveacme" not in (await visitor.get(path)).text
    assert (
        await visitor.post(f"{path}/unmask", {"why": "complaint 77"}, at=path)
    ).status_code == 303
    assert "palabra-claveacme" in (await visitor.get(path)).text
    file = filled(scene, "/t/{tenant}/m/{ref}/file/0", "acme")
    assert (await visitor.get(file)).status_code == 200
    assert (await visitor.get(f"{path}/context")).status_code == 200
    rows = await scene.console.connection.fetch(
        "SELECT actor, action, detail FROM audit_log WHERE actor = 'viewer' AND tenant_id = 'acme'"
    )
    assert {(row["actor"], row["action"]) for row in rows} == {
        ("viewer", "conversation_unmasked"),
        ("viewer", "media_seen"),
        ("viewer", "context_seen"),
    }
    seen = {row["action"]: row["detail"] for row in rows}
    assert path.endswith(f"/c/{seen['context_seen']}")  # names nobody, and leads to it
    assert any("complaint 77" in row["detail"] and "5215577acme" in row["detail"] for row in rows)
    second = Visitor(scene.url)
    await second.log_in("viewer", PASSWORD)
    assert "palabra-claveacme" not in (await second.get(path)).text  # for that session only
    await scene.console.connection.execute("UPDATE unmasked_conversations SET ends_at = now()")
    assert "palabra-claveacme" not in (await visitor.get(path)).text
    for one in (visitor, second):
        await one.client.aclose()


async def test_a_viewer_cannot_guess_words_by_searching(scene: Scene) -> None:
    visitor = Visitor(scene.url)
    await visitor.log_in("viewer", PASSWORD)
    pages = [
        (await visitor.get(f"/t/acme/conversations?q={word}")).text
        for word in ("palabra", "nothing")
    ]
    assert len({page.count('class="head"') for page in pages}) == 1
    await visitor.client.aclose()


async def test_an_address_that_is_not_a_page_is_answered_with_a_page(scene: Scene) -> None:
    visitor = Visitor(scene.url)
    assert (await visitor.get("/t/acme/nothing")).status_code == 303  # to the login
    await visitor.log_in("viewer", PASSWORD)
    for path in ("/t/acme/nothing", "/t/acme/keys", "/t/none", "/t/acme/m/x/file/y"):
        answer = await visitor.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"].startswith("text/html")
    assert (await visitor.get("/t/acme")).headers["location"] == "/t/acme/conversations"
    await visitor.client.aclose()
