"""The documents of error answers: problem details (RFC 9457), the same in every server here."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
TITLES: Mapping[int, str] = {
    **{status.value: status.phrase for status in HTTPStatus},
    # The names of RFC 9110, which Python uses from 3.13 on.
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""Maps a status to its title, which is also the reason phrase of the status line."""


def problem_document(
    status: int, detail: str = "", extra: Mapping[str, Any] = {}
) -> dict[str, Any]:
    """Returns the document. `detail` is written for the person who reads it."""
    document = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status}
    return document | ({"detail": detail} if detail else {}) | dict(extra)
