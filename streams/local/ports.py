"""Ports on 127.0.0.1: the preferred ones where they are free, and the same ones again at the next start."""

import random
import socket
from collections.abc import Mapping

from streams.local.home import Home, read, write

PREFERRED: Mapping[str, int] = {
    "receiver": 8080,
    "console": 8081,
    "kafka": 19092,
    "kafka_controller": 19093,
    "postgres": 19094,
    "objects": 19095,
    "stand_in": 19096,
    "demo_media": 19097,
}
_FREE = range(20_000, 32_000)
"""Below the ports that the kernel gives to outgoing connections, so that none of those takes ours before its server is up."""


def ports_of(
    home: Home, names: list[str], *, held: frozenset[str], anywhere: bool = False
) -> dict[str, int]:
    """A port for every name. Those in `held` are kept whatever listens there: it is our own process. `anywhere` ignores the preferred ones."""
    file = home.run / "ports.json"
    known: dict[str, int] = read(file, {})
    chosen: dict[str, int] = {}
    for name in names:
        wanted = known.get(name) or (None if anywhere else PREFERRED.get(name))
        others = {port for other, port in (known | chosen).items() if other != name}
        keep = wanted is not None and (name in held or (wanted not in others and is_free(wanted)))
        chosen[name] = wanted if keep and wanted is not None else free_port(others)
    write(file, known | chosen)
    return chosen


def known_port(home: Home, name: str) -> int:
    """The port that `up` gave to `name`, for example `demo_media`, where the sample media of the demo may be served from."""
    return int(read(home.run / "ports.json", {})[name])


def free_port(besides: set[int]) -> int:
    """A port on which nobody listens and that is not one of `besides`."""
    while True:
        port = random.choice(_FREE)
        if port not in besides and is_free(port):
            return port


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as servers do: a connection in TIME_WAIT holds nothing
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
