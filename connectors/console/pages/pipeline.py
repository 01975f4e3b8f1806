"""Routes of the pipeline: its state now and over a day, and a tenant's volume, cost and queue."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.pages.conversations import Desk, stream
from connectors.console.pages.flow import RECENT_MINUTES, Flow
from connectors.console.pages.reading import PageReading
from connectors.console.pages.rendering import render
from connectors.console.pages.visits import PageProblem, visit_of
from schemas.keys import TenantId

LOOK_SECONDS = 5.0
MOST_COUNTED = 100_000
MOST_UNFINISHED = 10_000
MOST_FAILED = 20_000
TOP_REASONS = 5
DAYS = 14


def add_pipeline(router: APIRouter, desk: Desk) -> None:
    """Adds the routes.

    The stages process the records of all tenants, so only an admin of every tenant sees
    them.
    """
    flow, reading = Flow(desk.pages.pool), desk.pages.reading

    @router.get("/t/{tenant}/pipeline", name="pipeline")
    async def pipeline(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        is_chief = visit.person.is_chief
        return visit.page(
            "pipeline.html",
            tenant=tenant_id,
            section="pipeline",
            stations=await flow.now() if is_chief else None,
            day=await flow.day() if is_chief else None,
            minutes=RECENT_MINUTES,
            **await tenant_values(reading, tenant_id),
        )

    @router.get("/t/{tenant}/pipeline/live")
    async def live(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        if not visit.person.is_chief:
            raise PageProblem(403, "problem.403")

        async def fragment() -> str:
            if not visit.person.is_chief:  # the right may have been revoked meanwhile
                raise PageProblem(403, "problem.403")
            stations = await flow.now()
            return render(
                "_flow.html", visit=visit, t=visit.words, stations=stations, minutes=RECENT_MINUTES
            )

        return stream(desk, visit, tenant_id, (), fragment, LOOK_SECONDS)


async def tenant_values(reading: PageReading, tenant_id: TenantId) -> dict[str, Any]:
    """Returns the template values of one tenant."""
    (unfinished,) = await reading.fetch("unfinished", tenant_id, MOST_UNFINISHED)
    oldest = unfinished["oldest_at"]
    hours = await reading.fetch("volume_by_hour", tenant_id, MOST_COUNTED)
    return {
        "unfinished": unfinished["messages"],
        "oldest_seconds": (datetime.now(UTC) - oldest).total_seconds() if oldest else None,
        "why_wait": await reading.fetch("why_jobs_wait", tenant_id),
        "hours": hours,
        "volume": sum(row["messages"] for row in hours),
        "most_counted": MOST_COUNTED,
        "reasons": await reading.fetch("top_reasons", tenant_id, MOST_FAILED, TOP_REASONS),
        "spend": await reading.fetch("spend_by_day", tenant_id, DAYS),
    }
