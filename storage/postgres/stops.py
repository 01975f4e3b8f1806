"""Records which stages stopped themselves, and whether a person resumed them."""

from datetime import datetime

import asyncpg

from schemas.pipeline import Stage
from schemas.settings import Postgres
from schemas.topics import Names
from storage.postgres.pool import as_unavailable, connect
from storage.postgres.sql import queries


class StageStops:
    """Opens a connection for each query.

    A stage queries only when it stops and while it is stopped.
    """

    def __init__(self, settings: Postgres, names: Names) -> None:
        self._settings = settings
        self._names = names

    async def quiet(self, stage: Stage) -> float:
        """The seconds for which the stage must not stop itself.

        A person who resumes one process of the stage sets this for all of them.
        """
        seconds: float = (await self._row("stage_quiet", stage))[0]
        return seconds

    async def tenants(self) -> int:
        """The number of tenants, counted up to 2.

        With a single tenant, stopping a stage affects nobody else.
        """
        count: int = (await self._row("count_tenants"))[0]
        return count

    async def stopped(self, stage: Stage, detail: str) -> datetime:
        """Records a stop. Returns its time, which identifies it."""
        moment: datetime = (await self._row("stop_stage", stage, detail))[0]
        return moment

    async def resumed(self, stage: Stage, stop: object, detail: str) -> float | None:
        """The seconds for which the stage must not stop again, or None if not resumed yet.

        A stop that was recorded while its stage was being resumed gets the same quiet
        time. A stop that is missing (a restore, a clean-up) is written again, because
        otherwise nobody could resume it.
        """
        quiet: float | None = (await self._row("stop_resumed", stage, stop, detail))[0]
        return quiet

    async def _row(self, statement: str, *arguments: object) -> "asyncpg.Record":
        with as_unavailable():
            connection = await connect(self._settings, self._names, "stops")
            try:
                row = await connection.fetchrow(queries("stops")[statement], *arguments)
            finally:
                await connection.close()
        assert row is not None, "every statement returns a row"
        return row
