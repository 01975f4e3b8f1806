"""Where a command finds its settings and its database."""

import asyncio
import getpass
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import asyncpg
import click
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import QUIET, client_config
from storage.postgres.pool import connect, keep_setting, unavailable
from storage.postgres.tenancy import TenancyError
from storage.postgres.vault import VaultError
from streams.local.home import environment_in, home_at
from streams.settings import HOME_VARIABLE, SettingsError, read_settings

T = TypeVar("T")
HOME_KEY = "sensorium.home"
"""Under which the option of the whole program stands in click's context."""
DEFAULT_HOME = Path("var")
KAFKA_SECONDS = 8.0


def command_environment() -> dict[str, str]:
    """The process's environment over the file `sensorium up` wrote in the folder of `home_folder`.

    Ends the command when the folder was named and holds no such file.
    """
    from_file: dict[str, str] = {}
    if "SENSORIUM_POSTGRES__DSN" not in os.environ:
        file = home_at(home_folder()).environment_file
        if file.exists():
            from_file = environment_in(file)
        elif _named_home():
            raise click.UsageError(
                f"{file} is not there: is {HOME_VARIABLE} (or --home) the folder of `sensorium up`?"
            )
    return from_file | dict(os.environ)


def home_folder() -> Path:
    """The folder of the local installation: what `sensorium --home` or SENSORIUM_HOME names, else `var` here."""
    return Path(_named_home() or DEFAULT_HOME)


def _named_home() -> str | None:
    context = click.get_current_context(silent=True)
    by_option = context.meta.get(HOME_KEY) if context is not None else None
    return by_option or os.environ.get(HOME_VARIABLE)


def where_settings_are() -> str:
    """For a message about a server that is not reached; nothing where settings were found."""
    if "SENSORIUM_POSTGRES__DSN" in os.environ or home_at(home_folder()).environment_file.exists():
        return ""
    return (
        f". No settings were found: there is no {DEFAULT_HOME}/sensorium.env here; name the folder"
        f" of `sensorium up` in {HOME_VARIABLE}, or by sensorium --home"
    )


def command_settings() -> Settings:
    """The settings a command works with. Ends the command with a clear message when one is wrong."""
    try:
        return read_settings(command_environment())
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


@asynccontextmanager
async def database(settings: Settings) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """A connection to the namespace's schema. What it changes is logged under the name of whoever runs the command."""
    connection = await connect(settings.postgres, Names(settings.namespace))
    try:
        await keep_setting(connection, "sensorium.actor", actor())
        yield connection
    finally:
        await connection.close()


def actor() -> str:
    """Who runs this, as `user@host`; behind sudo the user who called it."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def run_command(work: Callable[[], Awaitable[T]]) -> T:
    """Runs it; the trouble a person can fix becomes a message with exit code 1, the rest a traceback."""

    async def to_the_end() -> T:
        return await work()

    try:
        return asyncio.run(to_the_end())
    except (TenancyError, VaultError) as error:
        raise click.ClickException(str(error)) from None
    except asyncpg.UndefinedTableError:
        raise click.ClickException("the database was never migrated: sensorium migrate") from None
    except asyncpg.UndefinedColumnError as error:
        raise click.ClickException(
            f"the database is older than this program ({_first_line(error)}): sensorium migrate"
        ) from None
    except (
        asyncpg.ClientConfigurationError,
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
    ) as error:
        raise click.ClickException(
            f"Postgres is not reached ({error}): look at SENSORIUM_POSTGRES__DSN"
        ) from None
    except Exception as error:
        trouble = unavailable(error)
        if trouble is None:
            raise
        raise click.ClickException(
            f"Postgres cannot be reached or is in trouble ({_first_line(error)}): look at"
            f" SENSORIUM_POSTGRES__DSN, or run sensorium doctor{where_settings_are()}"
        ) from None


def moment(text: str | None) -> datetime | None:
    """A time as a person gives it; without a zone it is this machine's."""
    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text.strip().upper())
        utc = given.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise click.UsageError(
            f"{text!r} is not a time: write it as 2026-01-31T12:00:00Z"
        ) from None
    return max(utc, datetime.fromtimestamp(0, UTC))


def kafka_answers(settings: Settings) -> None:
    """Ends the command with a message when nobody answers there."""
    try:
        AdminClient(client_config(settings.kafka) | QUIET).list_topics(timeout=KAFKA_SECONDS)
    except KafkaException as error:
        raise click.ClickException(kafka_trouble(settings, error)) from None


def kafka_trouble(settings: Settings, error: KafkaException) -> str:
    """One line for a person."""
    said = error.args[0].str()
    return (
        f"Kafka does not answer at {settings.kafka.bootstrap_servers} ({said}): is it up, is"
        f" SENSORIUM_KAFKA__BOOTSTRAP_SERVERS right?{where_settings_are()}"
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
