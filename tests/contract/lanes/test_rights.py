"""A job stage whose Postgres role loses a right or its password. No job is at fault then."""

from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
import pytest
from lane_world import World, app_at_work, until
from test_stages import admit, job, outcomes, said

from connectors.models.recipes import vision_recipes
from connectors.models.servers import servers_of
from schemas import metrics
from schemas.models import Answer
from schemas.settings import Secret, Settings
from schemas.tenants import TenantSettings
from schemas.topics import Names
from storage.postgres.ai_results import AiResults
from streams.apps import describe
from tests.integration.databases import Connection, pooled, schema
from tests.unit.records import TENANT, vision_job

JOBS = 5
RIGHTS = {
    "a privilege": ("REVOKE SELECT ON ai_results FROM {role}", "GRANT SELECT ON ai_results TO {role}"),
    "its password": ("ALTER ROLE {role} PASSWORD 'another'", "ALTER ROLE {role} PASSWORD 'own'"),
    "its login": ("ALTER ROLE {role} NOLOGIN", "ALTER ROLE {role} LOGIN"),
}  # fmt: skip


class Owned(NamedTuple):
    """The database as its owner sees it, and settings with which the stage has another role."""

    owner: Connection
    settings: Settings
    role: str

    async def do(self, *statements: str) -> None:
        for statement in statements:
            await self.owner.execute(statement.format(role=self.role))

    async def end_sessions(self) -> None:
        """Ends the role's sessions, because they would keep the rights of their login."""
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1"
        await self.owner.fetch(ended, self.role)


@pytest.fixture
async def owned(stack: Settings, pipeline_topics: Names) -> AsyncIterator[Owned]:
    names = pipeline_topics
    role, at = f"r_{names.namespace}", urlsplit(str(stack.postgres.dsn))
    dsn = f"postgresql://{role}:own@{at.hostname}:{at.port}{at.path}"
    async with schema(stack.postgres, names) as owner:
        postgres = msgspec.structs.replace(
            stack.postgres, dsn=Secret(dsn), password=Secret(""), listen_dsn=Secret("")
        )
        here = msgspec.structs.replace(stack, namespace=names.namespace, postgres=postgres)
        made = Owned(owner, here, role)
        of_schema = f'IN SCHEMA "{names.postgres_schema}"'
        await made.do("CREATE ROLE {role} LOGIN PASSWORD 'own'")
        try:
            await made.do(
                f'GRANT USAGE ON SCHEMA "{names.postgres_schema}" TO {{role}}',
                f"GRANT ALL ON ALL TABLES {of_schema} TO {{role}}",
                f"GRANT ALL ON ALL SEQUENCES {of_schema} TO {{role}}",
            )
            yield made
        finally:
            await made.end_sessions()
            await made.do("DROP OWNED BY {role}", "DROP ROLE {role}")


async def answer_all(stack: Settings, names: Names, settings: Settings) -> None:
    """Stores an answer for every job in Postgres, so that no model is asked."""
    recipe = vision_recipes(TenantSettings(), servers_of(settings.openai))[0]
    answer = Answer("Un perro", recipe.model, recipe.id)
    async with pooled(stack.postgres, names) as pool:
        await AiResults(pool).record(TENANT, vision_job().sha256, "describe", "1", answer)


def postponed() -> float:
    return metrics.JOB_RETRIES.labels("describe", "postgres")._value.get()


@pytest.mark.parametrize("what", RIGHTS)
async def test_a_right_that_a_job_stage_loses_postpones_its_jobs_and_sets_none_aside(
    what: str, stack: Settings, owned: Owned, pipeline_topics: Names, deaths: list[str]
) -> None:
    kafka = owned.settings.kafka
    topics = World(kafka, pipeline_topics.namespace, kafka.partitions)
    take, give = RIGHTS[what]
    await answer_all(stack, pipeline_topics, owned.settings)
    async with app_at_work(describe.create_app(owned.settings)):
        admit(topics, job(0))
        await until(lambda: len(said(topics)) == 1, "with its rights it works")
        await owned.do(take)
        await owned.end_sessions()
        before = postponed()
        admit(topics, *(job(n) for n in range(1, JOBS)))
        await until(lambda: postponed() >= before + JOBS, "jobs are postponed, some more than once")
        assert (len(said(topics)), topics.read("quarantine", None)) == (1, [])
        await owned.do(give)
        await until(lambda: len(said(topics)) == JOBS, "with its rights again it goes on", 150)
    assert {one.text for one in said(topics)} == {"Un perro"}
    assert (topics.read("quarantine", None), deaths) == ([], [])
    assert outcomes(topics) == [("forwarded", "")] * JOBS
