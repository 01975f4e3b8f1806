"""The console as a FastAPI application: context, messages, media, proxy, schemas."""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp

from connectors.console import answers
from connectors.console.answers import FILE, problems
from connectors.console.around import Measured, OpenToBrowsers
from connectors.console.caller import SHOWS_KEY, Directory, authorized, caller_of
from connectors.console.changes import Changes
from connectors.console.context import context, defused_attributes
from connectors.console.files import answer_downloaded, answer_stored
from connectors.console.links import Links
from connectors.console.marker import Marker
from connectors.console.problems import Problem, answer_problems
from connectors.console.reading import Announced, Reading
from connectors.console.registry import registry
from connectors.media.download import Downloaded, NotThere, Refused
from connectors.media.sniff import sniff
from schemas.keys import TENANT_PATTERN, TenantId
from schemas.tenants import ApiKey
from schemas.topics import Names
from storage.objects.store import ObjectStore

LONGEST_WAIT_SECONDS = 30.0
LONGEST_WINDOW_SECONDS = 7 * 86_400
CONTEXT_MESSAGES = 500
_FILE_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[a-z0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the console stands on. `fetch` gets an original file the way its provider gives it, guarded as in the pipeline."""

    names: Names
    directory: Directory
    reading: Reading
    changes: Changes
    store: ObjectStore
    links: Links
    fetch: Callable[[TenantId, Announced, str], Awaitable[Downloaded]]
    allowed_origins: tuple[str, ...] = ()

    def marker(self, tenant_id: TenantId) -> Marker:
        tenant = self.directory.tenant(tenant_id)
        return Marker(tenant.settings.context_text if tenant is not None else None)

    def sign(self, path: str) -> str:
        return self.links.signed(path, time.time())


def create_console(parts: Parts) -> ASGIApp:
    """The application, its metrics and CORS around it."""
    app = FastAPI(
        title="Sensorium console",
        version="0.1.0",
        docs_url=None,
        redoc_url=None,
        responses=problems(422),
    )
    answer_problems(app)
    app.include_router(registry(parts.names))
    _add_context(app, parts)
    _add_messages(app, parts)
    _add_media(app, parts)
    _add_operations(app, parts)
    return Measured(OpenToBrowsers(app, parts.allowed_origins))


def _add_context(app: FastAPI, parts: Parts) -> None:
    @app.get(
        "/api/conversations/{conversation_id:path}/context",
        tags=["bots"],
        summary="What a bot needs before its turn",
        responses={200: {"model": answers.Context}, **problems(401, 403, 503)},
    )
    async def conversation_context(
        request: Request,
        conversation_id: str,
        key: Annotated[ApiKey, Depends(caller_of(parts.directory))],
        within_seconds: Annotated[float, Query(gt=0, le=LONGEST_WINDOW_SECONDS)] = 300,
        wait_seconds: Annotated[float, Query(ge=0, le=LONGEST_WAIT_SECONDS)] = 0,
        wait_for: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006  FastAPI copies it
    ) -> dict[str, Any]:
        deadline = time.monotonic() + wait_seconds
        tenant_id, marker = key.tenant_id, parts.marker(key.tenant_id)
        if not conversation_id:
            raise Problem(404, "there is no such resource")
        if "\0" in conversation_id or any("\0" in one for one in wait_for):
            raise Problem(422, "an id holds U+0000")

        async def look() -> dict[str, Any]:
            names = await parts.reading.conversation_ids(tenant_id, conversation_id)
            messages = await parts.reading.context_messages(
                tenant_id, names, within_seconds, CONTEXT_MESSAGES
            )
            there = await parts.reading.statuses(tenant_id, wait_for) if wait_for else {}
            missing = [one for one in wait_for if there.get(one, "pending") == "pending"]
            return context(conversation_id, messages, missing, marker, parts.sign)

        if not wait_seconds:
            return await look()
        names = await parts.reading.conversation_ids(tenant_id, conversation_id)
        began = time.monotonic()
        with parts.changes.waiter(tenant_id, names) as waiter:
            answer = await look()
            while (
                answer["pending"]
                and not parts.changes.ended
                and (left := deadline - time.monotonic()) > 0
            ):
                await waiter.wait(left)
                answer = await look()
        request.state.waited = time.monotonic() - began
        return answer


def _add_messages(app: FastAPI, parts: Parts) -> None:
    async def message(key: ApiKey, message_key: str) -> dict[str, Any]:
        found = (
            await parts.reading.message(key.tenant_id, message_key)
            if "\0" not in message_key
            else None
        )
        if found is None:
            raise Problem(404, "there is no such message")
        marker = parts.marker(key.tenant_id)
        content = found["content"]
        return found | {
            "content": marker.defused(content) if content else content,
            "content_attributes": defused_attributes(
                found["content_attributes"], marker, parts.sign
            ),
        }

    async def timeline(key: ApiKey, message_key: str) -> dict[str, Any]:
        steps = (
            await parts.reading.steps(key.tenant_id, message_key) if "\0" not in message_key else []
        )
        if not steps:
            raise Problem(404, "there is no such message")
        return {"message_key": message_key, "steps": steps}

    async def message_or_timeline(request: Request, key: ApiKey) -> dict[str, Any]:
        """Whether "/timeline" ends the key or names the route shows only in the path as it was sent."""
        raw = request.scope["raw_path"].decode("latin-1").removeprefix("/api/messages/")
        if raw.endswith("/timeline"):
            return await timeline(key, unquote(raw.removesuffix("/timeline")))
        return await message(key, unquote(raw))

    Caller = Annotated[ApiKey, Depends(caller_of(parts.directory))]

    @app.get(
        "/api/messages/{message_key:path}/timeline",
        tags=["bots"],
        summary="Every step a message went through",
        responses={200: {"model": answers.Timeline}, **problems(401, 403, 404, 503)},
    )
    async def one_timeline(request: Request, message_key: str, key: Caller) -> dict[str, Any]:
        return await message_or_timeline(request, key)

    @app.get(
        "/api/messages/{message_key:path}",
        tags=["bots"],
        summary="A message; its key is percent-encoded as one segment",
        responses={200: {"model": answers.Message}, **problems(401, 403, 404, 503)},
    )
    async def one_message(request: Request, message_key: str, key: Caller) -> dict[str, Any]:
        return await message_or_timeline(request, key)


def _add_media(app: FastAPI, parts: Parts) -> None:
    @app.head("/media/{tenant}/{name}", include_in_schema=False)
    @app.get(
        "/media/{tenant}/{name}",
        tags=["media"],
        summary="A stored file, for a key or by a signed link",
        response_class=Response,
        responses={**FILE, **problems(401, 403, 404, 416, 503)},
        dependencies=[SHOWS_KEY],
    )
    async def media(
        request: Request,
        tenant: str,
        name: str,
        expires: str | None = None,
        signature: str | None = None,
    ) -> Response:
        if expires is not None or signature is not None:
            if not parts.links.holds(
                f"/media/{tenant}/{name}", expires or "", signature or "", time.time()
            ):
                raise Problem(403, "this link is over or was not made for this file")
        elif authorized(parts.directory, request).tenant_id != tenant:
            raise Problem(404, "there is no such file")
        if not TENANT_PATTERN.fullmatch(tenant) or not _FILE_NAME.fullmatch(name):
            raise Problem(404, "there is no such file")
        stored = await parts.store.stat(f"{parts.names.object_prefix}media/{tenant}/{name}")
        if stored is None:
            raise Problem(404, "there is no such file")
        return answer_stored(parts.store, stored, request.headers, head=request.method == "HEAD")

    @app.get(
        "/admin/chat/media/proxy",
        tags=["media"],
        summary="A file by the address its provider gave",
        response_class=Response,
        responses={**FILE, **problems(401, 403, 404, 416, 502, 503)},
    )
    async def proxy(
        request: Request, url: str, key: Annotated[ApiKey, Depends(caller_of(parts.directory))]
    ) -> Response:
        if "\0" in url:
            raise Problem(404, "no attachment has this address")
        object_key = await parts.reading.stored_by_original(key.tenant_id, url)
        stored = await parts.store.stat(object_key) if object_key is not None else None
        if stored is not None:
            return answer_stored(parts.store, stored, request.headers, head=False)
        announced = await parts.reading.announced_by_original(key.tenant_id, url)
        if announced is None:
            raise Problem(404, "no attachment has this address")
        try:
            file = await parts.fetch(key.tenant_id, announced, url)
        except NotThere:
            raise Problem(404, "the provider has no such file") from None
        except Refused as refused:
            raise Problem(502, f"the file cannot be had: {refused.reason}") from None
        return answer_downloaded(file, sniff(file.head, file.content_type).mime, request.headers)


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
