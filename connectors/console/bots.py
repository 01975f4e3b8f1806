"""The routes for bots: the context of a conversation, a message, its timeline."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import Response

from connectors.console import answers
from connectors.console.answers import problems
from connectors.console.caller import caller_of
from connectors.console.context import encoded, shown_message
from connectors.console.contexts import Contexts, Look
from connectors.console.parts import Parts
from connectors.console.problems import Problem
from schemas.tenants import ApiKey

LONGEST_WAIT_SECONDS = 30.0
LONGEST_WINDOW_SECONDS = 7 * 86_400
CLIENT_CLOSED_REQUEST = 499
"""The status under which a request is counted whose client left before the answer."""


def add_bots(app: FastAPI, parts: Parts) -> None:
    """Adds the routes to the application."""
    contexts = Contexts(parts.reading, parts.bounds)
    _add_context(app, parts, contexts)
    _add_messages(app, parts, contexts)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _add_context(app: FastAPI, parts: Parts, contexts: Contexts) -> None:
    @app.get(
        "/api/conversations/{conversation_id:path}/context",
        tags=["bots"],
        summary="What a bot needs before its turn",
        responses={200: {"model": answers.Context}, **problems(401, 403, 413, 429, 503)},
    )
    async def conversation_context(
        request: Request,
        conversation_id: str,
        key: Annotated[ApiKey, Depends(caller_of(parts.directory))],
        within_seconds: Annotated[float, Query(gt=0, le=LONGEST_WINDOW_SECONDS)] = 300,
        wait_seconds: Annotated[float, Query(ge=0, le=LONGEST_WAIT_SECONDS)] = 0,
        wait_for: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006  FastAPI copies it
    ) -> Response:
        tenant_id = key.tenant_id
        if not conversation_id:
            raise Problem(404, "there is no such resource")
        if "\0" in conversation_id or any("\0" in one for one in wait_for):
            raise Problem(422, "an id holds U+0000")

        async def look() -> Look:
            return await contexts.look(tenant_id, conversation_id, within_seconds, wait_for)

        found: Look | None = await look()
        if wait_seconds and found is not None and found.pending:
            names = await parts.reading.conversation_ids(tenant_id, conversation_id)
            waiting = _Waiting(request, parts, key, names, bool(wait_for))
            found = await waiting.until_finished(look, wait_seconds)
        if found is None:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        marker, language = parts.marker(tenant_id), parts.language(tenant_id)
        return _json(
            await contexts.answer(tenant_id, conversation_id, found, marker, language, parts.sign)
        )


class _Waiting:
    """A request that waits until nothing of its conversation is pending."""

    def __init__(
        self, request: Request, parts: Parts, key: ApiKey, names: Sequence[str], anywhere: bool
    ) -> None:
        self._request = request
        self._changes = parts.changes
        self._tenant_id = key.tenant_id
        self._names = names
        self._anywhere = anywhere

    async def until_finished(self, look: Any, seconds: float) -> Look | None:
        """The last look: with nothing pending, or what there is when the time or the role ends.

        None when the client left. Raises Unavailable and Busy where too many wait.
        """
        began = time.monotonic()
        with self._changes.waiter(self._tenant_id, self._names, anywhere=self._anywhere) as waiter:
            gone = asyncio.create_task(self._client_leaves())
            gone.add_done_callback(lambda _: waiter.wake())
            try:
                found: Look = await look()
                while found.pending and not self._changes.ended and not gone.done():
                    left = began + seconds - time.monotonic()
                    if left <= 0:
                        break
                    await waiter.wait(left)
                    if not gone.done():
                        found = await look()
                return None if gone.done() else found
            finally:
                gone.cancel()
                self._request.state.waited = time.monotonic() - began

    async def _client_leaves(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


def _add_messages(app: FastAPI, parts: Parts, contexts: Contexts) -> None:
    async def message(key: ApiKey, message_key: str) -> Response:
        found = (
            await parts.reading.message(key.tenant_id, message_key)
            if "\0" not in message_key
            else None
        )
        if found is None:
            raise Problem(404, "there is no such message")
        marker = parts.marker(key.tenant_id)
        return _json(
            await contexts.in_thread(
                key.tenant_id, lambda: encoded(shown_message(found, marker, parts.sign))
            )
        )

    async def timeline(key: ApiKey, message_key: str) -> Response:
        steps = (
            await parts.reading.steps(key.tenant_id, message_key) if "\0" not in message_key else []
        )
        if not steps:
            raise Problem(404, "there is no such message")
        document = {
            "message_key": message_key,
            "steps": [step | {"at": step["at"].isoformat()} for step in steps],
        }
        return _json(encoded(parts.marker(key.tenant_id).answer(document)))

    async def message_or_timeline(request: Request, key: ApiKey) -> Response:
        """Whether "/timeline" ends the key or names the route shows only in the path as it was
        sent.
        """
        raw = request.scope["raw_path"].decode("latin-1").removeprefix("/api/messages/")
        if raw.endswith("/timeline"):
            return await timeline(key, unquote(raw.removesuffix("/timeline")))
        return await message(key, unquote(raw))

    Caller = Annotated[ApiKey, Depends(caller_of(parts.directory))]

    @app.get(
        "/api/messages/{message_key:path}/timeline",
        tags=["bots"],
        summary="Every step a message went through",
        responses={200: {"model": answers.Timeline}, **problems(401, 403, 404, 413, 429, 503)},
    )
    async def one_timeline(request: Request, message_key: str, key: Caller) -> Response:
        return await message_or_timeline(request, key)

    @app.get(
        "/api/messages/{message_key:path}",
        tags=["bots"],
        summary="A message; its key is percent-encoded as one segment",
        responses={200: {"model": answers.Message}, **problems(401, 403, 404, 413, 429, 503)},
    )
    async def one_message(request: Request, message_key: str, key: Caller) -> Response:
        return await message_or_timeline(request, key)
