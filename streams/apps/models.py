"""What describe and transcribe share of the world: tenants, stored files, recorded answers, the decoder."""

import asyncio

import asyncpg

from connectors.media.preparation import Decoder
from connectors.media.preparation import Unfit as NotPrepared
from connectors.models.answers import ModelAnswer
from connectors.models.recipes import Asked
from schemas import metrics
from schemas.keys import MessageKey, TenantId
from schemas.outcomes import Unavailable
from schemas.records import StoredJob
from schemas.settings import Settings
from schemas.tenants import TenantSettings
from schemas.topics import Names
from storage.objects.store import (
    ObjectMissing,
    ObjectStore,
    ObjectStoreMisconfigured,
    ObjectTooLarge,
)
from storage.postgres.ai_results import AiResults, AnswerKey, RecordedAnswer
from storage.postgres.directory import Directory
from storage.postgres.pool import create_pool
from storage.postgres.vault import Vault
from streams.apps.object_trouble import waiting_for_a_person
from streams.stages.asking import Answer, Recipe, Unfit

MAX_OBJECT_BYTES = 64_000_000
_HARMLESS = frozenset({"audio_too_short"})


class ModelWorld:
    """Opened before the first job; the ports of asking.py on real clients."""

    def __init__(self, settings: Settings, stage: str) -> None:
        self._names = Names(settings.namespace)
        self._settings = settings
        self._stage = stage
        self.directory = Directory(settings.postgres, self._names, Vault(settings.secrets.key))
        self.decoder = Decoder()
        self._store = ObjectStore(settings.objects)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._results: AiResults | None = None

    async def open(self) -> None:
        await self.directory.start()
        await self.directory.wait_loaded()
        self._pool = await create_pool(self._settings.postgres, self._names, self._stage)
        self._results = AiResults(self._pool)

    async def close(self) -> None:
        await self.decoder.__aexit__(None, None, None)
        await self.directory.stop()
        await self._store.close()
        if self._pool is not None:
            self._pool.terminate()

    def tenant(self, tenant_id: TenantId) -> TenantSettings:
        tenant = self.directory.tenant(tenant_id)
        return tenant.settings if tenant is not None else TenantSettings()

    async def stored(self, job: StoredJob) -> bytes | Unfit:
        """The file's bytes. One that is not there any more was erased on purpose: nothing to look at."""
        try:
            return await self._store.get(job.object_key, max_bytes=MAX_OBJECT_BYTES)
        except ObjectMissing:
            return Unfit("media_gone")
        except ObjectTooLarge:
            return Unfit("media_too_large")
        except ObjectStoreMisconfigured as wrong:
            raise waiting_for_a_person(wrong) from wrong

    async def find(self, tenant_id: TenantId, sha256: str, recipe: Recipe) -> Answer | None:
        assert self._results is not None
        recorded = await self._results.find(AnswerKey(tenant_id, sha256, recipe.id))
        metrics.AI_CACHE.labels(self._stage, "miss" if recorded is None else "hit").inc()
        return None if recorded is None else _answer(recorded)

    async def record(
        self,
        tenant_id: TenantId,
        message_key: MessageKey,
        sha256: str,
        recipe: Recipe,
        answer: Answer,
    ) -> Answer:
        """Kept until it is recorded: a paid answer is not thrown away because Postgres is away for a moment."""
        assert self._results is not None
        recorded = RecordedAnswer(
            answer.text,
            answer.refused,
            answer.model,
            answer.input_tokens,
            answer.output_tokens,
            answer.cost_microusd,
            answer.latency_ms,
        )
        while True:
            try:
                return _answer(
                    await self._results.record(
                        AnswerKey(tenant_id, sha256, recipe.id),
                        self._stage,
                        recipe.prompt_version,
                        recorded,
                    )
                )
            except Unavailable as trouble:
                await asyncio.sleep(trouble.retry_after)

    def counted(self, answer: ModelAnswer) -> Answer:
        """The connector's answer as the stage knows it, counted."""
        model = answer.model if answer.model in _KNOWN_MODELS else "other"
        metrics.AI_CALLS.labels(
            self._stage, model, "refused" if answer.refused else "answered"
        ).inc()
        metrics.AI_TOKENS.labels(self._stage, model, "input").inc(answer.input_tokens)
        metrics.AI_TOKENS.labels(self._stage, model, "output").inc(answer.output_tokens)
        metrics.AI_COST.labels(self._stage, model).inc(answer.cost_microusd)
        metrics.AI_SECONDS.labels(self._stage).observe(answer.latency_ms / 1000)
        return Answer(
            answer.text,
            answer.model,
            answer.refused,
            answer.input_tokens,
            answer.output_tokens,
            answer.cost_microusd,
            answer.latency_ms,
        )


_KNOWN_MODELS = frozenset(
    {
        "gpt-4o",
        "gpt-4o-mini",
        "whisper-1",
        "gpt-4o-transcribe",
        "gpt-4o-mini-transcribe",
        "local-eyes-1",
        "whisper-base",
        "stand-in",
    }
)
"""Labels come from a closed set; a tenant's own model is "other"."""


def unfit(prepared: NotPrepared) -> Unfit:
    return Unfit(prepared.reason, skipped=prepared.reason in _HARMLESS)


def recipe_of(asked: Asked) -> Recipe:
    return Recipe(asked.id, asked.model, asked.prompt, asked.prompt_version, asked.language)


def _answer(recorded: RecordedAnswer) -> Answer:
    return Answer(
        recorded.text,
        recorded.model,
        recorded.refused,
        recorded.input_tokens,
        recorded.output_tokens,
        recorded.cost_microusd,
        recorded.latency_ms,
    )
