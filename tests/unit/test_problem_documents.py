"""Error answers of every server have one form."""

import json
from pathlib import Path

import pytest

from connectors.console.problems import problem_response
from connectors.webhooks.answers import Problem
from schemas.problems import MEDIA_TYPE, problem_document
from streams.roles.protocol import _answer

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("status", [400, 401, 408, 413, 416, 422, 429, 431, 500, 503])
def test_receiver_and_console_and_the_protocol_answer_alike(status: int) -> None:
    expected = problem_document(status)
    assert Problem(status).document == expected
    assert json.loads(bytes(problem_response(status).body)) == expected
    head, _, body = _answer(status).partition(b"\r\n\r\n")
    assert json.loads(body) == expected
    assert head.startswith(f"HTTP/1.1 {status} {expected['title']}\r\n".encode())
    assert f"content-type: {MEDIA_TYPE}".encode() in head
    assert (
        Problem(status)
        .reply()
        .wire(b"", is_head=False, closes=False)
        .startswith(f"HTTP/1.1 {status} {expected['title']}\r\n".encode())
    )


def test_the_names_are_those_of_rfc_9110_in_every_python() -> None:
    names = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
    assert {status: problem_document(status)["title"] for status in names} == names


def test_no_other_module_makes_such_a_document() -> None:
    makers = [
        path.relative_to(ROOT)
        for package in ("schemas", "storage", "connectors", "streams")
        for path in (ROOT / package).rglob("*.py")
        if "about:blank" in path.read_text()
    ]
    assert makers == [Path("schemas/problems.py")]
