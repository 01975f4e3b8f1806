"""What comes of a request to an engine, besides the text of a picture."""

from typing import NamedTuple

from connectors.errors import ConnectorsError

EYES, EARS = "local-eyes-1", "whisper-base"
"""The names under which the engines answer."""


class Heard(NamedTuple):
    """What is said in a sound; empty for silence."""

    text: str
    seconds: float


class RequestRefused(ConnectorsError):
    """The request is at fault; `status` is the HTTP status that says how."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class JobAbandoned(ConnectorsError):
    """The client is gone, or the job took longer than a job may."""
