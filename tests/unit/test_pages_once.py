"""What a form made is shown by the page after it, and only once; without a database."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from connectors.console.pages import once
from connectors.console.pages.once import IS_OVER, show_once, shown_once
from connectors.console.pages.visits import PageProblem, page_route, session_cookie, visit_of
from storage.postgres.people import Session
from storage.postgres.vault import Vault

SECRET = "sk_read_x\u00f1" * 40
OVER = str(IS_OVER)
SHOWN = str(("a.word", SECRET))


class Sessions:
    """Whoever has a cookie is logged in."""

    async def session(self, token: str, **_: object) -> Session:
        return Session(token, "per_1", "ana", {}, False)


class Console:
    """A form that makes something, and two pages that would show it. `is_away`: they cannot answer."""

    def __init__(self) -> None:
        self.made, self.is_away = 0, False
        vault = Vault(Fernet.generate_key().decode())
        self.parts: Any = SimpleNamespace(people=Sessions(), public_url="", vault=vault)
        router = APIRouter(route_class=page_route(self.parts))

        @router.post("/made")
        async def make(request: Request) -> Response:
            self.made += 1
            return show_once(self.parts, visit_of(request), "/page", "a.word", SECRET)

        @router.get("/page")
        @router.get("/other")
        async def page(request: Request) -> Response:
            shown = shown_once(self.parts, visit_of(request))
            if self.is_away:
                raise PageProblem(503, "problem.503")
            return PlainTextResponse(str(shown))

        @router.get("/token")
        async def token(request: Request) -> Response:
            return PlainTextResponse(visit_of(request).csrf)

        self.app = FastAPI()
        self.app.include_router(router)

    def browser(self, token: str = "hers") -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app),
            base_url="http://console.test",
            cookies={session_cookie(False): token},
        )


async def sent(browser: httpx.AsyncClient) -> str:
    """Sends the form; returns the address to which the answer leads."""
    token = (await browser.get("/token")).text
    answer = await browser.post("/made", data={"csrf": token})
    assert answer.status_code == 303 and SECRET not in answer.text
    assert SECRET not in answer.headers["set-cookie"] and "HttpOnly" in answer.headers["set-cookie"]
    return str(answer.headers["location"])


async def test_a_page_shows_it_the_first_time_and_no_form_is_sent_again() -> None:
    console = Console()
    async with console.browser() as browser:
        where = await sent(browser)
        texts = [(await browser.get(where)).text for _ in range(3)]
        assert texts == [SHOWN, OVER, OVER] and console.made == 1
        assert (await browser.get("/page")).text == "None"
        assert [cookie.name for cookie in browser.cookies.jar] == [session_cookie(False)]


async def test_only_the_page_and_the_session_of_the_form_show_it() -> None:
    console = Console()
    async with console.browser() as browser:
        where = await sent(browser)
        name = "sensorium-once"
        sealed = browser.cookies[name]
        assert (await browser.get(where.replace("/page", "/other"))).text == OVER
        assert (await browser.get("/page?once=of-another-form")).text == OVER
        async with console.browser("another's") as other:
            other.cookies.set(name, sealed)
            assert (await other.get(where)).text == OVER
        async with Console().browser() as elsewhere:  # with another key
            elsewhere.cookies.set(name, sealed)
            assert (await elsewhere.get(where)).text == OVER
        for broken in ("", "x", sealed[:-9], "\u00e9"):
            async with console.browser() as forged:
                header = f"{session_cookie(False)}=hers; {name}={broken}".encode()
                answer = await forged.get(where, headers=[(b"cookie", header)])
                assert answer.text == OVER, broken
        assert (await browser.get(where)).text == SHOWN


async def test_a_page_that_could_not_answer_has_shown_nothing() -> None:
    console = Console()
    async with console.browser() as browser:
        where = await sent(browser)
        console.is_away = True
        assert (await browser.get(where)).status_code == 503
        console.is_away = False
        assert (await browser.get(where)).text == SHOWN


async def test_it_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console()
    monkeypatch.setattr(once, "SHOWN_SECONDS", -1)
    async with console.browser() as browser:
        token = (await browser.get("/token")).text
        answer = await browser.post("/made", data={"csrf": token})
        sealed = answer.headers["set-cookie"].partition("sensorium-once=")[2].partition(";")[0]
        browser.cookies.set("sensorium-once", sealed)
        assert (await browser.get(answer.headers["location"])).text == OVER
