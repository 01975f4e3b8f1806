"""Decides from which network addresses a file that a stranger names may be fetched.

The networks are listed here, because the answers of `ipaddress.is_global` change with
Python's patch level. Sources: the IANA registries of special-purpose addresses for IPv4
and IPv6 (RFC 6890 and its updates), and the metadata services of clouds that use an
address outside of them.
"""

import ipaddress
from collections.abc import Sequence, Set
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from connectors.errors import ConnectorsError
from schemas.web_address import NotAnAddress, web_address

_REFUSED_IPV4 = (
    "0.0.0.0/8",  # this network
    "10.0.0.0/8",  # private
    "100.64.0.0/10",  # carrier-grade NAT; a cloud's metadata service is in it
    "127.0.0.0/8",  # loopback
    "168.63.129.16/32",  # a cloud's metadata service
    "169.254.0.0/16",  # link-local; most metadata services are in it
    "172.16.0.0/12",  # private
    "192.0.0.0/24",  # protocol assignments; a cloud's metadata service is in it
    "192.0.2.0/24",  # documentation
    "192.31.196.0/24",  # AS112
    "192.52.193.0/24",  # multicast tunnelling
    "192.88.99.0/24",  # 6to4 relays
    "192.168.0.0/16",  # private
    "192.175.48.0/24",  # AS112
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that is assigned to the public internet.

Outside of it are loopback, link-local, unique local and site-local addresses,
multicast, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), the discard prefix (100::/64),
segment routing (5f00::/16), and the IPv4-compatible (::/96) and IPv4-translated
(::ffff:0:0:0/96) forms, which lead to an IPv4 address.
"""
_REFUSED_IPV6 = (
    # Protocol assignments: Teredo, benchmarks, ORCHID, drone identities, anycast.
    "2001::/23",
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4, which leads to an IPv4 address
    "2620:4f:8000::/48",  # AS112
    "3fff::/20",  # documentation
)
_IPV4: Sequence[IPv4Network] = [IPv4Network(network) for network in _REFUSED_IPV4]
_IPV6: Sequence[IPv6Network] = [IPv6Network(network) for network in _REFUSED_IPV6]


class WrongAllowedHost(ConnectorsError, ValueError):
    """MEDIA__ALLOWED_PRIVATE_HOSTS contains an entry that is not host:port."""


def is_public(address: str) -> bool:
    """True if an IP address is on the public internet.

    An IPv4-mapped address is judged by the IPv4 address it maps.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        if ip.scope_id is not None:
            return False  # an interface of this machine
        mapped = ip.ipv4_mapped
        return _is_public_ipv6(ip) if mapped is None else _is_public_ipv4(mapped)
    return _is_public_ipv4(ip)


def _is_public_ipv4(ip: IPv4Address) -> bool:
    return not any(ip in network for network in _IPV4)


def _is_public_ipv6(ip: IPv6Address) -> bool:
    return ip in _GLOBAL_UNICAST and not any(ip in network for network in _IPV6)


def allowed_hosts(setting: str) -> Set[tuple[str, int]]:
    """Parses `host:port,host:port` into pairs, with the host in its canonical form."""
    return frozenset(_allowed_host(part) for part in map(str.strip, setting.split(",")) if part)


def _allowed_host(part: str) -> tuple[str, int]:
    """Parses one entry. The port is required, because an entry opens one service."""
    host, _, port = part.rpartition(":")
    try:
        if not (port.isascii() and port.isdigit()):
            raise NotAnAddress(part)
        address = web_address(f"http://{part}")
        if address.target != "/" or address.has_userinfo or not host:
            raise NotAnAddress(part)
    except NotAnAddress:
        raise WrongAllowedHost(
            f"SENSORIUM_MEDIA__ALLOWED_PRIVATE_HOSTS: {part!r} is not host:port"
        ) from None
    return address.host, address.port
