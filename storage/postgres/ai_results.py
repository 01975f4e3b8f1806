"""Model answers by tenant, content and recipe, so that each is paid for once."""

from collections.abc import Sequence

import asyncpg

from schemas.keys import TenantId
from schemas.models import Answer
from storage.postgres.pool import as_unavailable
from storage.postgres.sql import queries


class AiResults:
    """Uses a pool. Raises Unavailable while Postgres cannot be reached."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._sql = queries("ai_results")

    async def find(self, tenant_id: TenantId, sha256: str, recipes: Sequence[str]) -> Answer | None:
        """The answer to the first of the recipes that has one, or None.

        It is never a refusal or an empty text.
        """
        with as_unavailable():
            row = await self._pool.fetchrow(self._sql["find"], tenant_id, sha256, list(recipes))
        return None if row is None else Answer(**dict(row))

    async def record(
        self,
        tenant_id: TenantId,
        sha256: str,
        kind: str,
        prompt_version: str,
        answer: Answer,
    ) -> Answer:
        """Stores the answer and its usage in one transaction, and returns the stored answer.

        If an answer was stored before, that one stays and is returned.
        """
        usage = (answer.input_tokens, answer.output_tokens, answer.cost_microusd)
        place = (tenant_id, sha256, answer.recipe)
        with as_unavailable():
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    self._sql["record"],
                    *place,
                    *(kind, answer.text, answer.model, prompt_version),
                    *(*usage, answer.latency_ms),
                )
                await connection.execute(
                    self._sql["count_usage"], tenant_id, kind, answer.model, *usage
                )
                row = await connection.fetchrow(
                    self._sql["find"], tenant_id, sha256, [answer.recipe]
                )
        return answer if row is None else Answer(**dict(row))

    async def count(self, tenant_id: TenantId, kind: str, answer: Answer) -> None:
        """Records the usage of a call that produced no answer to keep."""
        usage = (answer.input_tokens, answer.output_tokens, answer.cost_microusd)
        with as_unavailable():
            await self._pool.execute(
                self._sql["count_usage"], tenant_id, kind, answer.model, *usage
            )
