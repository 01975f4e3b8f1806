"""Which network addresses a file given by a stranger may be fetched from."""

import ipaddress
from collections.abc import Set

_CARRYING_OTHERS = [
    ipaddress.ip_network(network)
    for network in (
        "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32",  # NAT64, 6to4, Teredo: an IPv4 address inside
        "100.64.0.0/10", "192.88.99.0/24",  # carrier-grade NAT, 6to4 relay
        "168.63.129.16/32",  # a cloud's metadata service on a public address
        "fec0::/10",  # site-local of old
    )
]  # fmt: skip


class WrongAllowedHost(ValueError):
    """MEDIA__ALLOWED_PRIVATE_HOSTS holds something that is not host:port."""


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet, mapped and tunnelled forms looked through."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    inside = any(ip.version == network.version and ip in network for network in _CARRYING_OTHERS)
    return ip.is_global and not ip.is_multicast and not inside


def allowed_hosts(setting: str) -> Set[tuple[str, int]]:
    """`host:port,host:port` as pairs; the host in lower case."""
    allowed = set()
    for one in filter(None, (part.strip() for part in setting.split(","))):
        host, found, port = one.rpartition(":")
        if not found or not port.isdigit():
            raise WrongAllowedHost(
                f"SENSORIUM_MEDIA__ALLOWED_PRIVATE_HOSTS: {one!r} is not host:port"
            )
        allowed.add((host.strip("[]").lower(), int(port)))
    return frozenset(allowed)
