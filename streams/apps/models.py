"""The clients that describe and transcribe share.

They are the tenants, the stored files, the recorded answers and the decoder.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, TypeVar

import asyncpg
import structlog

from connectors.media.preparation import Decoder, NotPrepared
from connectors.models.answers import ModelAnswer
from connectors.models.errors import ModelUnavailable
from connectors.models.labels import ModelLabels
from connectors.models.model_choice import ModelChoice
from connectors.models.prices import Prices
from connectors.models.servers import Server
from schemas import metrics
from schemas.keys import MessageKey, TenantId
from schemas.models import Answer, Recipe
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
from storage.postgres.ai_results import AiResults
from storage.postgres.directory import Directory
from storage.postgres.pool import create_pool
from storage.postgres.vault import Vault
from streams.apps.store_errors import waiting_for_a_person
from streams.errors import StreamsError
from streams.stages.model_jobs import Unfit

log = structlog.get_logger()

MAX_OBJECT_BYTES = 64_000_000
MOST_TIME_OUTS = 3
"""A file is given up after this many time-outs in a row, because each call may have been paid."""
MOST_COUNTED = 10_000
_HARMLESS = frozenset({"audio_too_short", "audio_silent"})
T = TypeVar("T")


class FileUnavailable(StreamsError):
    """The file was erased on purpose or is too large, so there is nothing to give to the model."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Trouble(NamedTuple):
    """The last trouble of a tenant's calls."""

    name: str
    holds: bool


