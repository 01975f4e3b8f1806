"""Chooses ports on 127.0.0.1.

It takes the preferred ones if they are free, and the same ones at the next start.
"""

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from streams.local.home import Home, read, write
from streams.local.processes import LocalError
from streams.roles.port_claims import Installation, PortClaim, PortTaken, claim_port, is_free

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
MUST_STAY: Mapping[str, str] = {
    "receiver": "SENSORIUM_RECEIVER__PORT",
    "console": "SENSORIUM_CONSOLE__PORT",
}
"""Maps each port whose address other programs know to the setting that chooses it.

These ports never change silently.
"""
_FREE = range(20_000, 32_000)
"""Ports below those that the kernel gives to outgoing connections.

No connection can therefore take one of them before its server listens.
"""


def ports_of(
    home: Home,
    names: list[str],
    *,
    installation: Installation,
    from_settings: Mapping[str, int] = {},
    held: Mapping[str, int] = {},
    anywhere: bool = False,
) -> "Ports":
    """Chooses and claims a port for every name.

    `from_settings` are ports that a setting names. `held` are the ports that our own
    processes listen on, which are kept. `anywhere` ignores the preferred ports. Raises
    LocalError if a port of `from_settings`, or one of MUST_STAY that was chosen before,
    is taken, because others know its address.
    """
    file = home.run / "ports.json"
    chosen: dict[str, int] = read(file, {})
    ports = Ports({}, [])
    try:
        for name in names:
            port = from_settings.get(name) or chosen.get(name)
            stays = name in from_settings or (name in chosen and name in MUST_STAY)
            if port is None and not anywhere:
                port = PREFERRED.get(name)
            others = {number for other, number in (chosen | ports.number).items() if other != name}
            ours = port is not None and held.get(name) == port
            if port is None or (port in others and not ours and not stays):
                ports.add_free(name, installation, others)
                continue
            try:
                ports.add(name, port, installation, ours=ours)
            except PortTaken as taken:
                if stays:
                    raise LocalError(must_stay(name, taken)) from None
                ports.add_free(name, installation, others)
        write(file, chosen | ports.number)
    except BaseException:
        ports.release()
        raise
    return ports


def must_stay(name: str, taken: PortTaken) -> str:
    return (
        f"{name}: {taken}. Its address is not changed automatically, because others "
        f"know it: end what listens there, or set {MUST_STAY[name]} to another port"
    )


@dataclass
class Ports:
    """The chosen ports by name, claimed until `release`."""

    number: dict[str, int]
    claims: list[PortClaim]

    def add(self, name: str, port: int, installation: Installation, *, ours: bool = False) -> None:
        """Claims the port. Raises PortTaken."""
        self.claims.append(claim_port(port, installation, ours=ours))
        self.number[name] = port

    def add_free(self, name: str, installation: Installation, besides: set[int]) -> None:
        while True:
            with suppress(PortTaken):
                return self.add(name, free_port(besides), installation)

    def release(self) -> None:
        for claim in self.claims:
            claim.release()
        self.claims.clear()


def known_port(home: Home, name: str) -> int:
    """The port that `up` gave to `name`.

    For instance, `demo_media` serves the demo's sample media.
    """
    return int(read(home.run / "ports.json", {})[name])


def free_port(besides: set[int]) -> int:
    """Returns a port without a listener that is not one of `besides`."""
    while True:
        port = random.choice(_FREE)
        if port not in besides and is_free(port):
            return port
