"""The results of requests to an engine, apart from the text about a picture."""

from typing import NamedTuple

from connectors.errors import ConnectorsError

EYES, EARS = "local-eyes-1", "whisper-base"
"""The names that the engines report in their answers."""


class Transcript(NamedTuple):
    """The text spoken in a sound; empty for silence."""

    text: str
    seconds: float


class RequestRefused(ConnectorsError):
    """The request is wrong; `status` is the HTTP status of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class JobAbandoned(ConnectorsError):
    """The client has gone, or the job exceeded the time limit."""
