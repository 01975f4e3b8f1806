"""The console as a FastAPI application: bot API, media, proxy, registry, operations, pages."""

import asyncio
import math
import re
import time
from typing import Annotated

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp

from connectors.console.authentication import SHOWS_KEY, authorized, caller_of
from connectors.console.bots import add_bots
from connectors.console.files import answer_downloaded, answer_stored
from connectors.console.middleware import Measured, OpenToBrowsers, WithoutBodies
from connectors.console.pages.repairs_api import add_repairs_api
from connectors.console.pages.routes import pages_router
from connectors.console.pages.visits import most_body_bytes, problem_page
from connectors.console.parts import Parts
from connectors.console.problems import ConsoleProblem, answer_problems
from connectors.console.registry import RegistryRefused, not_the_registry, registry
from connectors.console.response_models import FILE, describe_problems, problems
from connectors.console.tenant_queue import TenantQueue
from connectors.media.sniff import sniff
from schemas.fetching import FileGone, FileNotThere
from schemas.keys import TENANT_PATTERN, TenantId
from schemas.tenants import ApiKey
from schemas.versions import program_version

FETCHES_PER_TENANT = 4
FETCHES_IN_LINE = 32
ALL_FETCHES = 16
METRICS_SECONDS = 1.0
EVERYBODY = TenantId("")
_FILE_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[a-z0-9]{1,8}")


def create_console(parts: Parts) -> ASGIApp:
    """Builds the application and wraps it in the middleware for metrics, CORS and body limits."""
    app = FastAPI(
        title="Sensorium console",
        version=program_version(),
        docs_url=None,
        redoc_url=None,
        responses=problems(422),
    )
    described = app.openapi
    app.openapi = lambda: describe_problems(described())  # type: ignore[method-assign]  # as FastAPI says
    answer_problems(app, problem_page)
    app.include_router(registry(parts.names))
    add_bots(app, parts)
    _add_media(app, parts)
    _add_proxy(app, parts)
    _add_operations(app, parts)
    if parts.pages is not None:
        add_repairs_api(app, parts, parts.pages)
        app.include_router(pages_router(parts, parts.pages))
    app.include_router(not_the_registry())

    @app.exception_handler(RegistryRefused)
    async def refused(_: Request, error: RegistryRefused) -> Response:
        return error.answer()

    return Measured(
        OpenToBrowsers(WithoutBodies(app, most_body_bytes, problem_page), parts.allowed_origins)
    )


def _add_media(app: FastAPI, parts: Parts) -> None:
    @app.head("/media/{tenant}/{name}", include_in_schema=False)
    @app.get(
        "/media/{tenant}/{name}",
        tags=["media"],
        summary="A stored file, for a key or by a signed link",
        response_class=Response,
        responses={**FILE, **problems(401, 403, 404, 413, 416, 503)},
        dependencies=[SHOWS_KEY],
    )
    async def media(
        request: Request,
        tenant: Annotated[str, Path(description="The tenant, as in the `url` of the attachment.")],
        name: Annotated[str, Path(description="The file, as in the `url` of the attachment.")],
        expires: Annotated[
            str | None, Query(description="In a signed link: when the link expires, in Unix time.")
        ] = None,
        signature: Annotated[
            str | None, Query(description="In a signed link: the signature, instead of a key.")
        ] = None,
    ) -> Response:
        if expires is not None or signature is not None:
            if not parts.links.holds(
                f"/media/{tenant}/{name}", expires or "", signature or "", time.time()
            ):
                raise ConsoleProblem(403, "this link has expired, or it was made for another file")
        elif authorized(parts.directory, request).tenant_id != tenant:
            raise ConsoleProblem(404, "there is no such file")
        if not TENANT_PATTERN.fullmatch(tenant) or not _FILE_NAME.fullmatch(name):
            raise ConsoleProblem(404, "there is no such file")
        stored = await parts.store.stat(f"{parts.names.object_prefix}media/{tenant}/{name}")
        if stored is None:
            raise ConsoleProblem(404, "there is no such file")
        return answer_stored(parts.store, stored, request.headers, head=request.method == "HEAD")


def _add_proxy(app: FastAPI, parts: Parts) -> None:
    fetches = TenantQueue(FETCHES_PER_TENANT, FETCHES_IN_LINE)
    all_fetches = TenantQueue(ALL_FETCHES, 16 * FETCHES_IN_LINE)

    @app.get(
        "/admin/chat/media/proxy",
        tags=["media"],
        summary="A file by the address its provider gave",
        response_class=Response,
        responses={**FILE, **problems(401, 403, 404, 413, 416, 429, 502, 503)},
    )
    async def proxy(
        request: Request,
        url: Annotated[str, Query(description="`original_url` of an attachment of the tenant.")],
        key: Annotated[ApiKey, Depends(caller_of(parts.directory))],
    ) -> Response:
        if "\0" in url:
            raise ConsoleProblem(404, "no attachment has this address")
        object_key = await parts.reading.stored_by_original(key.tenant_id, url)
        stored = await parts.store.stat(object_key) if object_key is not None else None
        if stored is not None:
            return answer_stored(parts.store, stored, request.headers, head=False)
        announced = await parts.reading.announced_by_original(key.tenant_id, url)
        if announced is None:
            raise ConsoleProblem(404, "no attachment has this address")
        try:
            async with fetches.turn(key.tenant_id), all_fetches.turn(EVERYBODY):
                file = await parts.fetch(key.tenant_id, announced, url)
        except FileNotThere:
            raise ConsoleProblem(404, "the provider has no such file") from None
        except FileGone as refused:
            raise ConsoleProblem(
                502, f"the file could not be fetched from the provider: {refused.reason}"
            ) from None
        return answer_downloaded(file, sniff(file.head, file.content_type).mime, request.headers)


def _add_operations(app: FastAPI, parts: Parts) -> None:
    text = _MetricsText()

    @app.get("/livez", include_in_schema=False)
    async def livez() -> PlainTextResponse:
        return PlainTextResponse("alive\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> PlainTextResponse:
        changes = parts.changes
        ready = parts.directory.healthy and changes.is_reachable and not changes.ended
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)

    @app.get("/metrics", include_in_schema=False)
    async def measured() -> Response:
        return Response(await text.latest(), media_type=CONTENT_TYPE_LATEST)


class _MetricsText:
    """The metrics as text.

    They are rendered in a thread, at most once per second, because `/metrics` needs no
    key.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._text = b""
        self._made_at = -math.inf

    async def latest(self) -> bytes:
        async with self._lock:
            if time.monotonic() - self._made_at >= METRICS_SECONDS:
                self._text = await asyncio.to_thread(generate_latest)
                self._made_at = time.monotonic()
            return self._text