class ModelClients:
    """The ports of model_jobs.py on real clients, opened before the first job.

    `server` serves this stage's models.
    """

    def __init__(self, settings: Settings, stage: str, server: Server) -> None:
        self._names = Names(settings.namespace)
        self._settings = settings
        self._stage = stage
        self._server = server
        self._choice = ModelChoice()
        self._time_outs = TimeOuts()
        self._troubles: dict[TenantId, _Trouble] = {}
        self._labels = ModelLabels(settings.openai, Prices(settings.openai))
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
        await self.decoder.start()

    def healthy(self) -> bool:
        return self.directory.healthy

    async def close(self) -> None:
        await self.decoder.__aexit__(None, None, None)
        await self.directory.stop()
        await self._store.close()
        if self._pool is not None:
            self._pool.terminate()

    def tenant(self, tenant_id: TenantId) -> TenantSettings:
        tenant = self.directory.tenant(tenant_id)
        return tenant.settings if tenant is not None else TenantSettings()

    def load(self, job: StoredJob) -> Callable[[], Awaitable[bytes]]:
        """Returns a function that loads the file's bytes, called once a decoder is free.

        That function raises FileUnavailable. For a removed tenant no model is asked any
        more, even if the file still exists.
        """

        async def stored() -> bytes:
            if self.directory.is_removed(job.tenant_id):
                raise FileUnavailable("media_gone")
            try:
                return await self._store.get(job.object_key, max_bytes=MAX_OBJECT_BYTES)
            except ObjectMissing:
                raise FileUnavailable("media_gone") from None
            except ObjectTooLarge:
                raise FileUnavailable("media_too_large") from None
            except ObjectStoreMisconfigured as wrong:
                raise waiting_for_a_person(wrong) from wrong

        return stored

    async def find(
        self, tenant_id: TenantId, sha256: str, recipes: tuple[Recipe, ...]
    ) -> Answer | None:
        assert self._results is not None
        recorded = await self._results.find(tenant_id, sha256, [recipe.id for recipe in recipes])
        metrics.AI_CACHE.labels(self._stage, "miss" if recorded is None else "hit").inc()
        return recorded

    async def record(
        self,
        tenant_id: TenantId,
        message_key: MessageKey,
        sha256: str,
        prompt_version: str,
        answer: Answer,
    ) -> Answer:
        """Tries until the answer is recorded.

        So a short outage of Postgres does not lose a paid answer.
        """
        results = self._results
        assert results is not None
        return await _until_it_works(
            lambda: results.record(tenant_id, sha256, self._stage, prompt_version, answer)
        )

    async def count(self, tenant_id: TenantId, answer: Answer) -> None:
        """Counts the usage of a call without recording its answer. Tries until it succeeds."""
        results = self._results
        assert results is not None
        await _until_it_works(lambda: results.count(tenant_id, self._stage, answer))

    async def ask(
        self,
        job: StoredJob,
        recipes: tuple[Recipe, ...],
        turn: Callable[[], AbstractAsyncContextManager[None]],
        call: Callable[[Recipe], Awaitable[ModelAnswer | Unfit]],
    ) -> Answer | Unfit:
        """Asks the first available model of the recipes, and counts the call.

        The call waits for its turn at the model's server. A file whose calls time out
        again and again is given up.
        """

        async def call_in_turn(recipe: Recipe) -> ModelAnswer | Unfit:
            async with turn():
                return await call(recipe)

        key = self._server.key_for(self.tenant(job.tenant_id).openai_key)
        item = (job.tenant_id, job.sha256, recipes[0].id)
        try:
            answer = await self._choice.first_served(recipes, key, call_in_turn)
        except FileUnavailable as gone:
            return Unfit(gone.reason)
        except ModelUnavailable as trouble:
            self._count_trouble(job, recipes, trouble)
            if self._time_outs.is_exhausted(item, timed_out=trouble.trouble == "model_timeout"):
                return Unfit("model_timeout")
            raise
        self._time_outs.forget(item)
        if isinstance(answer, Unfit):
            return answer
        self._trouble_is_over(job.tenant_id)
        return self._counted(answer, recipes)

    def _count_trouble(
        self, job: StoredJob, recipes: tuple[Recipe, ...], trouble: ModelUnavailable
    ) -> None:
        """Counts each failed call.

        The log reports it once per tenant, until the trouble changes or ends.
        """
        metrics.AI_TROUBLE.labels(self._stage, trouble.trouble).inc()
        label = self._labels.of(recipes[0].model)
        metrics.AI_CALLS.labels(self._stage, label, trouble.trouble).inc()
        before = self._troubles.get(job.tenant_id)
        self._troubles[job.tenant_id] = _Trouble(trouble.trouble, trouble.hold)
        self._count_held()
        if before is not None and before.name == trouble.trouble:
            return
        log.warning(
            "model_rejected_key" if trouble.trouble == "model_rejected_key" else "model_trouble",
            tenant=job.tenant_id,
            message_key=job.message_key,
            stage=self._stage,
            detail=trouble.detail,
            holds=trouble.hold,
        )

    def _trouble_is_over(self, tenant_id: TenantId) -> None:
        before = self._troubles.pop(tenant_id, None)
        self._count_held()
        if before is not None:
            log.info("model_trouble_over", tenant=tenant_id, stage=self._stage, was=before.name)

    def _count_held(self) -> None:
        held = sum(
            trouble.holds and trouble.name != "model_rate_limited"
            for trouble in self._troubles.values()
        )
        metrics.AI_HELD.labels(self._stage).set(held)

    def _counted(self, answer: ModelAnswer, recipes: tuple[Recipe, ...]) -> Answer | Unfit:
        """Counts the connector's answer in the metrics and converts it to the stage's type."""
        model = self._labels.of(answer.requested_model, answer.model)
        result = answer.failure or "answered"
        metrics.AI_CALLS.labels(self._stage, model, result).inc()
        metrics.AI_TOKENS.labels(self._stage, model, "input").inc(answer.input_tokens)
        metrics.AI_TOKENS.labels(self._stage, model, "output").inc(answer.output_tokens)
        if answer.cost_microusd is None:
            metrics.AI_UNPRICED.labels(self._stage, model).inc()
        else:
            metrics.AI_COST.labels(self._stage, model).inc(answer.cost_microusd)
        metrics.AI_SECONDS.labels(self._stage).observe(answer.latency_ms / 1000)
        if answer.failure in _HARMLESS:
            return Unfit(answer.failure, skipped=True)
        return Answer(
            answer.text,
            answer.model,
            next(recipe.id for recipe in recipes if recipe.model == answer.requested_model),
            answer.failure,
            answer.input_tokens,
            answer.output_tokens,
            answer.cost_microusd,
            answer.latency_ms,
        )


class TimeOuts:
    """Counts, per file, the calls in a row that timed out.

    The counts are in memory, so a restart begins at zero.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[TenantId, str, str], int] = OrderedDict()

    def is_exhausted(self, item: tuple[TenantId, str, str], *, timed_out: bool) -> bool:
        """Returns true if this was one time-out too many.

        Any other trouble resets the count.
        """
        if not timed_out:
            self.forget(item)
            return False
        self._counts[item] = self._counts.pop(item, 0) + 1
        if len(self._counts) > MOST_COUNTED:
            self._counts.popitem(last=False)
        over = self._counts[item] >= MOST_TIME_OUTS
        if over:
            self.forget(item)
        return over

    def forget(self, item: tuple[TenantId, str, str]) -> None:
        self._counts.pop(item, None)


async def _until_it_works(attempt: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await attempt()
        except Unavailable as trouble:
            await asyncio.sleep(trouble.retry_after)


def unfit(prepared: NotPrepared) -> Unfit:
    return Unfit(prepared.reason, skipped=prepared.reason in _HARMLESS)
