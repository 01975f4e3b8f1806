"""The API of repairs: plan, apply, inspect and cancel, with a key of scope admin."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query
from pydantic import AwareDatetime, BaseModel, WithJsonSchema

from connectors.console.authentication import caller_of, key_id_of_request
from connectors.console.pages.parts import PageParts
from connectors.console.pages.repairing import HIGHEST_RATE, begin, end, repair_request_of
from connectors.console.pages.visits import PageProblem
from connectors.console.pages.words import catalogue
from connectors.console.parts import Parts
from connectors.console.problems import ConsoleProblem
from connectors.console.response_models import problems
from schemas.keys import TenantId
from schemas.tenants import ApiKey
from storage.postgres.repair_plans import LOWEST_RATE, MESSAGES_PER_SECOND, RepairError, RepairKind


class RepairLine(BaseModel):
    """A row of a plan.

    `what` is the type of file, the stage that refused the record, or `raw`. `becomes`
    says what the repair does: `again` if it is sent again, `set_aside` if it was tried
    three times, `without` for files that have neither a copy nor an address, `gone` for
    files that the provider says it no longer has, `refused` for records that cannot be
    sent again, and `job` for records that are opened again by repairing the files of
    their message.
    """

    tenant: str
    reason: str
    what: str
    records: int
    becomes: str


class Repair(BaseModel):
    """A plan, or a repair that was begun, with its progress.

    `messages` is how many messages or records it writes again. `seconds` is how long
    that takes at its rate; the processing that follows may take longer. `cost_microusd`
    is, for raw records, what the recorded answers have cost. They are paid for again
    only if prompt, model or language have changed. It is null if the cost is not known.
    `gone_files` is how many files are left out because the provider no longer has them;
    ask the sender to send them again. A plan with no other files cannot begin.
    """

    repair_id: str
    kind: str
    reason: str
    stage: str
    place: str
    spans: list[str]
    state: str
    messages: int
    is_whole: bool
    lines: list[RepairLine]
    files: dict[str, int]
    without_file: int
    gone_files: int
    cost_microusd: int | None
    rate: float
    seconds: float
    does: str
    expires_at: datetime
    looked_at: int
    files_redone: int
    set_aside: int
    trouble: str


PlanId = Annotated[str, Path(description="The id of a plan, as `/api/repairs/plan` answers it.")]
KindOf = Annotated[
    RepairKind,
    Query(
        description="`attachments` tries failed files again, `quarantine` sends refused records"
        " again, `raw` sends records of `raw-messages` through the pipeline again."
    ),
]
Reason = Annotated[
    str,
    Query(
        max_length=60,
        description="Why the attachments failed, such as `media_timeout`,"
        " or the records were refused.",
    ),
]
WithGone = Annotated[
    bool,
    Query(
        description="Tries failed files too that the provider says it no longer has (`media_gone`)."
        " That helps only if something else has changed, such as the endpoint's API key."
    ),
]
StageOf = Annotated[
    str, Query(max_length=60, description="Of quarantined records: the stage that refused them.")
]
PlaceOf = Annotated[
    str,
    Query(max_length=300, description="One quarantined record, as `TOPIC[PARTITION]@OFFSET`."),
]
RawOffsets = Annotated[
    tuple[str, ...],
    Query(
        max_length=100,
        description="Raw records, as `PARTITION:FIRST-LAST`, both included; repeat it for several.",
    ),
]
_Time = Annotated[
    AwareDatetime,
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40}),
]
Since = Annotated[_Time | None, Query(description="Raw records from this time on.")]
Until = Annotated[_Time | None, Query(description="Raw records up to this time.")]
Rate = Annotated[
    float | None,
    Query(
        ge=LOWEST_RATE,
        le=HIGHEST_RATE,
        description=f"At most this many per second. Default: {MESSAGES_PER_SECOND:g}.",
    ),
]
_STATUS = {"repair.nothing": 404, "repair.read_by_nobody": 409}
"""Maps the reason why a plan cannot be made to the status. All else is a wrong parameter."""
_ERRORS = (401, 403, 404, 413, 429, 503)
Who = Annotated[str, Depends(key_id_of_request)]
"""The public id of the caller's key, which the audit log and the repair name."""
_ROUTE: dict[str, Any] = {"tags": ["repairs"], "response_model": Repair}


def add_repairs_api(app: FastAPI, parts: Parts, pages: PageParts) -> None:
    """Adds the routes."""
    _add_plan(app, parts, pages)
    _add_applied(app, parts, pages)


