"""Reads and checks what people and programs request: which repair, how fast, begin, end."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.console.pages.repairer import Repairer
from connectors.console.pages.visits import PageProblem
from schemas.keys import TenantId
from storage.postgres.repair_plans import (
    GONE_REASONS,
    LOWEST_RATE,
    MESSAGES_PER_SECOND,
    RepairChoice,
    RepairError,
    RepairKind,
    RepairRequest,
)
from storage.postgres.repairs import Repairs

HIGHEST_RATE = 1_000.0
MOST_SPANS = 100
_PLACE = re.compile(r"([a-z0-9_.-]{1,249})\[([0-9]{1,9})\]@([0-9]{1,18})")


def repair_request_of(
    tenant_id: TenantId, person: str, kind: str, form: dict[str, Any]
) -> RepairRequest:
    """Builds a repair request from a form or an API call.

    The keys of `form` are reason, with_gone, stage, place, offsets (several), since
    and until; each may be missing or empty. Raises RepairError if it selects no
    records.
    """
    text = {name: str(form.get(name) or "").strip() for name in ("reason", "stage", "place")}
    if "\0" in "".join(text.values()):
        raise RepairError("repair.nothing")
    match kind:
        case "attachments":
            if not text["reason"]:
                raise RepairError("repair.which")
            reason = text["reason"][:60]
            with_gone = reason in GONE_REASONS and bool(form.get("with_gone"))
            choice = RepairChoice(reason=reason, with_gone=with_gone)
        case "quarantine":
            place = _place(text["place"]) if text["place"] else None
            choice = RepairChoice(text["reason"][:60], text["stage"][:60], place)
        case "raw":
            spans = tuple(form.get("offsets") or ())[:MOST_SPANS]
            since, until = form.get("since"), form.get("until")
            if bool(spans) == bool(since) or (spans and until):
                raise RepairError("repair.which_raw")
            choice = RepairChoice(spans=spans, since=since, until=until)
        case _:
            raise RepairError("repair.which")
    known: RepairKind = kind
    return RepairRequest(tenant_id, known, choice, person, MESSAGES_PER_SECOND)


def _place(text: str) -> tuple[str, int, int, str | None]:
    match = _PLACE.fullmatch(text)
    if match is None or int(match[2]) >= 2**31 or int(match[3]) >= 2**63:
        raise RepairError("repair.nothing")
    return match[1], int(match[2]), int(match[3]), None


def rate_of(text: str) -> float | None:
    """Parses a form's records per second; None means the rate of the plan.

    Raises RepairError.
    """
    if not text.strip():
        return None
    try:
        rate = float(text)
    except ValueError:
        raise RepairError("repair.bad_rate") from None
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise RepairError("repair.bad_rate")
    return rate


def moment_of(text: str, zone: ZoneInfo) -> datetime | None:
    """Parses a time from a browser's field, in the browser's time zone.

    Raises RepairError.
    """
    if not text.strip():
        return None
    try:
        time = datetime.fromisoformat(text.strip())
        moment = (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RepairError("repair.bad_time") from None
    return max(moment, datetime.fromtimestamp(0, UTC))


def spans_of(text: str) -> Sequence[str]:
    """Splits the offsets of a form, which are separated by spaces or commas."""
    return text.replace(",", " ").split()


async def begin(
    repairs: Repairs,
    work: Repairer,
    asked_by: tuple[TenantId, str],
    repair_id: str,
    rate: float | None,
) -> None:
    """Applies a tenant's plan. Raises PageProblem 404 and 409."""
    tenant_id, who = asked_by
    found = await repairs.one(tenant_id, repair_id[:40])
    if found is None:
        raise PageProblem(404, "problem.404")
    if found["state"] != "planned" or found["is_over"]:
        raise PageProblem(409, "repair.cannot_begin")
    if not found["messages"]:
        raise PageProblem(409, "repair.all_gone")
    request = RepairRequest(tenant_id, found["kind"], found["choice"], who, found["rate"])
    try:
        await work.begin(request, found["repair_id"], rate)
    except RepairError as error:
        raise PageProblem(409, error.args[0]) from None


async def end(repairs: Repairs, asked_by: tuple[TenantId, str], repair_id: str) -> None:
    """Cancels a plan, or the rest of a running one. Raises PageProblem 404 and 409."""
    tenant_id, who = asked_by
    found = await repairs.one(tenant_id, repair_id[:40])
    if found is None:
        raise PageProblem(404, "problem.404")
    try:
        await repairs.cancel(tenant_id, found["repair_id"], who)
    except RepairError as error:
        raise PageProblem(409, error.args[0]) from None
