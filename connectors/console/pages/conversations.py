"""Routes of conversations: the live list, one chat, its context for bots, and unmasking."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sse_starlette import EventSourceResponse

from connectors.console.contexts import ContextQuery, Contexts, Form
from connectors.console.pages.bubbles import Bubble, chat
from connectors.console.pages.parts import PageParts
from connectors.console.pages.previews import preview
from connectors.console.pages.reading import NOW, PageReading, cursor, place_of
from connectors.console.pages.rendering import render
from connectors.console.pages.searching import Filters, PageCursor
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from connectors.console.pages.words import Words
from connectors.console.parameters import DEFAULT_WINDOW_SECONDS
from connectors.console.parts import Parts
from connectors.console.queries import Window
from connectors.console.tenant_queue import Busy, StreamTurns
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from storage.postgres.people import Session
from storage.waiting import Deadline

STREAM_SECONDS = 300.0
"""An event stream ends after this time. The browser reopens it, and rights are checked again."""
BUSY_SECONDS = 15
"""How long a browser waits before it reopens a stream that was refused for lack of room."""
LOOK_SECONDS = 20.0
WINDOW_SECONDS = 7 * 86_400.0
SHORTEST_WHY = 3
LONGEST_WHY = 300


@dataclass(frozen=True, slots=True)
class Head:
    """A conversation in the list, without names and texts if it is masked."""

    ref: str
    name: str
    initial: str
    hue: int
    provider: str
    kind: str
    by: str
    text: str
    at: Any
    pending: bool
    degraded: bool


@dataclass(frozen=True, slots=True)
class Desk:
    """The dependencies that the routes of conversations share."""

    parts: Parts
    pages: PageParts
    reading: PageReading
    streams: StreamTurns


def desk_of(parts: Parts, pages: PageParts) -> Desk:
    """Creates the one instance for all routes, because streams are counted over all of them."""
    return Desk(parts, pages, pages.reading, StreamTurns())


def add_conversations(router: APIRouter, desk: Desk) -> None:
    """Adds the routes."""
    _add_list(router, desk)
    _add_chat(router, desk)
    _add_context(router, desk)
    _add_unmasking(router, desk)


def _add_list(router: APIRouter, desk: Desk) -> None:
    @router.get("/t/{tenant}/conversations", name="conversations")
    async def conversations(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        before = place_of(request.query_params.get("before"), desk.pages.refs, tenant_id)
        values = await list_values(desk, visit, tenant_id, before)
        return visit.page("conversations.html", tenant=tenant_id, section="conversations", **values)

    @router.get("/t/{tenant}/conversations/live")
    async def live(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")

        async def fragment() -> str:
            values = await list_values(desk, visit, tenant_id)
            return render("_list.html", visit=visit, t=visit.words, tenant=tenant_id, **values)

        return stream(desk, visit, tenant_id, (), fragment)


def filters_of(visit: Visit, tenant_id: TenantId) -> Filters:
    """The filters of the list, which the page of a conversation keeps."""
    query = visit.request.query_params
    state = query.get("state", "")
    return Filters(
        query.get("provider", "")[:40],
        state if state in ("pending", "degraded") else "",
        # a search could reveal masked words
        query.get("q", "")[:200] if visit.person.may(tenant_id, "reader") else "",
    )


async def list_values(
    desk: Desk, visit: Visit, tenant_id: TenantId, before: PageCursor = NOW
) -> dict[str, Any]:
    """Returns the template values of the list: conversations before a place, or the newest."""
    query = visit.request.query_params
    sees = visit.person.may(tenant_id, "reader")
    filters = filters_of(visit, tenant_id)
    found = await desk.reading.conversations(tenant_id, filters, before)
    older = cursor(found.older, desk.pages.refs, tenant_id) if found.older is not None else ""
    return {
        "heads": [
            _head(row, desk, tenant_id, visit.words, is_masked=not sees) for row in found.rows
        ],
        "filters": filters,
        "older": older,
        "is_first": before is NOW,
        "providers": await desk.reading.providers(tenant_id),
        "chosen": query.get("chosen", ""),
        "sees": sees,
    }


def _head(row: Any, desk: Desk, tenant_id: TenantId, words: Words, *, is_masked: bool) -> Head:
    ref = desk.pages.refs.of(tenant_id, "c", row["conversation_id"])
    name = "" if is_masked else row["sender_name"] or customer_of(row["conversation_id"])
    return Head(
        ref,
        name,
        (name.strip() or "·")[0].upper(),
        hue_of(ref),
        row["provider"],
        row["kind"],
        row["role"],
        preview(row, words, is_masked=is_masked),
        row["received_at"],
        row["pending"],
        row["degraded"],
    )


def hue_of(ref: str) -> int:
    """Returns the constant colour of a conversation; the style sheet has eight."""
    return sum(ref.encode()) % 8


def customer_of(conversation_id: str) -> str:
    """Returns the customer's part of a conversation id, for customers without a known name."""
    return conversation_id.rpartition("~")[2]


