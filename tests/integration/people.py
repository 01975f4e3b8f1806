"""A person who uses the pages of a console, without a browser."""

import re
from dataclasses import dataclass, field

import httpx

_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass
class Visitor:
    """Keeps cookies. `headers` are sent with every request."""

    url: str
    client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.AsyncClient(base_url=self.url, timeout=30)

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

    async def log_in(self, name: str, password: str, **more: str) -> httpx.Response:
        return await self.post("/login", {"name": name, "password": password} | more)

    async def use(self, link: str) -> httpx.Response:
        """Opens a login link."""
        token = link.partition("token=")[2]
        return await self.post("/login/link", {"token": token}, at=link)
