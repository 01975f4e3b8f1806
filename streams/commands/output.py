"""What commands print: one JSON document on stdout with --json, else lines; all else on stderr."""

import json
import re
from collections.abc import Iterable
from datetime import date
from typing import Any

import click

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal may obey: all but tab and line end.

Customers write what is shown here.
"""


class Failure(click.ClickException):
    """What went wrong, for a person; with --json the document, which may say more than a sentence,
    has it as `error`.
    """

    def __init__(self, message: str, document: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.document = document or {}


def emit(document: Any, as_json: bool, lines: Iterable[str]) -> None:
    """The result of a command."""
    if as_json:
        click.echo(json_text(document))
    else:
        for line in lines:
            click.echo(obeyed_by_none(line))


def emit_error(error: click.ClickException) -> None:
    """The one JSON document of a command that failed.

    The message for a person goes to stderr as always.
    """
    more = error.document if isinstance(error, Failure) else {}
    click.echo(json_text({"error": error.format_message(), **more}))


def json_text(document: Any) -> str:
    text = json.dumps(document, ensure_ascii=False, default=_plain)
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def obeyed_by_none(text: str) -> str:
    """The text, with a mark in place of each character by which a terminal is told what to do."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def note(text: str) -> None:
    """Progress and remarks, for a person."""
    click.echo(obeyed_by_none(text), err=True)


as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout, all else on stderr."
)
