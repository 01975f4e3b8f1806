"""The pages on which an admin erases messages, for a person who asks for it."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.pages.conversations import opened
from connectors.console.pages.messages import message_row
from connectors.console.pages.once import IS_OVER, show_once, shown_once
from connectors.console.pages.other_roles import EraseKind
from connectors.console.pages.parts import PageParts
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from schemas.keys import TenantId

SHOWN = ("messages", "files", "model_answers", "quarantined")
Counts = dict[str, int]


def add_erasures(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""
    _add_conversation(router, pages)
    _add_message(router, pages)


def _add_conversation(router: APIRouter, pages: PageParts) -> None:
    eraser = pages.other_roles.eraser

    @router.get("/t/{tenant}/c/{ref}/erase", name="erase")
    async def look(request: Request, tenant: str, ref: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        conversation_id = opened(pages, tenant_id, "c", ref)
        if (done := _done(pages, visit)) is not None:
            return _page(visit, tenant_id, ref, "", done, is_done=True)
        async with pages.reading.turn(tenant_id):
            counts = await eraser.look(tenant_id, "conversation", conversation_id)
        return _page(visit, tenant_id, ref, conversation_id, counts)

    @router.post("/t/{tenant}/c/{ref}/erase")
    async def erase(request: Request, tenant: str, ref: str) -> Response:
        """Erases it if the form has its id, and leads to a page that says once what was erased."""
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        conversation_id = opened(pages, tenant_id, "c", ref)
        if visit.form.get("typed", "").strip() != conversation_id:
            raise PageProblem(422, "erase.not_typed")
        async with pages.kafka.turn(tenant_id):
            counts = await eraser.erase(
                tenant_id, "conversation", conversation_id, visit.person.name
            )
        return _show_done(pages, visit, f"/t/{tenant_id}/c/{ref}/erase", counts)


def _page(
    visit: Visit,
    tenant_id: TenantId,
    ref: str,
    conversation_id: str,
    counts: Counts,
    *,
    is_done: bool = False,
) -> Response:
    return visit.page(
        "erase.html",
        tenant=tenant_id,
        section="conversations",
        ref=ref,
        conversation_id=conversation_id,
        counts=_shown(counts),
        is_there=counts["messages"] > 0,
        unfinished=counts["unfinished"],
        is_done=is_done,
    )


def _add_message(router: APIRouter, pages: PageParts) -> None:
    eraser = pages.other_roles.eraser

    @router.get("/t/{tenant}/m/{ref}/erase", name="erase-message")
    async def look(request: Request, tenant: str, ref: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        opened(pages, tenant_id, "m", ref)
        if (done := _done(pages, visit)) is not None:
            return _page_of_message(visit, tenant_id, ref, "", (done, None), is_done=True)
        row = await message_row(pages.reading, pages, tenant_id, ref)
        contact = contact_of(row)
        async with pages.reading.turn(tenant_id):
            one = await eraser.look(tenant_id, "message", row["message_key"])
            every = await eraser.look(tenant_id, "contact", contact) if contact else None
        return _page_of_message(visit, tenant_id, ref, contact, (one, every))

    @router.post("/t/{tenant}/m/{ref}/erase")
    async def erase(request: Request, tenant: str, ref: str) -> Response:
        """Erases the message if its box is ticked, or everything with its customer if the
        form has the customer's id. Leads to a page that says once what was erased.
        """
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        row = await message_row(pages.reading, pages, tenant_id, ref)
        kind, named = _chosen(visit, row)
        async with pages.kafka.turn(tenant_id):
            counts = await eraser.erase(tenant_id, kind, named, visit.person.name)
        return _show_done(pages, visit, f"/t/{tenant_id}/m/{ref}/erase", counts)


def contact_of(row: Mapping[str, Any]) -> str:
    """Returns the id of the customer who sent the message, or "" if no customer did."""
    sender: str = row["sender_id"] or ""
    return sender if row["direction"] == "inbound" else ""


def _chosen(visit: Visit, row: Mapping[str, Any]) -> tuple[EraseKind, str]:
    """Returns what is to be erased. Raises PageProblem 422 unless it is confirmed."""
    contact = contact_of(row)
    match visit.form.get("what"):
        case "message":
            if "sure" not in visit.form:
                raise PageProblem(422, "erase.not_sure")
            return "message", row["message_key"]
        case "contact" if contact:
            if visit.form.get("typed", "").strip() != contact:
                raise PageProblem(422, "erase.not_typed_contact")
            return "contact", contact
        case _:
            raise PageProblem(422, "problem.422")


def _page_of_message(
    visit: Visit,
    tenant_id: TenantId,
    ref: str,
    contact: str,
    found: tuple[Counts, Counts | None],
    *,
    is_done: bool = False,
) -> Response:
    """`found` are the counts of the message, or of what was erased, and of its customer."""
    one, every = found
    return visit.page(
        "erase_message.html",
        tenant=tenant_id,
        section="conversations",
        ref=ref,
        contact=contact,
        counts=_shown(one),
        counts_of_contact=_shown(every) if every is not None else [],
        unfinished=every["unfinished"] if every is not None else one["unfinished"],
        is_done=is_done,
    )


def _show_done(pages: PageParts, visit: Visit, path: str, counts: Counts) -> Response:
    """Leads to the page that says once what was erased."""
    return show_once(pages, visit, path, "erase.done", msgspec.json.encode(counts).decode())


def _done(pages: PageParts, visit: Visit) -> Counts | None:
    """Returns the counts of an erasure that led to this page, the first time it is shown."""
    done = shown_once(pages, visit)
    if done is None or done == IS_OVER:
        return None
    return msgspec.json.decode(done[1], type=Counts)


def _shown(counts: Counts) -> list[tuple[str, int]]:
    return [(name, counts[name]) for name in SHOWN]
