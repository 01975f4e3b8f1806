"""A person who uses the pages of a console, without a browser."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from connectors.console.pages.visits import session_cookie
from tests.browser.scene import PASSWORD, Scene

_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass
class Visitor:
    """Keeps cookies. `headers` are sent with every request."""

    url: str
    client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.AsyncClient(base_url=self.url, timeout=30)

    @property
    def cookie(self) -> str:
        """The name of the cookie of its session."""
        return session_cookie(False, str(self.client.base_url.port))

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def token(self, path: str = "/login") -> str:
        """The form token of a page."""
        found = _TOKEN.search((await self.client.get(path)).text)
        assert found is not None, path
        return found[1]

    async def post(
        self, path: str, form: dict[str, str], *, at: str = "/login", **headers: str
    ) -> httpx.Response:
        """Posts a form with the token of the page `at`."""
        data = {"csrf": await self.token(at)} | form
        return await self.client.post(path, data=data, headers=headers)

    async def send(self, path: str, form: dict[str, str], *, at: str) -> httpx.Response:
        """Posts a form, and opens the page to which the answer leads."""
        answer = await self.post(path, form, at=at)
        assert answer.status_code == 303, (path, answer.status_code)
        return await self.get(answer.headers["location"])

    async def log_in(self, name: str, password: str, **more: str) -> httpx.Response:
        return await self.post("/login", {"name": name, "password": password} | more)

    async def use(self, link: str) -> httpx.Response:
        """Opens a login link."""
        token = link.partition("token=")[2]
        return await self.post("/login/link", {"token": token}, at=link)


async def visitor_of(scene: Scene, name: str) -> Visitor:
    """A person of the scene who is logged in. The caller closes the client."""
    made = Visitor(scene.url)
    await made.log_in(name, PASSWORD)
    return made


@asynccontextmanager
async def visiting(scene: Scene, name: str = "") -> AsyncIterator[Visitor]:
    """Somebody at the console of the scene: a person of it who is logged in, or a stranger."""
    made = await visitor_of(scene, name) if name else Visitor(scene.url)
    try:
        yield made
    finally:
        await made.client.aclose()


async def noted(scene: Scene, action: str) -> list[tuple[str, str, str]]:
    """The tenant, person and detail of each entry of the audit log about an action."""
    rows = await scene.console.connection.fetch(
        "SELECT tenant_id, actor, detail FROM audit_log WHERE action = $1 ORDER BY id", action
    )
    return [tuple(row) for row in rows]
