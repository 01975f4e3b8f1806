"""`sensorium up | down | status`: everything on this machine, without Docker.

Also `parts`, which fetches what `up` needs.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import click
import msgspec

from streams.commands.environment import home_folder
from streams.local import kafka, objects, postgres
from streams.local.figures import figures_of, frozen, waits_in_words
from streams.local.home import Home, home_at
from streams.local.lifecycle import down as bring_down
from streams.local.lifecycle import is_whole, models_answering, supervisor_of
from streams.local.lifecycle import status as look
from streams.local.lifecycle import up as bring_up
from streams.local.preparing import Preparing
from streams.local.processes import LocalError
from streams.local.supervisor import Running
from streams.local.user_settings import keep_settings, say_sources, user_settings
from streams.local.weights import fetch_all
from streams.settings import SettingsError, read_settings

_home = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=home_folder,
    show_default="SENSORIUM_HOME, else var",
    help="The folder of this installation.",
)
_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


@click.command()
@_home
@_json
@click.option(
    "--only-servers",
    is_flag=True,
    help="Kafka, Postgres and the object store, without topics, tables and roles.",
)
@click.option(
    "--settings",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File with SENSORIUM_* lines.  [default: .env, if there is one here]",
)
def up(home: Path, as_json: bool, only_servers: bool, settings: Path | None) -> None:
    """Starts everything on this machine.

    Settings (SENSORIUM_*) come from the environment, from .env, and from the
    environment of an earlier `up`, in this order. A second `up` restarts only what
    changed.
    """
    say, at = _clock(), home_at(home)
    dotenv = Path(".env")
    try:
        chosen = user_settings(at, os.environ, settings or (dotenv if dotenv.exists() else None))
        say_sources(chosen, say)
        result = bring_up(at, chosen.values, say=say, only_servers=only_servers)
        keep_settings(at, chosen)
    except (LocalError, SettingsError) as error:
        raise click.ClickException(str(error)) from None
    if result.models:
        say(
            "neither SENSORIUM_OPENAI__API_KEY nor SENSORIUM_OPENAI__BASE_URL is set; "
            "instead these models answer:"
        )
        for line in result.models:
            say(f"  {line}")
        say("  none of them describes a scene: set a key or the URL of a server for that")
    say(f"up; all settings in force are in {home / 'sensorium.env'}")
    if as_json:
        _print_json(result.processes, result.models)


@click.command()
@_home
@_json
def down(home: Path, as_json: bool) -> None:
    """Stops what `up` started. The data stays."""
    rows = bring_down(home_at(home), say=_clock())
    if as_json:
        _print_json(rows, [])


@click.command()
@_home
@_json
@click.pass_context
def status(context: click.Context, home: Path, as_json: bool) -> None:
    """Shows what runs. Exit code 1 if something does not."""
    at = home_at(home)
    rows = _with_frozen(at, look(at))
    models = models_answering(at)
    _print_json(rows, models) if as_json else _print_table(rows, models)
    if not rows:
        click.echo("nothing was started here: run `sensorium up`", err=True)
    elif supervisor_of(at) is None:
        click.echo("no supervisor restarts these: run `sensorium up`", err=True)
    context.exit(0 if is_whole(rows) and supervisor_of(at) else 1)


@click.command(hidden=True)
def parts() -> None:
    """Fetches and builds the programs that `up` and the tests start, and nothing else."""
    say = _clock()
    try:
        named = read_settings().local.whisper_dir
        say(f"java: {kafka.java()}")
        say(f"postgres: {postgres.programs()}")
        makers: dict[str, Callable[[], object]] = {
            "kafka": lambda: kafka.jars(say),
            "objects": lambda: objects.built(objects.chosen(), say),
            "weights": lambda: fetch_all(named, say),
        }
        with Preparing(makers, say) as making:
            say(f"kafka: {making.take('kafka')}")
            making.take("weights")
            say(f"objects: {making.take('objects')}")
    except (LocalError, SettingsError) as error:
        raise click.ClickException(str(error)) from None


def _clock() -> Callable[[str], None]:
    """Returns a function that prints progress on stderr, with the seconds since the start."""
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {line}", file=sys.stderr, flush=True)

    return say


def _print_json(rows: list[Running], models: list[str]) -> None:
    shown = [
        {
            "name": r.name,
            "role": r.role,
            "pid": r.pid,
            "port": r.port,
            "url": r.url,
            "state": r.state,
            "restarts": max(0, r.starts - 1),
            "uptime_seconds": _uptime_seconds(r),
            **figures_of(r)._asdict(),
        }
        for r in rows
    ]
    click.echo(json.dumps({"processes": shown, "models": models}, indent=2))


def _print_table(rows: list[Running], models: list[str]) -> None:
    for row in rows:
        up, restarts = _uptime_seconds(row), max(0, row.starts - 1)
        uptime = "" if up is None else str(timedelta(seconds=up))
        notes = [f"{restarts} restarts"] if restarts else []
        notes += waits_in_words(figures_of(row))
        process = f"{row.name:12} {row.state:10} {row.pid or '-':>8} {uptime:>9}"
        click.echo(f"{process}  {row.url or '':24}  {', '.join(notes)}".rstrip())
    for line in models:
        click.echo(line)


def _with_frozen(home: Home, rows: list[Running]) -> list[Running]:
    """Marks processes that a signal stopped as frozen, although they live.

    A child has the name of its parent.
    """
    names = {name for name, _ in frozen(home)}
    return [
        msgspec.structs.replace(row, state="frozen") if row.name in names else row for row in rows
    ]


def _uptime_seconds(row: Running) -> int | None:
    return round(time.time() - row.since) if row.pid and row.since else None
