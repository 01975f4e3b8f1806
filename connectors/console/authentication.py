"""Authenticates API requests by the key in their Authorization header."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from connectors.console.parameters import refuse_unknown
from connectors.console.problems import ConsoleProblem
from schemas.keys import TenantId
from schemas.tenants import ApiKey, Tenant, key_id

SHOWS_KEY = Depends(
    HTTPBearer(
        scheme_name="key",
        description="A key of `sensorium keys add`, of scope read or admin.",
        auto_error=False,
    )
)
"""Documents the key in the OpenAPI document only; `authorized` does the check."""


class KeyDirectory(Protocol):
    """The tenants and keys that the console knows.

    While `loaded` is false nothing is known yet, so no request may be refused as
    unauthorized.
    """

    loaded: bool

    @property
    def healthy(self) -> bool: ...
    def key(self, plain: str) -> ApiKey | None: ...
    def tenant(self, tenant_id: TenantId) -> Tenant | None: ...


def authorized(directory: KeyDirectory, request: Request) -> ApiKey:
    """Returns the key of this request.

    Raises ConsoleProblem 503 while no keys are loaded, 401 if the key is missing or
    unknown, and 403 if it has another scope.
    """
    if not directory.loaded:
        raise ConsoleProblem(
            503,
            "the API keys are not loaded yet: try again after Retry-After",
            {"retry-after": "1"},
        )
    key = directory.key(_plain(request))
    if key is None:
        raise _unauthorized(
            "this key is unknown here: it is mistyped, was revoked, or belongs to another system"
        )
    if key.scope not in ("read", "admin"):
        raise ConsoleProblem(403, 'this key does not have the scope "read"')
    return key


async def key_id_of_request(request: Request) -> str:
    """Returns the public id of the key of this request, by which the audit log names it."""
    return key_id(_plain(request))


def _plain(request: Request) -> str:
    header = request.headers.get("authorization")
    if header is None:
        raise _unauthorized("there is no Authorization header")
    scheme, _, plain = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not plain.strip():
        raise _unauthorized("the Authorization header is not of the form Bearer <key>")
    return plain.strip()


def _unauthorized(why: str) -> ConsoleProblem:
    return ConsoleProblem(
        401, f"{why}; send Authorization: Bearer <key>", {"www-authenticate": "Bearer"}
    )


def caller_of(directory: KeyDirectory) -> Callable[[Request, Any], Awaitable[ApiKey]]:
    """Returns the dependency of a route that requires a key.

    It also refuses query parameters that the route does not declare.
    """

    async def caller(request: Request, _: Annotated[Any, SHOWS_KEY]) -> ApiKey:
        key = authorized(directory, request)
        refuse_unknown(request)
        return key

    return caller
