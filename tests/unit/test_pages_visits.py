"""The checks of a request before any page is rendered, without a database."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from connectors.console.pages.visits import form_cookie, page_route, session_cookie, visit_of
from storage.postgres.people import Session


class Asked:
    """People of whom each is logged in. Notes for which roles it was asked."""

    def __init__(self) -> None:
        self.wanted: list[dict[str, object]] = []

    async def session(self, token: str, **wanted: object) -> Session:
        self.wanted.append(wanted)
        return Session(token, "per_1", "ana", {}, False)


def client(public_url: str = "", people: Asked | None = None) -> httpx.AsyncClient:
    """Of a console with a page that shows what it was asked for."""
    parts: Any = SimpleNamespace(people=people, public_url=public_url)
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

    @router.get("/t/{tenant}/page")
    @router.get("/t/{tenant}/live")
    async def who(request: Request, tenant: str) -> Response:
        return PlainTextResponse(visit_of(request).person.token)

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


async def test_on_one_host_each_port_has_its_own_session_and_form() -> None:
    asked = Asked()
    async with client(people=asked) as asking:
        for port in ("8080", "9090"):
            asking.cookies.set(session_cookie(False, port), f"of-{port}")
        for host, token in (("console.test:8080", "of-8080"), ("console.test:9090", "of-9090")):
            assert (await asking.get("/t/acme/page", headers={"host": host})).text == token
        answer = await asking.get("/t/acme/page", headers={"host": "console.test"})
        assert answer.headers["location"] == "/login?next=/t/acme/page"
    async with client() as asking:
        answer = await asking.get("/form", headers={"host": "console.test:8080"})
        assert answer.headers["set-cookie"].startswith("sensorium-form-8080=")
        tokens = [
            (await asking.get("/form", headers={"host": f"console.test:{port}"})).text
            for port in (8080, 8080, 9090)
        ]
    assert tokens[0] == tokens[1] != tokens[2]


@pytest.mark.parametrize("host", ["console.test:x", "console.test:", "[::1]", "a:123456", ""])
async def test_a_host_without_a_port_has_the_cookies_of_none(host: str) -> None:
    asked = Asked()
    async with client(people=asked) as asking:
        asking.cookies.set(session_cookie(False), "hers")
        assert (await asking.get("/t/acme/page", headers={"host": host})).text == "hers"


def test_behind_https_the_names_of_cookies_have_no_port() -> None:
    assert session_cookie(True, "8443") == session_cookie(True) == "__Host-sensorium"


async def test_a_request_reads_the_role_at_its_tenant_and_a_stream_no_other() -> None:
    asked = Asked()
    async with client(people=asked) as asking:
        asking.cookies.set(session_cookie(False), "hers")
        await asking.get("/t/acme/page")
        await asking.get("/t/acme/live")
        await asking.get("/form")
    assert asked.wanted == [
        {"about": "acme"},
        {"is_use": False, "about": "acme", "most": 0},
        {"about": ""},
    ]
