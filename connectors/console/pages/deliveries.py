"""The read-only page of a tenant's endpoints and their last deliveries."""

from collections import defaultdict
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.pages.endpoints import DELIVERY_DAYS
from connectors.console.pages.parts import PageParts
from connectors.console.pages.visits import visit_of

MOST_ENDPOINTS = 100


def add_deliveries(router: APIRouter, pages: PageParts) -> None:
    """Adds the route.

    It decrypts nothing, so it cannot show a secret.
    """

    @router.get("/t/{tenant}/deliveries", name="deliveries")
    async def deliveries(request: Request, tenant: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        endpoints = await pages.reading.fetch("endpoints_of", tenant_id, MOST_ENDPOINTS)
        verdicts: dict[str, list[Any]] = defaultdict(list)
        for row in await pages.reading.fetch("verdicts_by_endpoint", tenant_id, DELIVERY_DAYS):
            verdicts[row["endpoint_id"]].append(_shown(row))
        return visit.page(
            "deliveries.html",
            tenant=tenant_id,
            section="deliveries",
            endpoints=[(one, verdicts[one["endpoint_id"]]) for one in endpoints],
            days=DELIVERY_DAYS,
        )


def _shown(row: Any) -> dict[str, Any]:
    facts = msgspec.json.decode(row["last_facts"])
    return dict(row) | {"secret_id": "", "facts": facts if isinstance(facts, dict) else {}}
