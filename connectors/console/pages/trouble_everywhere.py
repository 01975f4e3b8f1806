"""The route of failures of every tenant that a person may see, by reason, stage and tenant."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.pages.counting import (
    MOST_COUNTED,
    failures_of_tenants,
    refusals_of_tenants,
    share_of,
)
from connectors.console.pages.parts import PageParts
from connectors.console.pages.trouble import Cause, Refusals, bars_of, cause_of, stage_of
from connectors.console.pages.visits import Visit, visit_of
from schemas.keys import TenantId

MOST_SHOWN = 200
"""How many causes are shown, those with the most files first."""


@dataclass(frozen=True, slots=True)
class AtTenant:
    """A cause, or a class of quarantined records, of one tenant."""

    tenant: TenantId
    what: Cause | Refusals
    may_repair: bool
    example: str = ""


def add_trouble_everywhere(router: APIRouter, pages: PageParts) -> None:
    """Adds the route."""
    counter, refusals = failures_of_tenants(pages.reading), refusals_of_tenants(pages.reading)

    @router.get("/trouble", name="trouble-everywhere")
    async def everywhere(request: Request) -> Response:
        visit = visit_of(request)
        roles = await pages.people.tenants(visit.person.person_id)
        visit.session = replace(visit.person, roles=roles, has_more=False)
        tenants = tuple(roles)
        today = datetime.now(UTC).date()
        filters = {
            name: request.query_params.get(name, "")[:60] for name in ("tenant", "reason", "stage")
        }
        counts = await counter.of(tenants)
        causes = causes_at_tenants(counts.rows, today)
        refused = await refusals.of(tenants)
        classes = refusals_at_tenants(refused.rows, today)
        return visit.page(
            "trouble_everywhere.html",
            section="trouble",
            is_everywhere=True,
            tenants=tenants,
            filters=filters,
            choices=choices_of([*causes, *classes]),
            causes=_shown(pages, visit, causes, filters),
            quarantined=_shown(pages, visit, classes, filters),
            files=sum(one.files for _, one in causes),
            most=MOST_COUNTED,
            most_shown=MOST_SHOWN,
            counted_at=counts.counted_at,
            refused_at=refused.counted_at,
            share=share_of(tenants),
        )


def causes_at_tenants(rows: Iterable[Any], today: date) -> list[tuple[TenantId, Cause]]:
    """Groups failed files by tenant, stage and reason, those with the most files first."""
    groups: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for row in rows:
        reason = row["reason"] or "unknown"
        groups[row["tenant_id"], reason, stage_of(reason, row["type"] or "")].append(row)
    found = [
        (TenantId(tenant), _cause(reason, stage, members, today))
        for (tenant, reason, stage), members in groups.items()
    ]
    return sorted(found, key=lambda one: (-one[1].files, one[1].reason, one[0], one[1].stage))


def _cause(reason: str, stage: str, rows: list[Any], today: date) -> Cause:
    per_day: dict[date | None, int] = defaultdict(int)
    for row in rows:
        for day, files in zip(row["days"] or (), row["counts"] or (), strict=True):
            per_day[day] += files
    return cause_of(reason, stage, rows, bars_of(per_day, today))


def refusals_at_tenants(rows: Iterable[Any], today: date) -> list[tuple[TenantId, Refusals]]:
    """Groups quarantined records by tenant, stage and reason, those with the most records first."""
    return [
        (
            TenantId(row["tenant_id"]),
            Refusals(
                row["stage"], row["reason"], row["records"], row["first_at"], row["last_at"],
                row["is_sendable"],
                bars_of(dict(zip(row["days"], row["counts"], strict=True)), today),
            ),
        )
        for row in rows
    ]  # fmt: skip


def choices_of(
    found: Iterable[tuple[TenantId, Cause | Refusals]],
) -> dict[str, list[str]]:
    """Returns the filters of the page: the tenants, reasons and stages that occur."""
    rows = list(found)
    return {
        "tenant": sorted({tenant for tenant, _ in rows}),
        "reason": sorted({one.reason for _, one in rows}),
        "stage": sorted({one.stage for _, one in rows if one.stage}),
    }


def _shown(
    pages: PageParts,
    visit: Visit,
    found: Iterable[tuple[TenantId, Cause | Refusals]],
    filters: Mapping[str, str],
) -> list[AtTenant]:
    """Returns the causes that match the filters, and whether the person may repair them."""
    fitting = [
        (tenant, one)
        for tenant, one in found
        if filters["tenant"] in ("", tenant)
        and filters["reason"] in ("", one.reason)
        and filters["stage"] in ("", one.stage)
    ]
    return [
        AtTenant(
            tenant,
            one,
            visit.person.may(tenant, "operator"),
            pages.refs.of(tenant, "m", one.example) if isinstance(one, Cause) else "",
        )
        for tenant, one in fitting[:MOST_SHOWN]
    ]
