"""The part that describe and transcribe share: it answers one job about a stored file.

The result is one enrichment with a recorded or a new answer of a model.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, cast

import msgspec
import structlog

from schemas.keys import MessageKey, TenantId
from schemas.models import Answer, Recipe
from schemas.outcomes import Forward, Output, Unavailable
from schemas.reasons import AttachmentReason
from schemas.records import Enrichment, Source, StoredJob

log = structlog.get_logger()

ResultKind = Literal["described", "transcribed"]


@dataclass(frozen=True, slots=True)
class Unfit:
    """The file cannot be given to a model.

    With `skipped` nothing is wrong with it (for instance a sound too short to contain
    words).
    """

    reason: str
    skipped: bool = False


class Results(Protocol):
    """Recorded answers by tenant, content hash and recipe.

    `find` tries the recipes in order. `record` stores the answer and counts its usage;
    if an answer is stored already, it returns that one. `count` counts the usage of a
    call whose answer is not stored. It must not store one, so that a replay asks again.
    """

    async def find(
        self, tenant_id: TenantId, sha256: str, recipes: tuple[Recipe, ...]
    ) -> Answer | None: ...
    async def record(
        self,
        tenant_id: TenantId,
        message_key: MessageKey,
        sha256: str,
        prompt_version: str,
        answer: Answer,
    ) -> Answer: ...
    async def count(self, tenant_id: TenantId, answer: Answer) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """The time limits of a job that waits for a model.

    `waited_seconds` have passed since its first try. After `retry_seconds` an
    unavailable model ends the job.
    """

    waited_seconds: float
    retry_seconds: float

    @property
    def is_over(self) -> bool:
        return self.waited_seconds >= self.retry_seconds

    @property
    def left_seconds(self) -> float:
        return max(0.0, self.retry_seconds - self.waited_seconds)


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one file, for one stage.

    Recipes are in order of preference.
    """

    stage: str
    kind: ResultKind
    recipes: tuple[Recipe, ...]
    ask: Callable[[], Awaitable[Answer | Unfit]]

    @property
    def prompt_version(self) -> str:
        return self.recipes[0].prompt_version


async def answer(
    job: StoredJob,
    question: Question,
    *,
    results: Results,
    patience: Patience,
    source: Source,
    now: Callable[[], datetime],
) -> Forward:
    """Turns one job into one enrichment.

    Raises Unavailable if the job must be tried again. An unavailable model raises it
    only until the patience is over.
    """
    recorded = await results.find(job.tenant_id, job.sha256, question.recipes)
    if recorded is not None:
        return _forward(job, _with_answer(job, question, recorded, source, now(), cached=True))
    try:
        response = await question.ask()
    except Unavailable as trouble:
        if trouble.what != "model":
            raise
        if not patience.is_over:
            trouble.at_most = patience.left_seconds
            raise
        return _model_unavailable(job, question, trouble, source, now())
    match response:
        case Unfit(reason, skipped):
            log.info(
                "file_unfit",
                tenant=job.tenant_id,
                message_key=job.message_key,
                stage=question.stage,
                reason=reason,
            )
            return _forward(
                job,
                _without_answer(
                    job, question, reason, source, now(), "skipped" if skipped else "failed"
                ),
            )
        case Answer():
            final = await _recorded(job, question, response, results)
            return _forward(job, _with_answer(job, question, final, source, now(), cached=False))


def _model_unavailable(
    job: StoredJob, question: Question, trouble: Unavailable, source: Source, at: datetime
) -> Forward:
    """Ends a job whose model stayed unavailable.

    A rejected key has a reason of its own, because its fix differs.
    """
    log.warning(
        "model_given_up",
        tenant=job.tenant_id,
        message_key=job.message_key,
        stage=question.stage,
        detail=trouble.detail,
    )
    is_the_key = trouble.cause == "model_rejected_key"
    reason: AttachmentReason = "model_rejected_key" if is_the_key else "model_unavailable"
    return _forward(job, _without_answer(job, question, reason, source, at), trouble.detail)


async def _recorded(
    job: StoredJob, question: Question, response: Answer, results: Results
) -> Answer:
    """Returns the answer to use.

    A text is recorded for the file. Of any other answer only the usage is counted.
    """
    if response.failure is None and response.text:
        return await results.record(
            job.tenant_id, job.message_key, job.sha256, question.prompt_version, response
        )
    await results.count(job.tenant_id, response)
    return response


def _with_answer(
    job: StoredJob,
    question: Question,
    response: Answer,
    source: Source,
    at: datetime,
    *,
    cached: bool,
) -> Enrichment:
    log.info(
        "model_answered",
        tenant=job.tenant_id,
        message_key=job.message_key,
        stage=question.stage,
        model=response.model,
        cached=cached,
        failure=response.failure,
    )
    plain = _without_answer(job, question, response.failure, source, at)
    return msgspec.structs.replace(
        plain,
        kind=question.kind if response.failure is None else "failed",
        text=(response.text or None) if response.failure is None else None,
        model=response.model,
        recipe=response.recipe or question.recipes[0].id,
        input_tokens=response.input_tokens,
        output_tokens=response.output_tokens,
        price_microusd=response.cost_microusd,
        latency_ms=response.latency_ms,
        cached=cached,
    )


def _without_answer(
    job: StoredJob,
    question: Question,
    reason: str | None,
    source: Source,
    at: datetime,
    kind: Literal["failed", "skipped"] = "failed",
) -> Enrichment:
    return Enrichment(
        tenant_id=job.tenant_id,
        message_key=job.message_key,
        provider=job.provider,
        generation=job.generation,
        kind=kind,
        reason=reason,
        index=job.index,
        stage=question.stage,
        source=source,
        at=at,
        recipe=question.recipes[0].id,
        prompt_version=question.prompt_version,
    )


def _forward(job: StoredJob, enrichment: Enrichment, cause: str = "") -> Forward:
    failure = cast(AttachmentReason, enrichment.reason) if enrichment.kind == "failed" else None
    output = Output("enrichments", job.message_key, enrichment, job.generation)
    return Forward((output,), failure=failure, cause=cause)
