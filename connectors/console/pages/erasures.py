"""The page on which an admin erases a conversation for a person who asks for it."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.pages.conversations import opened
from connectors.console.pages.parts import PageParts
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from schemas.keys import TenantId

SHOWN = ("messages", "files", "model_answers", "quarantined")


def add_erasures(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes."""
    eraser = pages.other_roles.eraser

    @router.get("/t/{tenant}/c/{ref}/erase", name="erase")
    async def look(request: Request, tenant: str, ref: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        conversation_id = opened(pages, tenant_id, "c", ref)
        async with pages.reading.turn(tenant_id):
            counts = await eraser.look(tenant_id, conversation_id)
        return _page(visit, tenant_id, ref, conversation_id, counts)

    @router.post("/t/{tenant}/c/{ref}/erase")
    async def erase(request: Request, tenant: str, ref: str) -> Response:
        """Erases the conversation if the person has typed its id into the form."""
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "admin")
        conversation_id = opened(pages, tenant_id, "c", ref)
        if visit.form.get("typed", "").strip() != conversation_id:
            raise PageProblem(422, "erase.not_typed")
        async with pages.kafka.turn(tenant_id):
            counts = await eraser.erase(tenant_id, conversation_id, visit.person.name)
        return _page(visit, tenant_id, ref, "", counts, is_done=True)


def _page(
    visit: Visit,
    tenant_id: TenantId,
    ref: str,
    conversation_id: str,
    counts: dict[str, int],
    *,
    is_done: bool = False,
) -> Response:
    return visit.page(
        "erase.html",
        tenant=tenant_id,
        section="conversations",
        ref=ref,
        conversation_id=conversation_id,
        counts=[(name, counts[name]) for name in SHOWN],
        is_there=counts["messages"] > 0,
        unfinished=counts["unfinished"],
        is_done=is_done,
    )
