"""`sensorium readers add|list|remove`: Postgres roles for data teams."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.readers import ReaderRefused, Readers, dsn_of
from streams.commands.environment import command_settings, database, run_command
from streams.commands.output import as_json_option, emit
from streams.commands.waiting import counted

T = TypeVar("T")


@click.group()
def readers() -> None:
    """Manages Postgres roles that may only read (docs/readers.md)."""


@readers.command()
@click.argument("name")
@as_json_option
def add(name: str, as_json: bool) -> None:
    """Creates a role that may read the tables for readers, and prints its DSN.

    A reader that exists gets a new password, and access to tables that are new.
    """
    settings = command_settings()

    async def work(readers_: Readers) -> tuple[str, list[str]]:
        return await readers_.add(name), await readers_.tables()

    password, tables = _on_database(settings, work)
    dsn = dsn_of(str(settings.postgres.dsn), name, password)
    emit({"name": name, "dsn": dsn, "tables": tables}, as_json, [dsn])


@readers.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """Lists the readers of this namespace and the number of their sessions."""
    readers_ = _on_database(command_settings(), lambda readers: readers.all())
    lines = [f"{one['name']}  {counted(one['sessions'], 'session')}" for one in readers_]
    emit({"readers": readers_}, as_json, lines or ["there are no readers"])


@readers.command()
@click.argument("name")
@as_json_option
def remove(name: str, as_json: bool) -> None:
    """Removes a reader and ends its sessions."""
    _on_database(command_settings(), lambda readers: readers.remove(name))
    emit({"name": name, "removed": True}, as_json, [f"{name} can no longer read"])


def _on_database(settings: Settings, work: Callable[[Readers], Awaitable[T]]) -> T:
    async def connected() -> T:
        async with database(settings) as connection:
            try:
                return await work(Readers(connection, Names(settings.namespace)))
            except ReaderRefused as error:
                raise click.ClickException(str(error)) from None

    return run_command(connected)
