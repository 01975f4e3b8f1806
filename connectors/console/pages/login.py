"""Routes for logging in and out."""

import hashlib
import ipaddress
from typing import Any

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.background import BackgroundTask

from connectors.console.pages.parts import PageParts
from connectors.console.pages.passwords import LONGEST_PASSWORD, is_right
from connectors.console.pages.visits import (
    PageProblem,
    Visit,
    local_path,
    session_cookie,
    set_cookie,
    visit_of,
)
from connectors.console.tenant_queue import Busy
from schemas.outcomes import Unavailable
from storage.postgres.people import EVERY_TENANT

log = structlog.get_logger()

PER_ACCOUNT_AND_ADDRESS = 5
PER_ACCOUNT = 30
PER_ADDRESS = 30
"""Failed logins that are allowed within `FAILURE_SECONDS`.

An address spends its own allowance before it can lock the account for other addresses.
"""


def add_login(router: APIRouter, parts: PageParts) -> None:
    """Adds the routes."""
    _add_password(router, parts)
    _add_links(router, parts)

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        visit = visit_of(request)
        await parts.people.end(visit.person.token)
        await parts.people.note(EVERY_TENANT, visit.person.name, "logout", "")
        response = RedirectResponse("/login", 303)
        response.delete_cookie(session_cookie(visit.is_secure), path="/", secure=visit.is_secure)
        response.headers["clear-site-data"] = '"cache", "storage"'
        return response


def _add_password(router: APIRouter, parts: PageParts) -> None:
    @router.get("/login", name="login")
    async def login(request: Request) -> Response:
        visit = visit_of(request)
        path = local_path(request.query_params.get("next"))
        if visit.session is not None:
            return RedirectResponse(path, 303)
        return visit.page("login.html", next=path, wrong=False, name="")

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        visit = visit_of(request)
        name = visit.form.get("name", "").strip().lower()[:200]
        password = visit.form.get("password", "")[:LONGEST_PASSWORD]
        path = local_path(visit.form.get("next"))
        buckets = _buckets(name, request)
        await _throttle(parts, buckets)
        await _count_ahead(parts, buckets)
        person = await parts.people.named(name)
        try:
            fits = await is_right(password, person["password"] if person is not None else None)
        except Busy:  # the password was not checked
            await parts.people.uncount_failure(list(buckets))
            raise
        if not fits:
            log.warning("login_failed")
            answer = visit.page("login.html", 401, next=path, wrong=True, name=name)
            if person is not None:
                answer.background = BackgroundTask(_note_failure, parts, name, _address(request))
            return answer
        assert person is not None  # a name without an account never gets here
        account_and_both, address = list(buckets)[:2], list(buckets)[2:]
        await parts.people.forget_failures(account_and_both)
        await parts.people.uncount_failure(address)
        return await _enter(parts, visit, person["person_id"], "login", path)


async def _note_failure(parts: PageParts, name: str, address: str) -> None:
    """Notes a failed login of an account.

    It runs after the answer, so that an answer for a known name takes no longer. Names
    without an account are not noted: they may be passwords in the wrong field.
    """
    try:
        await parts.people.note(EVERY_TENANT, name, "login_failed", address)
    except Unavailable:
        log.warning("login_failure_not_noted")


def _add_links(router: APIRouter, parts: PageParts) -> None:
    @router.get("/login/link")
    async def link(request: Request) -> Response:
        """Only shows a button, so that programs that prefetch links do not use the link up."""
        visit = visit_of(request)
        token = request.query_params.get("token", "")[:200]
        return visit.page("link.html", token=token)

    @router.post("/login/link")
    async def use_link(request: Request) -> Response:
        visit = visit_of(request)
        address = {_bucket("address", _address(request)): PER_ADDRESS}
        await _throttle(parts, address)
        person_id = await parts.people.use_link(visit.form.get("token", "")[:200])
        if person_id is None:
            await parts.people.count_failure(list(address))
            raise PageProblem(403, "problem.link")
        return await _enter(parts, visit, person_id, "login_by_link", "/")


async def _enter(parts: PageParts, visit: Visit, person_id: str, how: str, path: str) -> Response:
    """Starts a session and redirects.

    The session always gets a new token, whatever cookie the browser sent, so that
    a token cannot be planted before the login.
    """
    if visit.session is not None:
        await parts.people.end(visit.session.token)
    token = await parts.people.begin(person_id)
    session = await parts.people.session(token)
    await parts.people.note(EVERY_TENANT, session.name if session else person_id, how, "")
    response = RedirectResponse(path, 303)
    set_cookie(response, session_cookie(visit.is_secure), token, visit.is_secure)
    return response


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
    address = _address(request)
    return {
        _bucket("both", name, address): PER_ACCOUNT_AND_ADDRESS,
        _bucket("account", name): PER_ACCOUNT,
        _bucket("address", address): PER_ADDRESS,
    }


def _bucket(*of: str) -> bytes:
    return hashlib.sha256("\0".join(of).encode(errors="replace")).digest()[:16]


def _address(request: Request) -> str:
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
