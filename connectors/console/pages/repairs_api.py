"""The same repairs for programs: plan, apply, look, cancel, with a key of scope admin."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query
from pydantic import BaseModel

from connectors.console.authentication import caller_of
from connectors.console.pages.parts import PageParts
from connectors.console.pages.repairing import MESSAGES_PER_SECOND
from connectors.console.pages.repairs import begin, end
from connectors.console.pages.visits import PageProblem
from connectors.console.pages.words import catalogue
from connectors.console.parts import Parts
from connectors.console.problems import ConsoleProblem
from connectors.console.response_models import problems
from schemas.keys import TenantId
from schemas.tenants import ApiKey
from storage.postgres.repairs import RepairError


class Repair(BaseModel):
    """A plan, or how far it is."""

    repair_id: str
    reason: str
    state: str
    messages: int
    files: dict[str, int]
    without_file: int
    cost_microusd: int | None
    seconds: float
    looked_at: int
    files_redone: int
    set_aside: int
    trouble: str


PlanId = Annotated[str, Path(description="The id of a plan, as `/api/repairs/plan` answers it.")]
Reason = Annotated[
    str, Query(max_length=60, description="Why the attachments failed, such as `media_timeout`.")
]


def add_repairs_api(app: FastAPI, parts: Parts, pages: PageParts) -> None:
    """Adds the routes."""
    Caller = Annotated[ApiKey, Depends(caller_of(parts.directory))]
    told: dict[str, Any] = {"tags": ["repairs"], "response_model": Repair}

    @app.post(
        "/api/repairs/plan",
        summary="Plan to try failed attachments again",
        responses=problems(401, 403, 404, 413, 429, 503),
        **told,
    )
    async def plan(key: Caller, reason: Reason) -> Repair:
        tenant_id = _admin(key)
        try:
            repair_id = await pages.repairs.plan(tenant_id, reason, f"key of {tenant_id}")
        except RepairError as error:
            raise ConsoleProblem(404, catalogue("en")[str(error)]) from None
        return await _shown(pages, tenant_id, repair_id)

    @app.post(
        "/api/repairs/{plan}/apply",
        summary="Begin a plan",
        responses=problems(401, 403, 404, 409, 413, 429, 503),
        **told,
    )
    async def apply(key: Caller, plan: PlanId) -> Repair:
        tenant_id = _admin(key)
        try:
            await begin(pages, tenant_id, plan, f"key of {tenant_id}")
        except PageProblem as problem:
            raise ConsoleProblem(problem.status, catalogue("en")[problem.word]) from None
        return await _shown(pages, tenant_id, plan)

    @app.get(
        "/api/repairs/{plan}",
        summary="A plan, and how far it is",
        responses=problems(401, 403, 404, 413, 429, 503),
        **told,
    )
    async def look(key: Caller, plan: PlanId) -> Repair:
        return await _shown(pages, _admin(key), plan)

    @app.post(
        "/api/repairs/{plan}/cancel",
        summary="End a plan, or what is left of it",
        responses=problems(401, 403, 404, 409, 413, 429, 503),
        **told,
    )
    async def cancel(key: Caller, plan: PlanId) -> Repair:
        tenant_id = _admin(key)
        try:
            await end(pages, tenant_id, plan, f"key of {tenant_id}")
        except PageProblem as problem:
            raise ConsoleProblem(problem.status, catalogue("en")[problem.word]) from None
        return await _shown(pages, tenant_id, plan)


def _admin(key: ApiKey) -> TenantId:
    if key.scope != "admin":
        raise ConsoleProblem(403, "this key has not the scope admin")
    return key.tenant_id


async def _shown(pages: PageParts, tenant_id: TenantId, repair_id: str) -> Repair:
    found = await pages.repairs.one(tenant_id, repair_id[:40])
    if found is None:
        raise ConsoleProblem(404, "there is no such repair")
    return Repair(
        repair_id=found["repair_id"],
        reason=found["reason"],
        state="over" if found["is_over"] else found["state"],
        messages=found["messages"],
        files=found["files"]["files"],
        without_file=found["files"]["without"],
        cost_microusd=found["files"]["microusd"],
        seconds=found["messages"] / MESSAGES_PER_SECOND,
        looked_at=found["looked"],
        files_redone=found["redone"],
        set_aside=found["set_aside"],
        trouble=found["trouble"],
    )
