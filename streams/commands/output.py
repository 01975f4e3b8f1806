"""What commands print: one JSON document on stdout with --json, else lines; all else on stderr."""

import json
from collections.abc import Iterable
from datetime import date
from typing import Any

import click


class Failure(click.ClickException):
    """What went wrong, for a person; with --json the document, which may say more than a sentence, has it as `error`."""

    def __init__(self, message: str, document: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.document = document or {}


def emit(document: Any, as_json: bool, lines: Iterable[str]) -> None:
    """The result of a command."""
    if as_json:
        click.echo(json_text(document))
    else:
        for line in lines:
            click.echo(line)


def emit_error(error: click.ClickException) -> None:
    """The one JSON document of a command that failed. The message for a person goes to stderr as always."""
    more = error.document if isinstance(error, Failure) else {}
    click.echo(json_text({"error": error.format_message(), **more}))


def json_text(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def note(text: str) -> None:
    """Progress and remarks, for a person."""
    click.echo(text, err=True)


as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout, all else on stderr."
)
