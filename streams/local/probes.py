"""Checks whether a server is ready, by a round trip in its own protocol.

An open port alone is not enough.
"""

import json
import socket
import struct
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

_SECONDS = 2.0


def answers(url: str) -> bool:
    """Returns True if the server at `url` works.

    `url` is `kafka://`, `postgres://`, `s3://` or `http://` (2xx) at host:port.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 0
    try:
        match parts.scheme:
            case "kafka":
                return _brokers_of_kafka(host, port) > 0
            case "postgres":
                return _asks_for_a_password(host, port)
            case "s3":
                return _status(host, port, "/") in (200, 403)
            case "http":
                return 200 <= _status(host, port, parts.path or "/") < 300
            case scheme:
                raise ValueError(f"no way to ask a {scheme} server")
    except (OSError, HTTPException, struct.error):
        return False


def models_at(url: str) -> list[str]:
    """Returns the models of one of our model servers, as it reports them, one line each.

    Returns none if it does not answer.
    """
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)
    try:
        connection.request("GET", "/v1/models")
        models = json.loads(connection.getresponse().read())["data"]
        return [f"{model['sense']}: {model['id']} {model['does']}" for model in models]
    except (OSError, HTTPException, ValueError, LookupError):
        return []
    finally:
        connection.close()


def _brokers_of_kafka(host: str, port: int) -> int:
    """Sends a Metadata v1 request without topics and returns the number of brokers.

    A broker that is still fenced answers, but is not in its own list.
    """
    request = struct.pack(">hhih5si", 3, 1, 1, 5, b"probe", 0)
    with socket.create_connection((host, port), _SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        _size, _correlation, brokers = struct.unpack(">iii", _read(connection, 12))
    return int(brokers)


def _asks_for_a_password(host: str, port: int) -> bool:
    """Sends a start-up message.

    PostgreSQL answers with an error (`E`) while it recovers, and with an authentication
    request (`R`) when it accepts connections.
    """
    body = struct.pack(">i", 196608) + b"user\0probe\0database\0postgres\0\0"
    with socket.create_connection((host, port), _SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(body) + 4) + body)
        return _read(connection, 1) == b"R"


def _status(host: str, port: int, path: str) -> int:
    connection = HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def _read(connection: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        chunk = connection.recv(length - len(received))
        if not chunk:
            raise ConnectionError("closed in the middle of an answer")
        received += chunk
    return received
