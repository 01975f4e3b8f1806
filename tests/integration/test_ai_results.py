"""A model's answer is recorded once, for one tenant, and every paid call is counted."""

import asyncio
import dataclasses
from typing import Any

import pytest

from schemas.keys import TenantId
from schemas.models import Answer
from schemas.outcomes import Unavailable
from schemas.settings import Postgres, Secret, Settings
from schemas.topics import Names
from storage.postgres.ai_results import AiResults
from tests.integration.databases import Connection, pooled

ACME = TenantId("acme")
ANSWER = Answer("A cat.", "gpt-4o", "recipe", None, 85, 3, 242, 900)
SECOND = Answer("A dog.", "gpt-4o", "recipe", None, 85, 4, 252, 800)
FILE = "ab" * 32
RECIPES = ["recipe"]


async def usage_of(database: Connection) -> list[tuple[Any, ...]]:
    rows = await database.fetch(
        "SELECT tenant_id, kind, model, calls, input_tokens, output_tokens, cost_microusd FROM ai_usage"
    )
    return [tuple(row) for row in rows]


async def test_the_first_answer_is_kept_and_every_paid_call_is_counted(
    stack: Settings, names: Names, database: Connection
) -> None:
    async with pooled(stack.postgres, names) as pool:
        results = AiResults(pool)
        assert await results.find(ACME, FILE, RECIPES) is None
        assert await results.record(ACME, FILE, "vision", "v1", ANSWER) == ANSWER
        assert await results.record(ACME, FILE, "vision", "v1", SECOND) == ANSWER
        assert await results.find(ACME, FILE, RECIPES) == ANSWER
    assert await usage_of(database) == [("acme", "vision", "gpt-4o", 2, 170, 7, 494)]


async def test_a_call_without_an_answer_is_counted_and_leaves_nothing_to_be_found(
    stack: Settings, names: Names, database: Connection
) -> None:
    async with pooled(stack.postgres, names) as pool:
        results = AiResults(pool)
        await results.count(ACME, "vision", dataclasses.replace(ANSWER, text=""))
        assert await results.find(ACME, FILE, RECIPES) is None
    assert await usage_of(database) == [("acme", "vision", "gpt-4o", 1, 85, 3, 242)]
    assert await database.fetchval("SELECT count(*) FROM ai_results") == 0


async def test_a_day_with_a_call_of_unknown_price_has_no_sum(
    stack: Settings, names: Names, database: Connection
) -> None:
    unknown = dataclasses.replace(ANSWER, cost_microusd=None)
    async with pooled(stack.postgres, names) as pool:
        results = AiResults(pool)
        await results.record(ACME, FILE, "vision", "v1", unknown)
        assert await results.find(ACME, FILE, RECIPES) == unknown
        await results.count(ACME, "vision", ANSWER)
    assert await usage_of(database) == [("acme", "vision", "gpt-4o", 2, 170, 6, None)]


@pytest.mark.parametrize(("text", "refused"), [("", True), ("No puedo.", True), ("", False)])
async def test_a_refusal_that_an_earlier_program_recorded_is_not_an_answer(
    text: str, refused: bool, stack: Settings, names: Names, database: Connection
) -> None:
    await database.execute(
        """INSERT INTO ai_results (tenant_id, sha256, recipe, kind, text, refused, model,
               prompt_version, input_tokens, output_tokens, cost_microusd, latency_ms)
           VALUES ('acme', $1, 'recipe', 'vision', $2, $3, 'gpt-4o', 'v1', 0, 0, 0, 0)""",
        FILE,
        text,
        refused,
    )
    async with pooled(stack.postgres, names) as pool:
        results = AiResults(pool)
        assert await results.find(ACME, FILE, RECIPES) is None
        assert await results.record(ACME, FILE, "vision", "v1", ANSWER) == ANSWER
        assert await results.find(ACME, FILE, RECIPES) == ANSWER


async def test_of_several_recipes_the_first_that_has_an_answer_is_found(
    stack: Settings, names: Names, database: Connection
) -> None:
    later = dataclasses.replace(SECOND, recipe="next")
    async with pooled(stack.postgres, names) as pool:
        results = AiResults(pool)
        await results.record(ACME, FILE, "vision", "v1", later)
        assert await results.find(ACME, FILE, ["recipe", "next"]) == later
        await results.record(ACME, FILE, "vision", "v1", ANSWER)
        assert await results.find(ACME, FILE, ["recipe", "next"]) == ANSWER
        assert await results.find(ACME, FILE, ["next", "recipe"]) == later


async def test_answers_recorded_at_once_are_one_answer(
    stack: Settings, names: Names, database: Connection
) -> None:
    async with pooled(stack.postgres, names, size=8) as pool:
        results = AiResults(pool)
        returned = await asyncio.gather(
            *(results.record(ACME, FILE, "vision", "v1", one) for one in (ANSWER, SECOND) * 8)
        )
        assert set(returned) == {await results.find(ACME, FILE, RECIPES)}
    assert await database.fetchval("SELECT calls FROM ai_usage") == 16


@pytest.mark.parametrize(
    ("tenant", "file", "recipes"),
    [
        (TenantId("other"), FILE, RECIPES),
        (ACME, "cd" * 32, RECIPES),
        (ACME, FILE, ["else"]),
        (ACME, FILE, []),
    ],
)
async def test_an_answer_is_nobody_elses(
    tenant: TenantId,
    file: str,
    recipes: list[str],
    stack: Settings,
    names: Names,
    database: Connection,
) -> None:
    async with pooled(stack.postgres, names) as pool:
        await AiResults(pool).record(ACME, FILE, "vision", "v1", ANSWER)
        assert await AiResults(pool).find(tenant, file, recipes) is None


async def test_without_a_database_an_answer_waits(names: Names) -> None:
    async with pooled(Postgres(dsn=Secret("postgresql://nobody@127.0.0.1:9/none")), names) as pool:
        for attempt in (
            AiResults(pool).find(ACME, FILE, RECIPES),
            AiResults(pool).record(ACME, FILE, "vision", "v1", ANSWER),
            AiResults(pool).count(ACME, "vision", ANSWER),
        ):
            with pytest.raises(Unavailable) as caught:
                await attempt
            assert caught.value.what == "postgres"