def _add_chat(router: APIRouter, desk: Desk) -> None:
    @router.get("/t/{tenant}/c/{ref}", name="conversation")
    async def conversation(request: Request, tenant: str, ref: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        conversation_id = opened(desk.pages, tenant_id, "c", ref)
        values = await chat_values(desk, visit, tenant_id, conversation_id)
        heads = await list_values(desk, visit, tenant_id)
        return visit.page(
            "conversation.html",
            tenant=tenant_id,
            section="conversations",
            ref=ref,
            hue=hue_of(ref),
            **heads | values | {"chosen": ref},
        )

    @router.get("/t/{tenant}/c/{ref}/live")
    async def live(request: Request, tenant: str, ref: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        conversation_id = opened(desk.pages, tenant_id, "c", ref)
        names = await desk.parts.reading.conversation_ids(tenant_id, conversation_id)

        async def fragment() -> str:
            values = await chat_values(desk, visit, tenant_id, conversation_id)
            return render(
                "_chat.html", visit=visit, t=visit.words, tenant=tenant_id, ref=ref, **values
            )

        return stream(desk, visit, tenant_id, names, fragment)


async def chat_values(
    desk: Desk, visit: Visit, tenant_id: TenantId, conversation_id: str
) -> dict[str, Any]:
    """Returns the template values of a conversation, from the place in the address.

    Raises PageProblem 404 if there are no messages.
    """
    sees = await may_see(desk.pages, visit, tenant_id, conversation_id)
    refs = desk.pages.refs
    before = place_of(visit.request.query_params.get("before"), refs, tenant_id)
    names = await desk.parts.reading.conversation_ids(tenant_id, conversation_id)
    found = await desk.reading.chat(tenant_id, names, before)
    if not found.rows:
        raise PageProblem(404, "problem.no_messages" if before is NOW else "problem.no_older")

    def refer(message_key: str) -> str:
        return refs.of(tenant_id, "m", message_key)

    bubbles = chat(found.rows, refer, is_masked=not sees)
    users = [row for row in found.rows if row["role"] == "user"]
    name = next((row["sender_name"] for row in users if row["sender_name"]), "")
    return {
        "bubbles": bubbles,
        "filters": filters_of(visit, tenant_id),
        "days": _days(bubbles, visit),
        "title": (name or customer_of(conversation_id)) if sees else "",
        "number": customer_of(conversation_id) if sees else "",
        "provider": found.rows[0]["provider"],
        "older_messages": cursor(found.older, refs, tenant_id) if found.older else "",
        "shown_before": "" if before is NOW else cursor(before, refs, tenant_id),
        "sees_chat": sees,
    }


def _days(bubbles: list[Bubble], visit: Visit) -> list[tuple[str, list[Bubble]]]:
    """Groups the messages by the day on which they were received, in the visitor's time zone."""
    days: list[tuple[str, list[Bubble]]] = []
    for one in bubbles:
        day = one.received_at.astimezone(visit.zone).strftime("%Y-%m-%d")
        if not days or days[-1][0] != day:
            days.append((day, []))
        days[-1][1].append(one)
    return days


def opened(pages: PageParts, tenant_id: TenantId, kind: str, ref: str) -> str:
    """Returns the id behind a reference. Raises PageProblem 404."""
    found = pages.refs.open(tenant_id, kind, ref)
    if found is None:
        raise PageProblem(404, "problem.404")
    return found


async def may_see(
    pages: PageParts, visit: Visit, tenant_id: TenantId, conversation_id: str
) -> bool:
    """Whether the person may see the content, by role or because this session unmasked it."""
    if visit.person.may(tenant_id, "reader"):
        return True
    return await pages.people.is_unmasked(visit.person, tenant_id, conversation_id)


def _add_context(router: APIRouter, desk: Desk) -> None:
    contexts = Contexts(desk.parts.reading, desk.parts.bounds)

    @router.get("/t/{tenant}/c/{ref}/context", name="context")
    async def context(request: Request, tenant: str, ref: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        conversation_id = opened(desk.pages, tenant_id, "c", ref)
        if not await may_see(desk.pages, visit, tenant_id, conversation_id):
            raise PageProblem(403, "problem.masked")
        parts = desk.parts
        look = await contexts.look(tenant_id, conversation_id, ContextQuery(Window(WINDOW_SECONDS)))
        form = Form(parts.marker(tenant_id), parts.language(tenant_id), lambda path: path)
        document = json.loads(await contexts.answer(tenant_id, conversation_id, look, form))
        await desk.pages.people.note(tenant_id, visit.person.name, "context_seen", ref)
        return visit.page(
            "context.html",
            tenant=tenant_id,
            section="conversations",
            ref=ref,
            context=document,
            days=round(WINDOW_SECONDS / 86_400),
            default_minutes=round(DEFAULT_WINDOW_SECONDS / 60),
        )


def _add_unmasking(router: APIRouter, desk: Desk) -> None:
    @router.post("/t/{tenant}/c/{ref}/unmask")
    async def unmask(request: Request, tenant: str, ref: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        conversation_id = opened(desk.pages, tenant_id, "c", ref)
        why = " ".join(visit.form.get("why", "").split())[:LONGEST_WHY]
        if len(why) < SHORTEST_WHY:
            raise PageProblem(422, "problem.why")
        await desk.pages.people.note(
            tenant_id, visit.person.name, "conversation_unmasked", f"{conversation_id}: {why}"
        )
        await desk.pages.people.unmask(visit.person, tenant_id, conversation_id)
        return RedirectResponse(f"/t/{tenant_id}/c/{ref}", 303)


def stream(
    desk: Desk,
    visit: Visit,
    tenant_id: TenantId,
    names: Any,
    fragment: Callable[[], Awaitable[str]],
    look_seconds: float = LOOK_SECONDS,
) -> Response:
    """Answers with server-sent events, each of which contains the current fragment.

    The stream ends with the session or with the role. If there is nothing left to show,
    the last event is `gone`; the page then reloads itself.
    """

    async def events() -> AsyncIterator[dict[str, Any]]:
        changes, before = desk.parts.changes, ""
        deadline = Deadline(STREAM_SECONDS)
        try:
            async with desk.streams.turn(visit.person.token, tenant_id):
                with changes.waiter(tenant_id, names, anywhere=not names) as waiter:
                    while not deadline.has_passed and not changes.ended:
                        text = await fragment()
                        if text != before:
                            yield {"data": text}
                            before = text
                        await waiter.wait(look_seconds)
                        visit.session = await _still(desk, visit, tenant_id)
        except PageProblem as problem:
            if problem.status == 404:  # erased meanwhile: the page must not stay as it is
                yield {"event": "gone", "data": ""}
            return  # the browser reopens the stream and gets the error as its answer
        except (Busy, Unavailable):  # otherwise the browser would reopen it in a tight loop
            yield {"event": "busy", "data": "", "retry": BUSY_SECONDS * 1000}

    visit.request.state.waited = STREAM_SECONDS  # keeps streams out of the latency metric
    return EventSourceResponse(events(), ping=15, headers={"x-accel-buffering": "no"})


async def _still(desk: Desk, visit: Visit, tenant_id: TenantId) -> Session:
    """Returns the session with its current rights.

    Raises PageProblem if it may no longer look.
    """
    session = await desk.pages.people.session(
        visit.person.token, is_use=False, about=tenant_id, most=0
    )
    if session is None or not session.may(tenant_id, "viewer"):
        raise PageProblem(401, "problem.401")
    return session
