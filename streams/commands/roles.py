"""The roles as commands. Each runs until SIGTERM."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module

import click
import structlog

from schemas.pipeline import STAGES
from schemas.settings import Settings
from streams.errors import EXIT_TROUBLE
from streams.roles.logs import configure_logs
from streams.roles.port_claims import PortTaken
from streams.settings import SettingsError, read_settings

_PORT_SETTING = {"receive": "SENSORIUM_RECEIVER__PORT", "console": "SENSORIUM_CONSOLE__PORT"}


def _settings(role: str) -> Settings:
    try:
        settings = read_settings()
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    configure_logs(settings.log, role)
    return settings


def _run(role: str, module: str) -> None:
    """Runs the role on uvloop.

    An error that it raises ends the process with one line that says why.
    """
    import uvloop

    settings = _settings(role)
    run: Callable[[Settings], Awaitable[None]] = import_module(f"streams.roles.{module}").run

    async def to_the_end() -> None:
        await run(settings)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(to_the_end())
    except KeyboardInterrupt:
        pass
    except PortTaken as taken:
        structlog.get_logger().error("port_taken", error=str(taken), setting=_PORT_SETTING[role])
        sys.exit(EXIT_TROUBLE)
    except Exception as error:
        structlog.get_logger().exception("role_ends", error=f"{type(error).__name__}: {error}")
        sys.exit(EXIT_TROUBLE)


@click.command()
def receive() -> None:
    """Accepts webhooks and writes them to raw-messages."""
    _run("receive", "receive_processes")


@click.command()
def sink() -> None:
    """Writes enriched messages and quarantined records to Postgres."""
    _run("sink", "sink")


@click.command()
def console() -> None:
    """Serves contexts, media, messages and schemas over HTTP, and the pages for people."""
    _run("console", "console")


@click.command("stand-in")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8082, show_default=True)
@click.option("--controls", is_flag=True, help="Open the fault switches under /control. For tests.")
def stand_in(host: str, port: int, controls: bool) -> None:
    """Plays a model for tests: speaks OpenAI's API and reports only what it can measure."""
    from streams.roles.stand_in import serve

    _settings("stand-in")
    asyncio.run(serve(host, port, controls=controls))


@click.command("local-models")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8082, show_default=True)
def local_models(host: str, port: int) -> None:
    """Reads pictures and transcribes voice notes on this machine.

    For use without a key.
    """
    from streams.roles.local_models import serve

    settings = _settings("local-models")
    asyncio.run(serve(host, port, settings.local))


@click.command()
@click.argument("stages", nargs=-1, required=True, type=click.Choice(STAGES))
def stream(stages: tuple[str, ...]) -> None:
    """Runs one or more stages, each in a process of its own."""
    from streams.roles.stream import run

    sys.exit(run(_settings("stream"), stages))  # type: ignore[arg-type]
