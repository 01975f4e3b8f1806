"""ASGI middleware: CORS for the routes that browsers may call, body limits, and metrics."""

import re
import time
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.console.problems import problem_response
from schemas import metrics

_FOR_BROWSERS = re.compile(r"/media/|/admin/chat/media/proxy$|/api/conversations/.+/context$")


class _Cors(CORSMiddleware):
    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code == 200:
            return answer
        return problem_response(answer.status_code, bytes(answer.body).decode(), {"vary": "Origin"})


class OpenToBrowsers:
    """Allows CORS for media, proxy and context.

    Every other route answers cross-origin requests without CORS headers.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._open = _Cors(
            app,
            allow_origins=origins,
            allow_methods=["GET", "HEAD"],
            allow_headers=["authorization", "range", "if-range", "if-none-match"],
            expose_headers=["etag", "content-range", "accept-ranges", "content-length"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        browsers = scope["type"] == "http" and _FOR_BROWSERS.match(scope["path"])
        await (self._open if browsers else self._app)(scope, receive, send)


Page = Callable[[Request, int], Response | None]
"""Makes the page about an error with this status, if the client is a browser."""


class WithoutBodies:
    """Refuses requests that announce a large body, or one without a length.

    No route of the API reads a body. Small ones are tolerated, because some clients
    send `{}` with every request. `most_bytes` returns the bound of a path.
    """

    def __init__(self, app: ASGIApp, most_bytes: Callable[[str], int], page: Page) -> None:
        self._app, self._most_bytes, self._page = app, most_bytes, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            length = headers.get("content-length", "0")
            most = self._most_bytes(scope["path"])
            if "transfer-encoding" in headers or len(length) > 9 or int(length) > most:
                refused = self._page(Request(scope), 413) or problem_response(
                    413, "this server accepts no request body"
                )
                refused.headers["connection"] = "close"
                return await refused(scope, receive, send)
        return await self._app(scope, receive, send)


class Measured:
    """Counts and times requests by route and status.

    The time that a caller asked to wait is subtracted.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began, status = time.monotonic(), 500
        scope.setdefault("state", {})

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            metrics.CONSOLE_REQUESTS.labels(route, status).inc()
            metrics.CONSOLE_SECONDS.labels(route).observe(
                max(0.0, time.monotonic() - began - scope["state"].get("waited", 0.0))
            )
        return None
