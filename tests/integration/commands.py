"""Runs commands in this process, as an operator runs them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from click.testing import CliRunner, Result

from schemas.records import EnrichedMessage
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.pool import connect
from streams.commands.main import main
from streams.settings import to_environment
from tests.integration.databases import Connection, drop_schema, make_schema, merge
from tests.topics import make_topics

T = TypeVar("T")


@dataclass
class Commands:
    """Commands with these settings. `more` are further variables of the environment."""

    settings: Settings
    more: dict[str, str]

    @property
    def names(self) -> Names:
        return Names(self.settings.namespace)

    def run(self, *words: str) -> Result:
        result = CliRunner().invoke(main, words, env=to_environment(self.settings) | self.more)
        assert result.exception is None or isinstance(result.exception, SystemExit), (
            result.exception
        )
        assert "Traceback" not in result.stderr
        return result

    def json(self, *words: str, exit_code: int = 0) -> Any:
        """The one JSON document on stdout."""
        result = self.run(*words, "--json")
        assert result.exit_code == exit_code, result.stderr
        return json.loads(result.stdout)

    def fails(self, *words: str) -> str:
        """The message of a command that fails.

        With --json its document says the same.
        """
        plain, result = self.run(*words), self.run(*words, "--json")
        for one in (plain, result):
            assert one.exit_code in (1, 2), one.stdout
        assert plain.stdout == ""
        message = result.stderr.rpartition("Error: ")[2].strip()
        assert json.loads(result.stdout)["error"] == message and "\n" not in message
        return message

    def make_tables(self) -> None:
        """Does what `sensorium migrate` does, without the comments on tables and columns."""
        self.database(lambda connection: make_schema(connection, self.names))

    def make_topics(self) -> None:
        """Does what `sensorium topics apply` does, and waits until every client sees the topics."""
        make_topics(self.settings.kafka, self.names)

    def drop_tables(self) -> None:
        self.database(lambda connection: drop_schema(connection, self.names))

    def database(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async def connected() -> T:
            connection = await connect(self.settings.postgres, self.names, "test")
            try:
                return await work(connection)
            finally:
                await connection.close()

        return asyncio.run(connected())


def store(commands: Commands, *messages: EnrichedMessage) -> None:
    async def written(connection: Connection) -> None:
        await merge(connection, *messages)

    commands.database(written)
