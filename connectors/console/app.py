"""The console as a FastAPI application: context, messages, media, proxy, schemas."""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol
from urllib.parse import unquote

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.background import BackgroundTask
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.console.changes import Changes
from connectors.console.context import context, defused_attributes
from connectors.console.files import answer_file, safe_headers
from connectors.console.links import Links
from connectors.console.marker import Marker
from connectors.console.problems import Problem, answer_problems
from connectors.console.reading import Reading
from connectors.console.registry import registry
from connectors.media.download import Downloaded, NotThere, Refused
from connectors.media.sniff import sniff
from schemas import metrics
from schemas.keys import TENANT_PATTERN, TenantId
from schemas.tenants import ApiKey, Tenant
from schemas.topics import Names
from storage.objects.store import ObjectStore

LONGEST_WAIT_SECONDS = 30.0
LONGEST_WINDOW_SECONDS = 7 * 86_400
CONTEXT_MESSAGES = 500
_FILE_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[a-z0-9]{1,8}")
_FOR_BROWSERS = re.compile(r"/media/|/admin/chat/media/proxy|/api/conversations/[^/]+/context$")


class Directory(Protocol):
    """Tenants and keys. `loaded` false: nothing is known yet, and nobody may be refused for it."""

    loaded: bool

    def key(self, plain: str) -> ApiKey | None: ...
    def tenant(self, tenant_id: TenantId) -> Tenant | None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the console stands on. `fetch` gets an original file the way its provider gives it, guarded as in the pipeline."""

    names: Names
    directory: Directory
    reading: Reading
    changes: Changes
    store: ObjectStore
    links: Links
    fetch: Callable[[TenantId, str, str], Awaitable[Downloaded]]
    allowed_origins: tuple[str, ...] = ()

    def marker(self, tenant_id: TenantId) -> Marker:
        tenant = self.directory.tenant(tenant_id)
        return Marker(tenant.settings.context_text if tenant is not None else None)

    def sign(self, path: str) -> str:
        return self.links.signed(path, time.time())


def create_console(parts: Parts) -> ASGIApp:
    """The application, its metrics and CORS around it."""
    app = FastAPI(title="Sensorium console", version="0.1.0", docs_url=None, redoc_url=None)
    answer_problems(app)
    app.include_router(registry(parts.names))
    _add_context(app, parts)
    _add_messages(app, parts)
    _add_media(app, parts)
    _add_operations(app, parts)
    return _Measured(_OpenToBrowsers(app, parts.allowed_origins))


def _caller(parts: Parts) -> Callable[[Request], Awaitable[ApiKey]]:
    async def caller(request: Request) -> ApiKey:
        """The key of this request. 503 while none are known, 401 for no or an unknown one, 403 for another scope."""
        if not parts.directory.loaded:
            raise Problem(503, "keys are not loaded yet", {"retry-after": "1"})
        scheme, _, plain = request.headers.get("authorization", "").partition(" ")
        key = parts.directory.key(plain.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise Problem(401, "send Authorization: Bearer <key>", {"www-authenticate": "Bearer"})
        if key.scope not in ("read", "admin"):
            raise Problem(403, "this key has not the scope read")
        return key

    return caller


def _add_context(app: FastAPI, parts: Parts) -> None:
    @app.get("/api/conversations/{conversation_id}/context", tags=["bots"], summary="What a bot needs before its turn")
    async def conversation_context(
        request: Request,
        conversation_id: str,
        key: Annotated[ApiKey, Depends(_caller(parts))],
        within_seconds: Annotated[float, Query(gt=0, le=LONGEST_WINDOW_SECONDS)] = 300,
        wait_seconds: Annotated[float, Query(ge=0, le=LONGEST_WAIT_SECONDS)] = 0,
        wait_for: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006  FastAPI copies it
    ) -> dict[str, Any]:
        deadline = time.monotonic() + wait_seconds
        tenant_id, marker = key.tenant_id, parts.marker(key.tenant_id)
        if "\0" in conversation_id or any("\0" in one for one in wait_for):
            raise Problem(422, "an id holds U+0000")

        async def look() -> dict[str, Any]:
            names = await parts.reading.conversation_ids(tenant_id, conversation_id)
            messages = await parts.reading.context_messages(tenant_id, names, within_seconds, CONTEXT_MESSAGES)
            there = await parts.reading.statuses(tenant_id, wait_for) if wait_for else {}
            missing = [one for one in wait_for if there.get(one, "pending") == "pending"]
            return context(conversation_id, messages, missing, marker, parts.sign)

        if not wait_seconds:
            return await look()
        names = await parts.reading.conversation_ids(tenant_id, conversation_id)
        began = time.monotonic()
        with parts.changes.waiter(tenant_id, names) as waiter:
            answer = await look()
            while answer["pending"] and not parts.changes.ended and (left := deadline - time.monotonic()) > 0:
                await waiter.wait(left)
                answer = await look()
        request.state.waited = time.monotonic() - began
        return answer


def _add_messages(app: FastAPI, parts: Parts) -> None:
    async def message(key: ApiKey, message_key: str) -> dict[str, Any]:
        found = await parts.reading.message(key.tenant_id, message_key) if "\0" not in message_key else None
        if found is None:
            raise Problem(404, "there is no such message")
        marker = parts.marker(key.tenant_id)
        content = found["content"]
        return found | {
            "content": marker.defused(content) if content else content,
            "content_attributes": defused_attributes(found["content_attributes"], marker, parts.sign),
        }

    async def timeline(key: ApiKey, message_key: str) -> dict[str, Any]:
        steps = await parts.reading.steps(key.tenant_id, message_key) if "\0" not in message_key else []
        if not steps:
            raise Problem(404, "there is no such message")
        return {"message_key": message_key, "steps": steps}

    # One handler for both: whether "/timeline" ends the key or names the route shows only in the path as it was sent.
    @app.get("/api/messages/{message_key:path}", tags=["bots"], summary="A message; with /timeline behind its key, every step it went through")
    async def message_or_timeline(request: Request, message_key: str, key: Annotated[ApiKey, Depends(_caller(parts))]) -> dict[str, Any]:
        raw = request.scope.get("raw_path", b"").decode("latin-1").removeprefix("/api/messages/")
        if raw.endswith("/timeline"):
            return await timeline(key, unquote(raw.removesuffix("/timeline")))
        return await message(key, unquote(raw) if raw else message_key)


def _add_media(app: FastAPI, parts: Parts) -> None:
    @app.api_route("/media/{tenant}/{name}", methods=["GET", "HEAD"], tags=["media"], summary="A stored file")
    async def media(request: Request, tenant: str, name: str) -> Response:
        link = request.query_params
        if "signature" in link:
            if not parts.links.holds(f"/media/{tenant}/{name}", link.get("expires", ""), link["signature"], time.time()):
                raise Problem(403, "this link is over or was not made for this file")
        else:
            key = await _caller(parts)(request)
            if key.tenant_id != tenant:
                raise Problem(404, "there is no such file")
        if not TENANT_PATTERN.fullmatch(tenant) or not _FILE_NAME.fullmatch(name):
            raise Problem(404, "there is no such file")
        stored = await parts.store.stat(f"{parts.names.object_prefix}media/{tenant}/{name}")
        if stored is None:
            raise Problem(404, "there is no such file")
        return await answer_file(parts.store, stored, request.headers, head=request.method == "HEAD")

    @app.get("/admin/chat/media/proxy", tags=["media"], summary="A file by the address its provider gave")
    async def proxy(request: Request, url: str, key: Annotated[ApiKey, Depends(_caller(parts))]) -> Response:
        if "\0" in url:
            raise Problem(404, "no attachment has this address")
        object_key = await parts.reading.stored_by_original(key.tenant_id, url)
        stored = await parts.store.stat(object_key) if object_key is not None else None
        if stored is not None:
            return await answer_file(parts.store, stored, request.headers, head=False)
        provider = await parts.reading.announced_by_original(key.tenant_id, url)
        if provider is None:
            raise Problem(404, "no attachment has this address")
        try:
            file = await parts.fetch(key.tenant_id, provider, url)
        except NotThere:
            raise Problem(404, "the provider has no such file") from None
        except Refused as refused:
            raise Problem(502, f"the file cannot be had: {refused.reason}") from None
        mime = sniff(file.head, file.content_type).mime
        return FileResponse(file.path, headers=safe_headers(mime), media_type=mime, background=BackgroundTask(file.discard))


def _add_operations(app: FastAPI, parts: Parts) -> None:
    @app.get("/livez", include_in_schema=False)
    async def livez() -> PlainTextResponse:
        return PlainTextResponse("alive\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> PlainTextResponse:
        ready = parts.directory.loaded and not parts.changes.ended
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)

    @app.get("/metrics", include_in_schema=False)
    async def measured() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


class _OpenToBrowsers:
    """CORS for media, proxy and context; every other route answers browsers of other origins as if there were none."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._open = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["GET", "HEAD"],
            allow_headers=["authorization", "range", "if-range", "if-none-match"],
            expose_headers=["etag", "content-range", "accept-ranges", "content-length"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        browsers = scope["type"] == "http" and _FOR_BROWSERS.match(scope["path"])
        await (self._open if browsers else self._app)(scope, receive, send)


class _Measured:
    """Counts requests by route and status; the time a caller asked to wait is not the console's."""

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
            metrics.CONSOLE_SECONDS.labels(route).observe(max(0.0, time.monotonic() - began - scope["state"].get("waited", 0.0)))
        return None
