"""Answers of models, by tenant, content and recipe: asked once, paid once."""

from dataclasses import dataclass

import asyncpg

from schemas.keys import TenantId
from storage.postgres.pool import unavailable
from storage.postgres.sql import queries


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    text: str
    refused: bool
    model: str
    input_tokens: int
    output_tokens: int
    cost_microusd: int
    latency_ms: int


@dataclass(frozen=True, slots=True)
class AnswerKey:
    tenant_id: TenantId
    sha256: str
    recipe: str


class AiResults:
    """On a pool. Raises Unavailable while Postgres is away."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._sql = queries("ai_results")

    async def find(self, key: AnswerKey) -> RecordedAnswer | None:
        try:
            row = await self._pool.fetchrow(
                self._sql["find"], key.tenant_id, key.sha256, key.recipe
            )
        except Exception as error:
            raise unavailable(error) or error from error
        return None if row is None else RecordedAnswer(**dict(row))

    async def record(
        self, key: AnswerKey, kind: str, prompt_version: str, answer: RecordedAnswer
    ) -> RecordedAnswer:
        """Result and usage in one transaction. Returns what is recorded: the first answer, should two have been paid for."""
        usage = (answer.input_tokens, answer.output_tokens, answer.cost_microusd)
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    self._sql["record"],
                    *(
                        key.tenant_id,
                        key.sha256,
                        key.recipe,
                        kind,
                        answer.text,
                        answer.refused,
                        answer.model,
                        prompt_version,
                    ),
                    *usage,
                    answer.latency_ms,
                )
                await connection.execute(
                    self._sql["count_usage"], key.tenant_id, kind, answer.model, *usage
                )
                row = await connection.fetchrow(
                    self._sql["find"], key.tenant_id, key.sha256, key.recipe
                )
        except Exception as error:
            raise unavailable(error) or error from error
        return answer if row is None else RecordedAnswer(**dict(row))
