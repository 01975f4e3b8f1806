"""Routes of failures: files and records that failed, grouped by cause."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.pages.conversations import customer_of
from connectors.console.pages.counting import MOST_COUNTED, failure_counter, refusal_counter
from connectors.console.pages.parts import PageParts
from connectors.console.pages.reading import NOW, cursor, place_of
from connectors.console.pages.visits import visit_of
from schemas.keys import TenantId
from storage.postgres.repair_plans import GONE_REASONS

DAYS = 14
PAGE = 50
_AT_THE_MODEL = frozenset(
    {
        "refused_by_model", "answer_truncated", "unsupported_by_model", "model_timeout",
        "model_unavailable", "model_rejected_key",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cause:
    """Files that failed for one reason at one stage.

    `bars` has the number of files per day, oldest first.
    """

    reason: str
    stage: str
    files: int
    redoing: int
    first_at: datetime
    last_at: datetime
    example: str
    bars: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refusals:
    """Quarantined records of one stage and reason.

    `is_sendable` is true if some of them can be sent again.
    """

    stage: str
    reason: str
    records: int
    first_at: datetime
    last_at: datetime
    is_sendable: bool
    bars: tuple[int, ...]


def stage_of(reason: str, type_: str) -> str:
    """Returns the stage at which the file failed, or "" if the reason does not say."""
    if reason == "quarantined":
        return ""
    sense = "transcribe" if type_ == "audio" else "describe"
    decoded = reason.startswith(("image_", "audio_"))
    return sense if reason in _AT_THE_MODEL or decoded else "store_media"


def causes_of(rows: list[Any], today: date) -> list[Cause]:
    """Groups the rows by cause, those with the most files first."""
    groups: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows:
        reason = row["reason"] or "unknown"
        groups[reason, stage_of(reason, row["type"] or "")].append(row)
    causes = [_cause(reason, stage, found, today) for (reason, stage), found in groups.items()]
    return sorted(causes, key=lambda one: (-one.files, one.reason))


def classes_of(rows: list[Any], today: date) -> list[Refusals]:
    """Groups the rows by stage and reason, those with the most records first."""
    groups: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows:
        groups[row["stage"], row["reason"]].append(row)
    classes = [
        Refusals(
            stage,
            reason,
            sum(row["records"] for row in found),
            min(row["first_at"] for row in found),
            max(row["last_at"] for row in found),
            any(row["is_sendable"] for row in found),
            bars_of({row["day"]: row["records"] for row in found}, today),
        )
        for (stage, reason), found in groups.items()
    ]
    return sorted(classes, key=lambda one: (-one.records, one.stage, one.reason))


def bars_of(per_day: Mapping[date | None, int], today: date) -> tuple[int, ...]:
    """Returns one number per day, oldest first."""
    days = (today - timedelta(days=DAYS - 1 - back) for back in range(DAYS))
    return tuple(per_day.get(day, 0) for day in days)


def _cause(reason: str, stage: str, rows: list[Any], today: date) -> Cause:
    per_day: dict[date | None, int] = defaultdict(int)
    for row in rows:
        per_day[row["day"]] += row["files"]
    return cause_of(reason, stage, rows, bars_of(per_day, today))


def cause_of(reason: str, stage: str, rows: list[Any], bars: tuple[int, ...]) -> Cause:
    """Combines several rows of counts into one cause."""
    newest = max(rows, key=lambda row: row["last_at"])
    return Cause(
        reason,
        stage,
        sum(row["files"] for row in rows),
        sum(row["redoing"] for row in rows),
        min(row["first_at"] for row in rows),
        newest["last_at"],
        newest["message_key"],
        bars,
    )


def add_trouble(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""
    reading = pages.reading
    counter, refusals = failure_counter(reading), refusal_counter(reading)

    @router.get("/t/{tenant}/trouble", name="trouble")
    async def trouble(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        counts = await counter.of(tenant_id)
        causes = causes_of(counts.rows, datetime.now(UTC).date())
        examples = {one: pages.refs.of(tenant_id, "m", one.example) for one in causes}
        refused = await refusals.of(tenant_id)
        classes = classes_of(refused.rows, datetime.now(UTC).date())
        return visit.page(
            "trouble.html",
            tenant=tenant_id,
            section="trouble",
            causes=[(one, examples[one]) for one in causes],
            quarantined=classes,
            sendable=any(one.is_sendable for one in classes),
            repairs=await pages.repairs.latest(tenant_id),
            may_repair=visit.person.may(tenant_id, "operator"),
            most=MOST_COUNTED,
            counted_at=counts.counted_at,
            refused_at=refused.counted_at,
        )

    _add_failed_files(router, pages)


def _add_failed_files(router: APIRouter, pages: PageParts) -> None:
    @router.get("/t/{tenant}/trouble/files", name="failed-files")
    async def files(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        reason = request.query_params.get("reason", "")[:60]
        before = place_of(request.query_params.get("before"), pages.refs, tenant_id)
        found = await pages.reading.failed(tenant_id, reason, before, PAGE)
        sees = visit.person.may(tenant_id, "reader")
        return visit.page(
            "failed.html",
            tenant=tenant_id,
            section="trouble",
            reason=reason,
            is_gone=reason in GONE_REASONS,
            rows=[_shown(row, pages, tenant_id, sees=sees) for row in found.rows],
            older=cursor(found.older, pages.refs, tenant_id) if found.older is not None else "",
            is_first=before is NOW,
            may_repair=visit.person.may(tenant_id, "operator"),
        )


def _shown(row: Any, pages: PageParts, tenant_id: TenantId, *, sees: bool) -> dict[str, Any]:
    chat = pages.refs.of(tenant_id, "c", row["conversation_id"])
    return {
        "ref": pages.refs.of(tenant_id, "m", row["message_key"]),
        "chat": chat,
        "name": (row["sender_name"] or customer_of(row["conversation_id"])) if sees else "",
        "kind": row["kind"],
        "at": row["received_at"],
        "is_redoing": row["is_redoing"],
        "is_set_aside": row["is_set_aside"],
    }
