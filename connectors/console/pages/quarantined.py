"""The page of one quarantined record, and the form that takes records off the list."""

import re
from datetime import datetime
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from connectors.console.pages.changing import in_transaction
from connectors.console.pages.conversations import may_see
from connectors.console.pages.other_roles import ShownRecord
from connectors.console.pages.parts import PageParts
from connectors.console.pages.raw_records import fields_of
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from schemas.keys import TenantId
from schemas.pipeline import REPLAYABLE
from storage.postgres.dismissing import DismissChoice, dismiss

_PLACE = re.compile(r"([a-z-]{1,60})\[([0-9]{1,9})\]@([0-9]{1,18})")
_MOST = 2**31


def add_quarantined(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""

    @router.get(
        "/t/{tenant}/quarantined/{stage}/{topic}/{partition}/{offset}", name="quarantined-record"
    )
    async def record(
        request: Request, tenant: str, stage: str, topic: str, partition: int, offset: int
    ) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        if not (0 <= partition < _MOST and 0 <= offset < _MOST**2):
            raise PageProblem(404, "problem.404")
        found = await pages.reading.fetch(
            "quarantined_record", tenant_id, stage, topic, partition, offset
        )
        if not found:
            raise PageProblem(404, "problem.404")
        return await _page(pages, visit, tenant_id, found[0])

    @router.post("/t/{tenant}/quarantined/dismiss")
    async def dismissed(request: Request, tenant: str) -> Response:
        """Dismisses one record, or those of a cause. A box that was ticked confirms it."""
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "operator")
        choice = _chosen(tenant_id, visit.form)
        if visit.form.get("sure") != "yes":
            raise PageProblem(422, "quarantined.not_sure")
        if not await in_transaction(pages, visit, lambda connection: dismiss(connection, choice)):
            raise PageProblem(409, "quarantined.nothing_new")
        return RedirectResponse(f"/t/{tenant_id}/trouble", 303)


def _chosen(tenant_id: TenantId, form: dict[str, str]) -> DismissChoice:
    """Reads what to dismiss. Raises PageProblem 422 if it names no cause and no place."""
    stage, reason = form.get("stage", "")[:60] or None, form.get("reason", "")[:60] or None
    place = None
    if text := form.get("place", ""):
        if (match := _PLACE.fullmatch(text)) is None or int(match[2]) >= _MOST:
            raise PageProblem(422, "problem.422")
        place = (match[1], int(match[2]), int(match[3]))
    if not (stage or reason or place):
        raise PageProblem(422, "problem.422")
    return DismissChoice(tenant_id, stage, reason, place)


async def _page(pages: PageParts, visit: Visit, tenant_id: TenantId, row: Any) -> Response:
    """Shows the record, and notes in the audit log that its content was viewed."""
    chat, place = row["conversation_id"], f"{row['topic']}[{row['partition']}]@{row['offset']}"
    sees = visit.person.may(tenant_id, "reader") or (
        chat is not None and await may_see(pages, visit, tenant_id, chat)
    )
    shown = _shown(pages, tenant_id, row) if sees and row["value"] is not None else None
    if shown is not None:
        what = row["message_key"]
        detail = f"{what} {place}" if what is not None else f"{row['stage']} {place}"
        action = "record_seen" if what is not None else "quarantined_record_seen"
        await pages.people.note(tenant_id, visit.person.name, action, detail)
    return visit.page(
        "quarantined.html",
        tenant=tenant_id,
        section="trouble",
        stage=row["stage"],
        reason=row["reason"],
        state=row["state"],
        at=row["created_at"],
        place=place,
        detail=row["detail"] if sees else "",
        key=row["record_key"] if sees else "",
        ref="" if row["message_key"] is None else pages.refs.of(tenant_id, "m", row["message_key"]),
        chat_ref="" if chat is None else pages.refs.of(tenant_id, "c", chat),
        bytes=None if row["value"] is None else len(row["value"]),
        headers=list(fields_of(shown.headers)) if shown is not None else [],
        fields=list(fields_of(shown.value)) if shown is not None else [],
        sees=sees,
        may_repair=visit.person.may(tenant_id, "operator") and row["state"] == "new",
        is_sendable=REPLAYABLE.get(row["stage"]) == row["topic"],
    )


def _shown(pages: PageParts, tenant_id: TenantId, row: Any) -> ShownRecord:
    at: datetime = row["created_at"]
    headers: dict[str, str] = msgspec.json.decode(row["headers"])
    fields = pages.other_roles.readable(row["topic"], row["value"])
    return ShownRecord(tenant_id, row["record_key"], at, len(row["value"]), headers, fields)
