"""What commands print: one JSON document on stdout with --json, else lines; all else on stderr."""

import json
from collections.abc import Iterable
from typing import Any

import click


def emit(document: Any, as_json: bool, lines: Iterable[str]) -> None:
    """The result of a command."""
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, default=str))
    else:
        for line in lines:
            click.echo(line)


def note(text: str) -> None:
    """Progress and remarks, for a person."""
    click.echo(text, err=True)


as_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, all else on stderr.")
