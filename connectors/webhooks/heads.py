"""Reads the head of a request: the names of its fields, its path, and where its body ends."""

from collections.abc import Mapping
from urllib.parse import unquote

import httptools

_MOST_NAMES = 256

NAMES: dict[bytes, str] = {}
"""Header names as they were sent, mapped to lower case.

Clients send the same few names. Names beyond the limit are converted each time.
"""


def learn(name: bytes) -> str:
    """The name in lower case. Adds it to NAMES while there is room."""
    known = name.decode("latin-1").lower()
    if len(NAMES) < _MOST_NAMES and len(name) <= 64:
        NAMES[name] = known
    return known


def path_of(url: bytes) -> str:
    """The path of a request target, decoded once.

    Raises an exception for an invalid target, which makes the parser stop.
    """
    if url[:1] == b"/" and b"#" not in url:
        raw = url.partition(b"?")[0]
    else:
        raw = httptools.parse_url(url).path
    path = raw.decode("ascii")
    return unquote(path) if "%" in path else path


def head_of_the_same_body(headers: Mapping[str, str]) -> bytes:
    """A minimal head for a body of the same length, without an upgrade of the protocol.

    It is empty if these headers do not say clearly where the body ends.
    """
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length", "0").strip()
    if coding is not None:
        if coding.strip().lower() != "chunked" or "content-length" in headers:
            return b""
        return b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
    if not (length.isascii() and length.isdigit()):
        return b""
    return f"POST / HTTP/1.1\r\ncontent-length: {length}\r\n\r\n".encode()
