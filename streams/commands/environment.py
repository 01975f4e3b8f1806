"""The settings, the database connection and the error messages that commands share."""

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
from storage.kafka.counts import CountReader, WrongCounts
from storage.postgres.pool import connect, keep_setting, unavailable
from storage.postgres.tenancy import TenancyError
from storage.postgres.vault import VaultError
from streams.local.home import environment_in, home_at
from streams.settings import HOME_VARIABLE, SettingsError, read_settings

T = TypeVar("T")
HOME_KEY = "sensorium.home"
"""The key of the option --home in click's context."""
DEFAULT_HOME = Path("var")
KAFKA_SECONDS = 8.0


def command_environment() -> dict[str, str]:
    """Returns the process's environment, with the file that `sensorium up` wrote to the
    home folder as defaults.

    Ends the command if a folder was named but does not contain that file.
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
    """Returns the folder of the local installation.

    It comes from `sensorium --home` or SENSORIUM_HOME, and is `./var` otherwise.
    """
    return Path(_named_home() or DEFAULT_HOME)


def _named_home() -> str | None:
    context = click.get_current_context(silent=True)
    by_option = context.meta.get(HOME_KEY) if context is not None else None
    return by_option or os.environ.get(HOME_VARIABLE)


def where_settings_are() -> str:
    """Returns a hint for the message about an unreachable server, or "" if settings were found."""
    if "SENSORIUM_POSTGRES__DSN" in os.environ or home_at(home_folder()).environment_file.exists():
        return ""
    return (
        f". No settings were found, as there is no {DEFAULT_HOME}/sensorium.env here: "
        f"give the folder of `sensorium up` in {HOME_VARIABLE} or with sensorium --home"
    )


def command_settings() -> Settings:
    """Reads the settings of a command.

    Ends the command with a clear message if one is wrong.
    """
    try:
        return read_settings(command_environment())
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


@asynccontextmanager
async def database(settings: Settings) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """Opens a connection to the namespace's schema.

    Its changes are logged under the name of the person who runs the command.
    """
    connection = await connect(settings.postgres, Names(settings.namespace))
    try:
        await keep_setting(connection, "sensorium.actor", actor())
        yield connection
    finally:
        await connection.close()


def actor() -> str:
    """Returns the person who runs this, as `user@host`.

    Under sudo it is the user who called sudo.
    """
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a user of a container often has no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def run_command(work: Callable[[], Awaitable[T]]) -> T:
    """Runs `work`.

    An error that a person can fix becomes a message with exit code 1, any other error a
    traceback.
    """

    async def to_the_end() -> T:
        return await work()

    try:
        return asyncio.run(to_the_end())
    except (TenancyError, VaultError, WrongCounts) as error:
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
            f"Postgres cannot be reached ({error}): check SENSORIUM_POSTGRES__DSN"
        ) from None
    except Exception as error:
        trouble = unavailable(error)
        if trouble is None:
            raise
        raise click.ClickException(
            f"Postgres cannot be reached or is in trouble ({_first_line(error)}): check"
            f" SENSORIUM_POSTGRES__DSN, or run sensorium doctor{where_settings_are()}"
        ) from None


def moment(text: str | None) -> datetime | None:
    """Parses a time as a person writes it.

    Without a zone it is in this machine's zone.
    """
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text.strip().upper())
        utc = parsed.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise click.UsageError(
            f"{text!r} is not a time: write it as 2026-01-31T12:00:00Z"
        ) from None
    return max(utc, datetime.fromtimestamp(0, UTC))


def kafka_answers(settings: Settings) -> None:
    """Ends the command with a message if no broker answers."""
    try:
        AdminClient(client_config(settings.kafka) | QUIET).list_topics(timeout=KAFKA_SECONDS)
    except KafkaException as error:
        raise click.ClickException(kafka_trouble(settings, error)) from None


def counts_fit(settings: Settings, *, or_away: bool = False) -> None:
    """Ends the command with a message if a topic has another partition count than the settings.

    Does the same if no broker answers, unless `or_away` is set because a later call
    reports that. A command that continued with a wrong count would see only a part of
    the partitions.
    """
    try:
        CountReader(settings.kafka).require(Names(settings.namespace).topics)
    except WrongCounts as wrong:
        raise click.ClickException(str(wrong)) from None
    except KafkaException as error:
        if not or_away:
            raise click.ClickException(kafka_trouble(settings, error)) from None


def kafka_trouble(settings: Settings, error: KafkaException) -> str:
    """Returns one line that explains a Kafka error to a person."""
    detail = error.args[0].str()
    return (
        f"Kafka does not answer at {settings.kafka.bootstrap_servers} ({detail}): is "
        f"it up, is SENSORIUM_KAFKA__BOOTSTRAP_SERVERS right?{where_settings_are()}"
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
