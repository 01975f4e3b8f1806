"""What describe and transcribe share: a stored file, a recipe, a cached or paid answer, one enrichment."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import structlog

from schemas.keys import MessageKey, TenantId
from schemas.outcomes import Forward, Output, Unavailable
from schemas.records import Enrichment, Source, StoredJob

log = structlog.get_logger()

ResultKind = Literal["described", "transcribed"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What was asked of whom. `id` hashes all of it: an answer to another recipe is another answer."""

    id: str
    model: str
    prompt: str | None
    prompt_version: str
    language: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer. `refused`: it would not say, `text` is empty. Tokens as it counted them, cost in millionths of a US dollar."""

    text: str
    model: str
    refused: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int = 0
    latency_ms: int = 0


@dataclass(frozen=True, slots=True)
class Unfit:
    """The file cannot be shown to a model, now or later. `skipped`: nothing is wrong with it (too short to hold words)."""

    reason: str
    skipped: bool = False


class Results(Protocol):
    """Recorded answers by (tenant, content, recipe). `record` also counts the usage; what is there already wins."""

    async def find(self, tenant_id: TenantId, sha256: str, recipe: Recipe) -> Answer | None: ...
    async def record(
        self,
        tenant_id: TenantId,
        message_key: MessageKey,
        sha256: str,
        recipe: Recipe,
        answer: Answer,
    ) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """`waited_seconds` since the job's first try; after `retry_seconds` a model that is away ends the job."""

    waited_seconds: float
    retry_seconds: float

    @property
    def is_over(self) -> bool:
        return self.waited_seconds >= self.retry_seconds


@dataclass(frozen=True, slots=True)
class Question:
    """One file to be asked about: which stage, in what words, who answers."""

    stage: str
    kind: ResultKind
    recipe: Recipe
    ask: Callable[[], Awaitable[Answer | Unfit]]


async def answer(
    job: StoredJob,
    question: Question,
    *,
    results: Results,
    patience: Patience,
    source: Source,
    now: Callable[[], datetime],
) -> Forward:
    """One job in, one enrichment out. Raises Unavailable to be asked again; a model's trouble only within `patience`."""
    recipe = question.recipe
    known = await results.find(job.tenant_id, job.sha256, recipe)
    if known is not None:
        return _forward(job, _answered(job, question, known, source, now(), cached=True))
    try:
        given = await question.ask()
    except Unavailable as trouble:
        if trouble.what == "model" and patience.is_over:
            return _forward(job, _failed(job, question, "model_unavailable", source, now()))
        raise
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
            recorded = await results.record(
                job.tenant_id, job.message_key, job.sha256, recipe, given
            )
            return _forward(job, _answered(job, question, recorded, source, now(), cached=False))


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
        refused=given.refused,
    )
    return Enrichment(
        tenant_id=job.tenant_id,
        message_key=job.message_key,
        provider=job.provider,
        generation=job.generation,
        kind="failed" if given.refused else question.kind,
        reason="refused_by_model" if given.refused else None,
        index=job.index,
        stage=question.stage,
        source=source,
        at=at,
        text=None if given.refused else given.text or None,
        model=given.model,
        recipe=question.recipe.id,
        prompt_version=question.recipe.prompt_version,
        input_tokens=given.input_tokens,
        output_tokens=given.output_tokens,
        cost_microusd=given.cost_microusd,
        latency_ms=given.latency_ms,
        cached=cached,
    )


def _failed(
    job: StoredJob,
    question: Question,
    reason: str,
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
        recipe=question.recipe.id,
        prompt_version=question.recipe.prompt_version,
    )


def _forward(job: StoredJob, enrichment: Enrichment) -> Forward:
    return Forward((Output("enrichments", job.message_key, enrichment, job.generation),))
