"""`sensorium readers add|list|remove`: roles of Postgres for data teams."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.readers import ReaderRefused, Readers, dsn_of
from streams.commands.environment import command_settings, database, run_command
from streams.commands.output import as_json_option, emit

T = TypeVar("T")


@click.group()
def readers() -> None:
    """Who may read the rows with SQL, and nothing else (docs/readers.md)."""


@readers.command()
@click.argument("name")
@as_json_option
def add(name: str, as_json: bool) -> None:
    """Makes a role that may read the tables for readers, and prints its address.

    A reader that is there gets a new password, and the tables that are new since.
    """
    settings = command_settings()

    async def work(found: Readers) -> tuple[str, list[str]]:
        return await found.add(name), await found.tables()

    password, tables = _on_database(settings, work)
    dsn = dsn_of(str(settings.postgres.dsn), name, password)
    emit({"name": name, "dsn": dsn, "tables": tables}, as_json, [dsn])


@readers.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """The readers of this namespace, with how many sessions each has now."""
    found = _on_database(command_settings(), lambda readers: readers.all())
    lines = [f"{one['name']}  {one['sessions']} sessions" for one in found]
    emit({"readers": found}, as_json, lines or ["there are no readers"])


@readers.command()
@click.argument("name")
@as_json_option
def remove(name: str, as_json: bool) -> None:
    """Ends a reader, and the sessions that it has."""
    _on_database(command_settings(), lambda readers: readers.remove(name))
    emit({"name": name, "removed": True}, as_json, [f"{name} can read no more"])


def _on_database(settings: Settings, work: Callable[[Readers], Awaitable[T]]) -> T:
    async def connected() -> T:
        async with database(settings) as connection:
            try:
                return await work(Readers(connection, Names(settings.namespace)))
            except ReaderRefused as error:
                raise click.ClickException(str(error)) from None

    return run_command(connected)
