"""Routes of a tenant's endpoints: create, connect, watch, test and remove."""

import re
import time
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from connectors.console.pages.changing import is_readable, own_endpoint, with_tenancy
from connectors.console.pages.once import show_once, shown_once
from connectors.console.pages.parts import PageParts
from connectors.console.pages.reading import PageReading
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from schemas.keys import TenantId
from schemas.providers import traits_of
from schemas.tenants import Endpoint
from storage.postgres.tenancy import Tenancy

OLD_URL_SECONDS = 3_600.0
"""How long a replaced URL keeps working, unless it leaked."""
DELIVERY_DAYS = 30
LONGEST_SECRET = 500
WAIT_SECONDS = 60


def add_endpoints(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""
    reading = pages.reading
    _add_page(router, pages, reading)
    _add_secrets(router, pages)
    _add_api_key(router, pages)
    _add_urls(router, pages)
    _add_checks(router, pages, reading)
    _add_test(router, pages)
    _add_sent(router, pages, reading)


def _add_page(router: APIRouter, pages: PageParts, reading: PageReading) -> None:
    @router.post("/t/{tenant}/endpoints")
    async def add(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        provider, instance = visit.form.get("provider", ""), visit.form.get("instance", "").strip()
        if provider not in pages.other_roles.providers:
            raise PageProblem(422, "problem.422")
        if instance and not traits_of(provider).numbers_per_server:
            raise PageProblem(422, "endpoint.no_instance")
        is_unsigned = visit.form.get("signature") == "none"

        async def work(tenancy: Tenancy) -> Endpoint:
            return await tenancy.add_endpoint(
                tenant_id,
                provider,
                secret=None,
                unsigned=is_unsigned,
                secret_later=not is_unsigned,
                api_key=None,
                instance=instance or None,
            )

        made = await with_tenancy(pages, visit, work)
        return _show_url(pages, visit, made)

    @router.get("/t/{tenant}/endpoints/{endpoint_id}", name="endpoint")
    async def endpoint(request: Request, tenant: str, endpoint_id: str) -> Response:
        visit = visit_of(request)
        found = await _found(pages, visit, visit.at(tenant, "admin"), endpoint_id)
        return await _page(pages, reading, visit, found)

    @router.post("/t/{tenant}/endpoints/{endpoint_id}/remove")
    async def remove(request: Request, tenant: str, endpoint_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")

        async def work(tenancy: Tenancy) -> None:
            await is_readable(tenancy, tenant_id, endpoint_id)  # raises PageProblem 404
            await tenancy.remove_endpoint(endpoint_id)

        await with_tenancy(pages, visit, work)
        return RedirectResponse(f"/t/{tenant_id}/tenants", 303)


def _add_secrets(router: APIRouter, pages: PageParts) -> None:
    @router.post("/t/{tenant}/endpoints/{endpoint_id}/rotate")
    async def rotate(request: Request, tenant: str, endpoint_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")

        async def work(tenancy: Tenancy) -> tuple[Endpoint, str | None]:
            await own_endpoint(tenancy, tenant_id, endpoint_id)
            return await tenancy.rotate(endpoint_id, drop=None)

        endpoint, secret = await with_tenancy(pages, visit, work)
        is_first = len(endpoint.secrets) == 1
        word = "endpoint.first_secret" if is_first else "settings.new_secret"
        return show_once(pages, visit, _path(tenant_id, endpoint_id), word, secret or "")

    @router.post("/t/{tenant}/endpoints/{endpoint_id}/drop")
    async def drop(request: Request, tenant: str, endpoint_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        secret = visit.form.get("secret", "")

        async def work(tenancy: Tenancy) -> None:
            await own_endpoint(tenancy, tenant_id, endpoint_id)
            await tenancy.rotate(endpoint_id, drop=secret)

        await with_tenancy(pages, visit, work)
        return _to(tenant_id, endpoint_id)

    @router.post("/t/{tenant}/endpoints/{endpoint_id}/secret")
    async def secret(request: Request, tenant: str, endpoint_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        text, keeps = visit.form.get("secret", "")[:LONGEST_SECRET], "keep_old" in visit.form

        async def work(tenancy: Tenancy) -> None:
            await own_endpoint(tenancy, tenant_id, endpoint_id)
            await tenancy.set_secret(endpoint_id, text, keep_old=keeps)

        await with_tenancy(pages, visit, work)
        return _to(tenant_id, endpoint_id)


def _add_api_key(router: APIRouter, pages: PageParts) -> None:
    @router.post("/t/{tenant}/endpoints/{endpoint_id}/api-key")
    async def api_key(request: Request, tenant: str, endpoint_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        text = visit.form.get("api_key", "").strip()[:LONGEST_SECRET]

        async def work(tenancy: Tenancy) -> None:
            await own_endpoint(tenancy, tenant_id, endpoint_id)
            await tenancy.set_api_key(endpoint_id, text or None)

        await with_tenancy(pages, visit, work)
        return _to(tenant_id, endpoint_id)


def _add_urls(router: APIRouter, pages: PageParts) -> None:
    @router.post("/t/{tenant}/endpoints/{endpoint_id}/url")
    async def url(request: Request, tenant: str, endpoint_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")

        grace_seconds = 0.0 if "leaked" in visit.form else OLD_URL_SECONDS

        async def work(tenancy: Tenancy) -> Endpoint:
            await own_endpoint(tenancy, tenant_id, endpoint_id)
            endpoint, _ = await tenancy.rotate_token(endpoint_id, grace_seconds=grace_seconds)
            return endpoint

        return _show_url(pages, visit, await with_tenancy(pages, visit, work))


def _add_checks(router: APIRouter, pages: PageParts, reading: PageReading) -> None:
    @router.post("/t/{tenant}/endpoints/{endpoint_id}/check")
    async def check(request: Request, tenant: str, endpoint_id: str) -> Response:
        visit = visit_of(request)
        found = await _found(pages, visit, visit.at(tenant, "admin"), endpoint_id)
        headers, body = visit.form.get("headers", ""), visit.form.get("body", "")
        steps = pages.other_roles.check(found, headers, body)
        return await _page(pages, reading, visit, found, steps=steps)


def _add_test(router: APIRouter, pages: PageParts) -> None:
    @router.post("/t/{tenant}/endpoints/{endpoint_id}/test")
    async def test(request: Request, tenant: str, endpoint_id: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        found = await _found(pages, visit, tenant_id, endpoint_id)
        send = pages.other_roles.send_test
        if send is None or found.awaits_secret:
            raise PageProblem(409, "endpoint.cannot_test")
        try:
            async with pages.kafka.turn(tenant_id):
                sent = await send(found)
        except OSError:
            raise PageProblem(502, "endpoint.no_receiver") from None
        await pages.people.note(tenant_id, visit.person.name, "test_sent", endpoint_id)
        if sent.status >= 300:
            path = _path(tenant_id, endpoint_id)
            return RedirectResponse(f"{path}?answered={sent.status}", 303)
        ref = pages.refs.of(tenant_id, "m", sent.message_key)
        return RedirectResponse(f"/t/{tenant_id}/sent/{ref}?at={int(time.time())}", 303)


def _add_sent(router: APIRouter, pages: PageParts, reading: PageReading) -> None:
    @router.get("/t/{tenant}/sent/{ref}", name="sent")
    async def sent(request: Request, tenant: str, ref: str) -> Response:
        """Waits for a message that was just sent; works without JavaScript too."""
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        key = pages.refs.open(tenant_id, "m", ref)
        if key is None:
            raise PageProblem(404, "problem.404")
        if await reading.message(tenant_id, key) is not None:
            return RedirectResponse(f"/t/{tenant_id}/m/{ref}", 303)
        at = request.query_params.get("at", "")
        began = int(at) if at.isascii() and at.isdigit() and len(at) < 12 else 0
        waits = time.time() - began < WAIT_SECONDS
        return visit.page("sent.html", tenant=tenant_id, section="tenants", waits=waits)


async def _found(pages: PageParts, visit: Visit, tenant_id: TenantId, endpoint_id: str) -> Endpoint:
    async def work(tenancy: Tenancy) -> Endpoint:
        return await own_endpoint(tenancy, tenant_id, endpoint_id)

    return await with_tenancy(pages, visit, work)


async def _page(
    pages: PageParts,
    reading: PageReading,
    visit: Visit,
    endpoint: Endpoint,
    steps: Any = None,
) -> Response:
    """Renders the page of an endpoint; `steps` are those of a check of its signature."""
    tenant_id = endpoint.tenant_id
    rows = await reading.fetch("deliveries_of", tenant_id, endpoint.endpoint_id, DELIVERY_DAYS)
    return visit.page(
        "endpoint.html",
        tenant=tenant_id,
        section="tenants",
        endpoint={
            "id": endpoint.endpoint_id,
            "provider": endpoint.provider,
            "signature_headers": traits_of(endpoint.provider).signature_headers,
            "wants_key": traits_of(endpoint.provider).files_need_key,
            "unsigned": endpoint.unsigned,
            "awaits_secret": endpoint.awaits_secret,
            "secret_ids": endpoint.secret_ids(),
            "has_api_key": endpoint.api_key is not None,
            "instance": endpoint.instance or "",
            "begins": endpoint.token[:4],
        },
        deliveries=[dict(row) | {"facts": msgspec.json.decode(row["last_facts"])} for row in rows],
        is_public=pages.other_roles.is_public,
        may_test=pages.other_roles.send_test is not None,
        old_url_minutes=round(OLD_URL_SECONDS / 60),
        shown_once=shown_once(pages, visit),
        test_status=_answered(visit),
        steps=steps,
        pasted=visit.form,
    )


def _answered(visit: Visit) -> int | None:
    """Returns the status with which the receiver refused the test before this page."""
    text = visit.request.query_params.get("answered", "")
    return int(text) if re.fullmatch(r"[3-5][0-9]{2}", text) else None


def _show_url(pages: PageParts, visit: Visit, endpoint: Endpoint) -> Response:
    path = _path(endpoint.tenant_id, endpoint.endpoint_id)
    return show_once(pages, visit, path, "endpoint.new_url", pages.other_roles.url_of(endpoint))


def _path(tenant_id: TenantId, endpoint_id: str) -> str:
    return f"/t/{tenant_id}/endpoints/{endpoint_id}"


def _to(tenant_id: TenantId, endpoint_id: str) -> Response:
    return RedirectResponse(_path(tenant_id, endpoint_id), 303)
