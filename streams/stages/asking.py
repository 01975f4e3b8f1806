"""What describe and transcribe share: a stored file, recipes, a recorded or paid answer, one
enrichment.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, cast

import msgspec
import structlog

from schemas.keys import MessageKey, TenantId
from schemas.outcomes import Forward, Output, Unavailable
from schemas.reasons import AttachmentReason
from schemas.records import Enrichment, Source, StoredJob

log = structlog.get_logger()

ResultKind = Literal["described", "transcribed"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is asked of which model. `id` hashes all of it: an answer to another recipe is another
    answer.
    """

    id: str
    model: str
    prompt: str | None
    prompt_version: str
    language: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said to the recipe with the id `recipe`.

    `failure` set: it said nothing that may be kept, and why
    (schemas.reasons.AttachmentReason). Tokens as the server
    counted them; `cost_microusd` is None where no price is known.
    """

    text: str
    model: str
    recipe: str = ""
    failure: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int | None = None
    latency_ms: int = 0


@dataclass(frozen=True, slots=True)
class Unfit:
    """The file cannot be shown to a model. `skipped`:
    nothing is wrong with it (too short to hold words).
    """

    reason: str
    skipped: bool = False


class Results(Protocol):
    """Recorded answers by (tenant, content, recipe).

    `find` tries the recipes in order. `record` also counts the usage, and an
    answer that is there already wins. `count` counts the usage of a call
    without an answer to keep: it must record none, so that a replay asks again.
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
    """`waited_seconds` since the job's first try; after `retry_seconds` a model that is away ends
    the job.
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
    """One file to be asked about: by which stage, in what words, to whom. Recipes are in order of
    preference.
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
    """One job in, one enrichment out. Raises Unavailable to be asked again; a model's trouble only
    within `patience`.
    """
    known = await results.find(job.tenant_id, job.sha256, question.recipes)
    if known is not None:
        return _forward(job, _answered(job, question, known, source, now(), cached=True))
    try:
        given = await question.ask()
    except Unavailable as trouble:
        if trouble.what != "model":
            raise
        if not patience.is_over:
            trouble.at_most = patience.left_seconds
            raise
        return _given_up(job, question, trouble, source, now())
    match given:
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
                _failed(job, question, reason, source, now(), "skipped" if skipped else "failed"),
            )
        case Answer():
            kept = await _kept(job, question, given, results)
            return _forward(job, _answered(job, question, kept, source, now(), cached=False))


def _given_up(
    job: StoredJob, question: Question, trouble: Unavailable, source: Source, at: datetime
) -> Forward:
    """A key that is wrong is another thing to fix than a model that is away."""
    log.warning(
        "model_given_up",
        tenant=job.tenant_id,
        message_key=job.message_key,
        stage=question.stage,
        detail=trouble.detail,
    )
    is_the_key = trouble.cause == "model_rejected_key"
    reason: AttachmentReason = "model_rejected_key" if is_the_key else "model_unavailable"
    return _forward(job, _failed(job, question, reason, source, at), trouble.detail)


async def _kept(job: StoredJob, question: Question, given: Answer, results: Results) -> Answer:
    """The answer to go by.

    Only a text is recorded for the file; everything else is only counted.
    """
    if given.failure is None and given.text:
        return await results.record(
            job.tenant_id, job.message_key, job.sha256, question.prompt_version, given
        )
    await results.count(job.tenant_id, given)
    return given


def _answered(
    job: StoredJob, question: Question, given: Answer, source: Source, at: datetime, *, cached: bool
) -> Enrichment:
    log.info(
        "model_answered",
        tenant=job.tenant_id,
        message_key=job.message_key,
        stage=question.stage,
        model=given.model,
        cached=cached,
        failure=given.failure,
    )
    plain = _failed(job, question, given.failure, source, at)
    return msgspec.structs.replace(
        plain,
        kind=question.kind if given.failure is None else "failed",
        text=(given.text or None) if given.failure is None else None,
        model=given.model,
        recipe=given.recipe or question.recipes[0].id,
        input_tokens=given.input_tokens,
        output_tokens=given.output_tokens,
        price_microusd=given.cost_microusd,
        latency_ms=given.latency_ms,
        cached=cached,
    )


def _failed(
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
