"""The checks of a request before any page is rendered, without a database."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from connectors.console.pages.visits import form_cookie, page_route, visit_of


def client(public_url: str = "") -> httpx.AsyncClient:
    """A client of a console with a page that shows its request."""
    parts: Any = SimpleNamespace(people=None, public_url=public_url)
    router = APIRouter(route_class=page_route(parts))

    @router.get("/file/{index}")
    async def file(index: int) -> Response:
        return PlainTextResponse(str(index))

    @router.get("/reason/{reason}")
    async def reason(request: Request, reason: str) -> Response:
        return PlainTextResponse(reason + request.query_params.get("q", ""))

    @router.get("/form")
    async def form(request: Request) -> Response:
        return PlainTextResponse(visit_of(request).csrf)

    @router.post("/form")
    async def sent(request: Request) -> Response:
        return PlainTextResponse(visit_of(request).form.get("name", ""))

    app = FastAPI()
    app.include_router(router)
    transport = httpx.ASGITransport(app=app)
    secure = public_url.startswith("https:")
    return httpx.AsyncClient(
        transport=transport,
        base_url="http://console.test",
        cookies={form_cookie(secure): "seed"},
    )


@pytest.mark.parametrize("path", ["/file/abc", "/file/1.5", "/file/"])
async def test_a_path_of_another_form_is_a_page_that_does_not_exist(path: str) -> None:
    async with client() as asking:
        assert (await asking.get("/file/1")).text == "1"
        assert (await asking.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/reason/a%00b", "/reason/a?q=%00", "/reason/a?other=%00"])
async def test_a_nul_in_an_address_reaches_no_statement(path: str) -> None:
    async with client() as asking:
        assert (await asking.get("/reason/a?q=b")).text == "ab"
        assert (await asking.get(path)).status_code == 404


async def test_a_nul_in_a_form_reaches_no_statement() -> None:
    async with client() as asking:
        token = (await asking.get("/form")).text
        assert (await asking.post("/form", data={"csrf": token, "name": "ana"})).text == "ana"
        answer = await asking.post("/form", data={"csrf": token, "name": "an\0a"})
        assert answer.status_code == 422


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("https://chat.example", "console:8080", 200),
        ("https://console.test", "console.test", 200),
        ("https://evil.example", "console:8080", 403),
        ("null", "console.test", 403),
        ("null", "", 403),
        ("http://[", "console.test", 403),
    ],
)
async def test_a_form_comes_from_the_host_that_was_asked_or_the_public_address(
    origin: str, host: str, status: int
) -> None:
    async with client("https://chat.example") as asking:
        token = (await asking.get("/form")).text
        headers = {"origin": origin, "host": host}
        answer = await asking.post("/form", data={"csrf": token}, headers=headers)
        assert answer.status_code == status


async def test_without_a_public_address_a_form_of_no_origin_is_refused() -> None:
    async with client() as asking:
        token = (await asking.get("/form")).text
        headers = {"origin": "null", "host": ""}
        answer = await asking.post("/form", data={"csrf": token}, headers=headers)
        assert answer.status_code == 403


async def test_no_script_runs_because_it_comes_from_this_origin() -> None:
    async with client() as asking:
        policy = (await asking.get("/form")).headers["content-security-policy"]
    (scripts,) = (one for one in policy.split("; ") if one.startswith("script-src "))
    assert scripts.split()[1].startswith("'nonce-") and len(scripts.split()) == 2
