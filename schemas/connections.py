"""Why a server was not reached, in words for a person. Pure."""

import socket
import ssl
from collections.abc import Iterator

_DEPTH = 8


def why_unreachable(error: BaseException) -> str:
    """The innermost cause that says something;
    it names no address, which may hold a secret.
    """
    for one in _causes(error, _DEPTH):
        if isinstance(one, socket.gaierror):
            return "its name is not known (DNS)"
        if isinstance(one, ssl.SSLError):
            return f"TLS: {getattr(one, 'reason', None) or type(one).__name__}"
        if isinstance(one, ConnectionRefusedError):
            return "connection refused"
        if isinstance(one, ConnectionResetError | BrokenPipeError):
            return "connection closed by the server"
    return type(error).__name__


def _causes(error: BaseException, depth: int) -> Iterator[BaseException]:
    """The error and all that led to it, groups included."""
    yield error
    if depth == 0:
        return
    followed = [error.__cause__ or error.__context__]
    if isinstance(error, BaseExceptionGroup):
        followed += error.exceptions
    for one in followed:
        if one is not None:
            yield from _causes(one, depth - 1)
