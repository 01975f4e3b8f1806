"""The output of commands.

With --json it is one JSON document on stdout, otherwise lines. Everything else goes to
stderr.
"""

import json
import re
from collections.abc import Iterable
from datetime import date
from typing import Any

import click

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""The control characters that a terminal may interpret, except tab and line end.

The text that is shown comes from customers.
"""


class Failure(click.ClickException):
    """An error message for a person.

    With --json it is the `error` of the document, which may contain more.
    """

    def __init__(self, message: str, document: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.document = document or {}


def emit(document: Any, as_json: bool, lines: Iterable[str]) -> None:
    """Prints the result of a command."""
    if as_json:
        click.echo(json_text(document))
    else:
        for line in lines:
            click.echo(without_controls(line))


def emit_error(error: click.ClickException) -> None:
    """Prints the one JSON document of a command that failed.

    The message for a person still goes to stderr.
    """
    more = error.document if isinstance(error, Failure) else {}
    click.echo(json_text({"error": error.format_message(), **more}))


def json_text(document: Any) -> str:
    text = json.dumps(document, ensure_ascii=False, default=_plain)
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def without_controls(text: str) -> str:
    """Replaces each character that a terminal would interpret by U+FFFD."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def note(text: str) -> None:
    """Prints progress and remarks for a person on stderr."""
    click.echo(without_controls(text), err=True)


as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout, all else on stderr."
)
