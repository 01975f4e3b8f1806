"""Stages that stopped themselves, and who let them go on."""

from datetime import datetime

import asyncpg

from schemas.pipeline import Stage
from schemas.settings import Postgres
from schemas.topics import Names
from storage.postgres.pool import connect, unavailable
from storage.postgres.sql import queries


class StageStops:
    """A connection for each question: a stage asks
    only when it stops and while it is stopped.
    """

    def __init__(self, settings: Postgres, names: Names) -> None:
        self._settings = settings
        self._names = names

    async def quiet(self, stage: Stage) -> float:
        """For how many seconds more nothing shall stop the stage:
        what a person said to one of its processes holds for all.
        """
        seconds: float = (await self._row("stage_quiet", stage))[0]
        return seconds

    async def tenants(self) -> int:
        """How many there are: with one only, stopping a stage stops nobody else."""
        count: int = (await self._row("count_tenants"))[0]
        return count

    async def stopped(self, stage: Stage, detail: str) -> datetime:
        """Writes it down; returns the moment that names the stop."""
        moment: datetime = (await self._row("stop_stage", stage, detail))[0]
        return moment

    async def resumed(self, stage: Stage, stop: object, detail: str) -> float | None:
        """None: nobody resumed it yet. Else for how many
        seconds from now on nothing shall stop the stage.

        One that was written while its stage was resumed shares the quiet
        that was given then. A stop that is not there any more (a restore,
        a clean-up) is written again, else nobody could resume it.
        """
        quiet: float | None = (await self._row("stop_resumed", stage, stop, detail))[0]
        return quiet

    async def _row(self, statement: str, *arguments: object) -> "asyncpg.Record":
        try:
            connection = await connect(self._settings, self._names, "stops")
            try:
                row = await connection.fetchrow(queries("stops")[statement], *arguments)
            finally:
                await connection.close()
        except Exception as error:
            trouble = unavailable(error)
            if trouble is None:
                raise
            raise trouble from error
        assert row is not None, "every statement returns a row"
        return row
