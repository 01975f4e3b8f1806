"""The routes for bots: feed, conversations, context, one message and its timeline."""

from datetime import datetime
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.responses import Response

from connectors.console import response_models
from connectors.console.authentication import authorized, caller_of
from connectors.console.change_positions import NoCursor, before_of, moment_of
from connectors.console.context import encoded, shown_message
from connectors.console.contexts import ContextQuery, Contexts, ContextSnapshot, Form
from connectors.console.feed import FeedReader, Filter, Page, feed_answer
from connectors.console.parameters import (
    DEFAULT_PAGE,
    DEFAULT_WINDOW_SECONDS,
    After,
    Before,
    FeedWait,
    InOrder,
    Limit,
    NewerThan,
    PageLimit,
    QuietSeconds,
    WaitFor,
    WaitSeconds,
    WithinSeconds,
    checked_keys,
    problem_of_cursor,
)
from connectors.console.parts import Parts
from connectors.console.problems import ConsoleProblem
from connectors.console.queries import ANY_AGE_SECONDS, Window
from connectors.console.response_models import problems
from connectors.console.waits import until_found
from schemas.keys import TenantId
from schemas.tenants import ApiKey
from storage.waiting import Deadline

CLIENT_CLOSED_REQUEST = 499
"""The status that metrics show for a request whose client disconnected before the answer."""
ConversationId = Annotated[
    str,
    Path(
        description="The conversation. YCloud: `<business number>~<customer number>`, digits only;"
        " Chatwoot: `<account id>~<conversation id>`; POST /chat: the `conversation_id` that was"
        " sent. Every other name of the conversation (a customer's user id, another form of the"
        " number) leads to it too. GET /api/conversations lists them."
    ),
]
MessageKeyPath = Annotated[
    str,
    Path(
        description="The key of a message, `tenant:provider:provider_message_id`, percent-encoded"
        " as one segment. YCloud: `acme:ycloud:<wamid>`; Chatwoot:"
        " `acme:chatwoot:<account id>/<message id>`."
    ),
]


def add_bots(app: FastAPI, parts: Parts) -> None:
    """Adds the routes to the application."""
    contexts = Contexts(parts.reading, parts.bounds)
    _add_feed(app, parts, contexts)
    _add_conversations(app, parts)
    _add_context(app, parts, contexts)
    _add_messages(app, parts, contexts)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _without_nul(*texts: str) -> None:
    if any("\0" in one for one in texts):
        raise ConsoleProblem(422, "an id contains U+0000")


def form_of(parts: Parts, tenant_id: TenantId) -> Form:
    return Form(parts.marker(tenant_id), parts.language(tenant_id), parts.sign)


def _add_feed(app: FastAPI, parts: Parts, contexts: Contexts) -> None:
    @app.get(
        "/api/messages",
        tags=["bots"],
        summary="New and changed messages of the tenant, in an order that skips nothing",
        description=response_models.FEED,
        responses={200: {"model": response_models.Feed}, **problems(401, 403, 410, 413, 429, 503)},
    )
    async def messages(
        request: Request,
        key: Annotated[ApiKey, Depends(caller_of(parts.directory))],
        after: After = None,
        wait_seconds: FeedWait = 0,
        limit: PageLimit = DEFAULT_PAGE,
        conversation: Annotated[
            str | None,
            Query(max_length=500, description="Only messages of this conversation, by any id."),
        ] = None,
        status: Annotated[
            list[response_models.ShownStatus],
            Query(
                max_length=3,
                description="Only messages whose current status is this (repeat it for several).",
            ),
        ] = [],  # noqa: B006  FastAPI copies it
    ) -> Response:
        tenant_id = key.tenant_id
        _without_nul(conversation or "")
        feed = FeedReader(parts.reading, tenant_id, Filter(conversation, frozenset(status)), limit)
        await feed.begin(after)
        page: Page | None = await feed.look()
        if wait_seconds and page is not None and page.waits:
            waiter = parts.changes.waiter(tenant_id, None)
            page = await until_found(request, parts.changes, waiter, feed.look, wait_seconds)
            authorized(parts.directory, request)  # the key may have been revoked meanwhile
        if page is None:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        form = form_of(parts, tenant_id)
        return _json(await feed_answer(parts.reading, contexts, tenant_id, page, form))


def _add_conversations(app: FastAPI, parts: Parts) -> None:
    @app.get(
        "/api/conversations",
        tags=["bots"],
        summary="The conversations of the tenant, by their ids",
        responses={
            200: {"model": response_models.Conversations},
            **problems(401, 403, 413, 429, 503),
        },
    )
    async def conversations(
        key: Annotated[ApiKey, Depends(caller_of(parts.directory))],
        after: Annotated[
            str | None,
            Query(
                max_length=500, description="`next` of an earlier answer. Default: from the first."
            ),
        ] = None,
        limit: PageLimit = DEFAULT_PAGE,
    ) -> Response:
        _without_nul(after or "")
        found = await parts.reading.conversations(key.tenant_id, after or "", limit)
        shown = [
            {
                name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in one.items()
            }
            for one in found
        ]
        document = {
            "conversations": shown,
            "next": shown[-1]["conversation_id"] if len(shown) == limit else None,
        }
        return _json(encoded(parts.marker(key.tenant_id).answer(document)))


