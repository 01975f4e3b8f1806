"""Addresses that are not pages."""

from types import SimpleNamespace
from typing import Any

import httpx
from fastapi import FastAPI

from connectors.console.pages.rendering import static_version
from connectors.console.pages.routes import pages_router
from connectors.console.pages.visits import session_cookie
from connectors.console.queries import ContextBounds
from schemas.keys import TenantId
from storage.postgres.people import Session


class OnePerson:
    async def session(self, token: str, **_: object) -> Session | None:
        roles = {TenantId("acme"): "viewer"}
        return Session(token, "per_1", "ana", roles, False) if token == "hers" else None


def client(token: str) -> httpx.AsyncClient:
    pages: Any = SimpleNamespace(
        people=OnePerson(), public_url="", pool=None, reading=None, repairs=None, refs=None,
        other_roles=SimpleNamespace(eraser=None),
    )  # fmt: skip
    parts: Any = SimpleNamespace(reading=None, bounds=ContextBounds(), pages=pages)
    app = FastAPI()
    app.include_router(pages_router(parts, pages))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url="http://console.test",
        cookies={session_cookie(False): token},
    )


async def test_an_address_that_is_not_a_page_is_answered_with_a_page() -> None:
    async with client("hers") as asking:
        for path in ("/t/acme/nothing", "/t/acme/keys", "/t/none", "/t/acme/m/x/file/y", "/t/"):
            answer = await asking.get(path)
            assert answer.status_code == 404, path
            assert "<h1>This page does not exist" in answer.text
        assert (await asking.get("/t/acme")).headers["location"] == "/t/acme/conversations"
    async with client("nobody's") as asking:
        answer = await asking.get("/t/acme/nothing")
        assert answer.headers["location"] == "/login?next=/t/acme/nothing"


async def test_browsers_keep_a_static_file_only_under_the_address_of_this_release() -> None:
    async with client("nobody's") as asking:
        for version, kept in ((static_version(), True), ("0123456789ab", False)):
            answer = await asking.get(f"/static/{version}/console.css")
            assert answer.status_code == 200
            assert ("immutable" in answer.headers["cache-control"]) == kept
            assert ("no-store" in answer.headers["cache-control"]) != kept
