"""How commands print text of customers."""

import json

import pytest

from streams.commands.output import emit, note
from streams.commands.tail import _line
from tests.unit.records import message

HOSTILE = "a\x1b]52;c;cm0gLXJm\x07b\x9b31mc\x7f\td\re"


def test_nothing_that_is_printed_gives_orders_to_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    emit({}, False, [HOSTILE])
    note(HOSTILE)
    emit({"content": HOSTILE}, True, [])
    out, err = capsys.readouterr()
    lines, document = out.splitlines(keepends=True)
    assert lines == err == "a�]52;c;cm0gLXJm�b�31mc�\td�e\n"
    assert not any(one in document for one in "\x1b\x07\x7f\x9b\r")
    assert json.loads(document) == {"content": HOSTILE}


def test_a_message_is_one_line_of_tail() -> None:
    first = message(content="hola\n12:00:00 acme:ycloud:2 v1 complete text: no\r\nx")
    assert "\n" not in _line(first) and "\r" not in _line(first)
    assert _line(first).endswith("hola ↵ 12:00:00 acme:ycloud:2 v1 complete text: no ↵ x")
    assert _line(message(content=None)).endswith(": ")
