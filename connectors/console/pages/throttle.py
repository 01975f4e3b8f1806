"""Checks typed passwords, and limits how many wrong ones are tried."""

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from connectors.console.pages.parts import PageParts
from connectors.console.pages.passwords import is_right
from connectors.console.pages.visits import PageProblem
from connectors.console.tenant_queue import Busy

PER_ACCOUNT_AND_ADDRESS = 5
PER_ACCOUNT = 30
PER_ADDRESS = 30
"""Failed logins that are allowed within `FAILURE_SECONDS`.

An address spends its own allowance before it can lock the account for other addresses.
"""


@dataclass(frozen=True, slots=True)
class PasswordTry:
    """The account of the name that was typed, or None, and whether the password is its own."""

    person: Any | None
    fits: bool


async def try_password(parts: PageParts, request: Request, name: str, password: str) -> PasswordTry:
    """Checks a password. It takes equally long for a name without an account.

    Raises PageProblem 429 after too many wrong ones, and Busy if too many people log in
    at once.
    """
    buckets = _buckets(name, request)
    await _throttle(parts, buckets)
    await _count_ahead(parts, buckets)
    person = await parts.people.named(name)
    try:
        fits = await is_right(password, person["password"] if person is not None else None)
    except Busy:  # the password was not checked
        await parts.people.uncount_failure(list(buckets))
        raise
    if fits:
        account_and_both, address = list(buckets)[:2], list(buckets)[2:]
        await parts.people.forget_failures(account_and_both)
        await parts.people.uncount_failure(address)
    return PasswordTry(person, fits)


async def refuse_address(parts: PageParts, request: Request) -> bytes:
    """Returns the bucket of the peer's address. Raises PageProblem 429 if it is full."""
    bucket = _bucket("address", address_of(request))
    await _throttle(parts, {bucket: PER_ADDRESS})
    return bucket


async def _throttle(parts: PageParts, buckets: dict[bytes, int]) -> None:
    known = await parts.people.failures(list(buckets))
    _refuse([left for bucket, (count, left) in known.items() if count >= buckets[bucket]])


async def _count_ahead(parts: PageParts, buckets: dict[bytes, int]) -> None:
    """Counts an attempt before it is made, and refuses it if concurrent attempts
    exhausted the limit.

    The account is counted last, so that an address over its own limit does not use up
    the account's.
    """
    both, account, address = buckets
    for counted in ([both, address], [account]):
        known = await parts.people.count_failure(counted)
        _refuse([left for bucket, (count, left) in known.items() if count > buckets[bucket]])


def _refuse(waits: list[float]) -> None:
    """Raises PageProblem 429 if there is anything to wait for."""
    if waits:
        raise PageProblem(429, "problem.throttled", retry_after=max(1, round(max(waits))))


def _buckets(name: str, request: Request) -> dict[bytes, int]:
    """Returns each bucket with the number of failed logins it allows.

    The order is: account with address, account, address.
    """
    address = address_of(request)
    return {
        _bucket("both", name, address): PER_ACCOUNT_AND_ADDRESS,
        _bucket("account", name): PER_ACCOUNT,
        _bucket("address", address): PER_ADDRESS,
    }


def _bucket(*of: str) -> bytes:
    return hashlib.sha256("\0".join(of).encode(errors="replace")).digest()[:16]


def address_of(request: Request) -> str:
    """Returns the peer's address.

    For IPv6 it is the /64 network, because one machine may have all of it.
    """
    host: Any = request.client.host if request.client is not None else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)  # a server that listens on `::` sees IPv4 like this
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