def _add_plan(app: FastAPI, parts: Parts, pages: PageParts) -> None:
    Caller = Annotated[ApiKey, Depends(caller_of(parts.directory))]

    @app.post(
        "/api/repairs/plan",
        summary="Plan to do work again: failed attachments, quarantined or raw records",
        responses=problems(*_ERRORS, 409),
        **_ROUTE,
    )
    async def plan(
        key: Caller,
        who: Who,
        kind: KindOf = "attachments",
        reason: Reason = "",
        with_gone: WithGone = False,
        stage: StageOf = "",
        place: PlaceOf = "",
        offsets: RawOffsets = (),
        since: Since = None,
        until: Until = None,
    ) -> Repair:
        tenant_id = _admin(key)
        form = {
            "reason": reason,
            "with_gone": with_gone,
            "stage": stage,
            "place": place,
            "offsets": offsets,
            "since": since,
            "until": until,
        }
        try:
            request = repair_request_of(tenant_id, who, kind, form)
            async with pages.kafka.turn(tenant_id):
                repair_id = await pages.work.plan(request)
        except RepairError as error:
            status = _STATUS.get(error.args[0], 422)
            raise ConsoleProblem(status, catalogue("en")[error.args[0]]) from None
        return await _shown(pages, tenant_id, repair_id)


def _add_applied(app: FastAPI, parts: Parts, pages: PageParts) -> None:
    Caller = Annotated[ApiKey, Depends(caller_of(parts.directory))]

    @app.post(
        "/api/repairs/{plan}/apply",
        summary="Begin a plan",
        responses=problems(*_ERRORS, 409),
        **_ROUTE,
    )
    async def apply(key: Caller, who: Who, plan: PlanId, rate: Rate = None) -> Repair:
        tenant_id = _admin(key)
        try:
            await begin(pages.repairs, pages.work, (tenant_id, who), plan, rate)
        except PageProblem as problem:
            raise ConsoleProblem(problem.status, catalogue("en")[problem.word]) from None
        return await _shown(pages, tenant_id, plan)

    @app.get(
        "/api/repairs/{plan}",
        summary="A plan or repair, with its progress",
        responses=problems(*_ERRORS),
        **_ROUTE,
    )
    async def look(key: Caller, plan: PlanId) -> Repair:
        return await _shown(pages, _admin(key), plan)

    @app.post(
        "/api/repairs/{plan}/cancel",
        summary="End a plan, or what is left of it",
        responses=problems(*_ERRORS, 409),
        **_ROUTE,
    )
    async def cancel(key: Caller, who: Who, plan: PlanId) -> Repair:
        tenant_id = _admin(key)
        try:
            await end(pages.repairs, (tenant_id, who), plan)
        except PageProblem as problem:
            raise ConsoleProblem(problem.status, catalogue("en")[problem.word]) from None
        return await _shown(pages, tenant_id, plan)


def _admin(key: ApiKey) -> TenantId:
    if key.scope != "admin":
        raise ConsoleProblem(403, 'this key does not have the scope "admin"')
    return key.tenant_id


async def _shown(pages: PageParts, tenant_id: TenantId, repair_id: str) -> Repair:
    found = await pages.repairs.one(tenant_id, repair_id[:40])
    if found is None:
        raise ConsoleProblem(404, "there is no such repair")
    counted, choice = found["files"], found["choice"]
    return Repair(
        repair_id=found["repair_id"],
        kind=found["kind"],
        reason=found["reason"],
        stage=choice.stage,
        place="" if choice.place is None else "{}[{}]@{}".format(*choice.place[:3]),
        spans=list(choice.spans),
        state="over" if found["is_over"] else found["state"],
        messages=found["messages"],
        is_whole=counted.is_whole,
        lines=[
            RepairLine(
                tenant=line.tenant,
                reason=line.reason,
                what=line.what,
                records=line.records,
                becomes=line.becomes,
            )
            for line in counted.lines
        ],
        files=counted.files,
        without_file=counted.without,
        gone_files=counted.gone,
        cost_microusd=counted.microusd,
        rate=found["rate"],
        seconds=seconds_of(found["messages"], found["rate"]),
        does=catalogue("en")[f"repair.does_{found['kind']}"],
        expires_at=found["ends_at"],
        looked_at=found["looked"],
        files_redone=found["redone"],
        set_aside=found["set_aside"],
        trouble=found["trouble"],
    )


def seconds_of(records: int, rate: float) -> float:
    """Returns how long this many records take; without a rate, at a pace that Kafka sustains."""
    return records / (rate or 5_000.0)