def _add_context(app: FastAPI, parts: Parts, contexts: Contexts) -> None:
    @app.get(
        "/api/conversations/{conversation_id:path}/context",
        tags=["bots"],
        summary="What a bot needs before its turn",
        description=response_models.CONTEXT,
        responses={200: {"model": response_models.Context}, **problems(401, 403, 413, 429, 503)},
    )
    async def conversation_context(
        request: Request,
        conversation_id: ConversationId,
        key: Annotated[ApiKey, Depends(caller_of(parts.directory))],
        within_seconds: WithinSeconds = None,
        limit: Limit = None,
        before: Before = None,
        wait_seconds: WaitSeconds = 0,
        wait_for: WaitFor = [],  # noqa: B006  FastAPI copies it
        newer_than: NewerThan = None,
        quiet_seconds: QuietSeconds = 0,
        in_order: InOrder = None,
    ) -> Response:
        tenant_id = key.tenant_id
        if not conversation_id:
            raise ConsoleProblem(404, "there is no such resource")
        _without_nul(conversation_id)
        window = _window(tenant_id, within_seconds, limit, before, newer_than)
        query = ContextQuery(window, checked_keys(tenant_id, wait_for), quiet_seconds)

        async def look() -> ContextSnapshot:
            return await contexts.look(tenant_id, conversation_id, query)

        deadline = Deadline(wait_seconds)
        found: ContextSnapshot | None = await look()
        if wait_seconds and found is not None and found.waits:
            names = await parts.reading.conversation_ids(tenant_id, conversation_id)
            waiter = parts.changes.waiter(tenant_id, names, anywhere=bool(wait_for))
            found = await until_found(request, parts.changes, waiter, look, deadline.left)
            authorized(parts.directory, request)  # the key may have been revoked meanwhile
        if found is None:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        more = {}
        if in_order is None:
            in_order = bool(wait_for and wait_seconds and parts.accepted) and not found.waits
        if in_order:  # after the wait: what was accepted before the shown messages is covered too
            known = parts.accepted is not None and await parts.accepted.is_stored(
                tenant_id, deadline
            )
            more, found = {"in_order": known}, await look()
        form = form_of(parts, tenant_id)
        return _json(await contexts.answer(tenant_id, conversation_id, found, form, more))


def _window(
    tenant_id: TenantId,
    within_seconds: float | None,
    limit: int | None,
    before: str | None,
    newer_than: str | None,
) -> Window:
    """Builds the window of a context request. Raises ConsoleProblem 422 for an invalid cursor."""
    if within_seconds is None:
        is_bounded = limit is None and before is None
        within_seconds = DEFAULT_WINDOW_SECONDS if is_bounded else ANY_AGE_SECONDS
    try:
        place = before_of(tenant_id, before) if before is not None else None
    except NoCursor:
        raise problem_of_cursor("before", "`earlier` of another answer") from None
    try:
        since = moment_of(tenant_id, newer_than) if newer_than is not None else None
    except NoCursor:
        raise problem_of_cursor("newer_than", "`as_of` of an earlier answer") from None
    return Window(within_seconds, limit, place, since)


def _add_messages(app: FastAPI, parts: Parts, contexts: Contexts) -> None:
    Caller = Annotated[ApiKey, Depends(caller_of(parts.directory))]

    @app.get(
        "/api/messages/{message_key:path}/timeline",
        tags=["bots"],
        summary="Every step a message went through",
        responses={
            200: {"model": response_models.Timeline},
            **problems(401, 403, 404, 413, 429, 503),
        },
    )
    async def one_timeline(request: Request, message_key: MessageKeyPath, key: Caller) -> Response:
        return await _message_or_timeline(parts, contexts, request, key)

    @app.get(
        "/api/messages/{message_key:path}",
        tags=["bots"],
        summary="A message; its key is percent-encoded as one segment",
        responses={
            200: {"model": response_models.Message},
            **problems(401, 403, 404, 413, 429, 503),
        },
    )
    async def one_message(request: Request, message_key: MessageKeyPath, key: Caller) -> Response:
        return await _message_or_timeline(parts, contexts, request, key)


async def _message(parts: Parts, contexts: Contexts, key: ApiKey, message_key: str) -> Response:
    found = (
        await parts.reading.message(key.tenant_id, message_key) if "\0" not in message_key else None
    )
    if found is None:
        raise ConsoleProblem(404, "there is no such message")
    marker = parts.marker(key.tenant_id)
    return _json(
        await contexts.in_thread(
            key.tenant_id, lambda: encoded(shown_message(found, marker, parts.sign))
        )
    )


async def _timeline(parts: Parts, key: ApiKey, message_key: str) -> Response:
    steps = await parts.reading.steps(key.tenant_id, message_key) if "\0" not in message_key else []
    if not steps:
        raise ConsoleProblem(404, "there is no such message")
    document = {
        "message_key": message_key,
        "steps": [step | {"at": step["at"].isoformat()} for step in steps],
    }
    return _json(encoded(parts.marker(key.tenant_id).answer(document)))


async def _message_or_timeline(
    parts: Parts, contexts: Contexts, request: Request, key: ApiKey
) -> Response:
    """Decides by the raw path whether "/timeline" is the route or part of the message key.

    After decoding, the two can no longer be distinguished.
    """
    raw = request.scope["raw_path"].decode("latin-1").removeprefix("/api/messages/")
    if raw.endswith("/timeline"):
        return await _timeline(parts, key, unquote(raw.removesuffix("/timeline")))
    return await _message(parts, contexts, key, unquote(raw))
