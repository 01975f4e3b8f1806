"""Why a server could not be reached, in words for a person. Pure."""

import socket
import ssl
from collections.abc import Iterator

_DEPTH = 8


def why_unreachable(error: BaseException) -> str:
    """The first cause of `error` that is recognised, or else the error's class name.

    The text contains no address, because an address may contain a secret.
    """
    for cause in _causes(error, _DEPTH):
        if isinstance(cause, socket.gaierror):
            return "its name is not known (DNS)"
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {getattr(cause, 'reason', None) or type(cause).__name__}"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, ConnectionResetError | BrokenPipeError):
            return "connection closed by the server"
    return type(error).__name__


def _causes(error: BaseException, depth: int) -> Iterator[BaseException]:
    """Yields the error, its causes and the members of groups, to a limited depth."""
    yield error
    if depth == 0:
        return
    causes = [error.__cause__ or error.__context__]
    if isinstance(error, BaseExceptionGroup):
        causes += error.exceptions
    for cause in causes:
        if cause is not None:
            yield from _causes(cause, depth - 1)
