"""The route of quarantined records of one cause, and what can be done about each."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.pages.parts import PageParts
from connectors.console.pages.reading import NOW
from connectors.console.pages.visits import visit_of
from schemas.keys import TenantId
from schemas.pipeline import REPLAYABLE
from storage.postgres.repairs import MOST_TRIES

PAGE = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"([0-9]{1,17})\.(.{1,500})")


def add_records(router: APIRouter, pages: PageParts) -> None:
    """Adds the route."""
    reading = pages.reading

    @router.get("/t/{tenant}/trouble/records", name="quarantined-records")
    async def records(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        query = request.query_params
        stage, reason = query.get("stage", "")[:60], query.get("reason", "")[:60]
        before = _before(query.get("before", ""))
        rows = await reading.fetch(
            "quarantined_records", tenant_id, stage, reason, *before, PAGE + 1
        )
        sees = visit.person.may(tenant_id, "reader")
        return visit.page(
            "records.html",
            tenant=tenant_id,
            section="trouble",
            stage=stage,
            reason=reason,
            rows=[_shown(row, pages, tenant_id, sees=sees) for row in rows[:PAGE]],
            older=_cursor(rows[PAGE - 1]) if len(rows) > PAGE else "",
            may_repair=visit.person.may(tenant_id, "operator"),
        )


def record_href(tenant_id: TenantId, row: Any) -> str:
    """Returns the address of a quarantined record's page."""
    place = (row["stage"], row["topic"], row["partition"], row["offset"])
    return f"/t/{tenant_id}/quarantined/{'/'.join(map(str, place))}"


def _before(text: str) -> tuple[datetime, str]:
    match = _CURSOR.fullmatch(text)
    if match is None:
        return NOW.received_at, ""
    try:
        return _EPOCH + timedelta(microseconds=int(match[1])), match[2]
    except OverflowError:
        return NOW.received_at, ""


def _cursor(row: Any) -> str:
    micros = (row["created_at"] - _EPOCH) // timedelta(microseconds=1)
    return f"{micros}.{row['place']}"


def _shown(row: Any, pages: PageParts, tenant_id: TenantId, *, sees: bool) -> dict[str, Any]:
    """Returns the template values of a record. Its detail may quote the record's content."""
    key = row["message_key"]
    return {
        "at": row["created_at"],
        "place": f"{row['topic']}[{row['partition']}]@{row['offset']}",
        "href": record_href(tenant_id, row),
        "detail": row["detail"] if sees else "",
        "reason": row["reason"],
        "ref": "" if key is None else pages.refs.of(tenant_id, "m", key),
        "tries": row["tries"],
        "is_set_aside": row["tries"] >= MOST_TRIES,
        "is_sendable": REPLAYABLE.get(row["stage"]) == row["topic"],
    }
