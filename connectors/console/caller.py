"""Who calls, by the key in the request."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from connectors.console.problems import Problem
from schemas.keys import TenantId
from schemas.tenants import ApiKey, Tenant

SHOWS_KEY = Depends(
    HTTPBearer(
        scheme_name="key",
        description="A key of `sensorium keys add`, of scope read or admin.",
        auto_error=False,
    )
)
"""Only tells OpenAPI of the key: `authorized` is what looks at it."""


class Directory(Protocol):
    """Tenants and keys. While `loaded` is false nothing is known, so no request may be refused."""

    loaded: bool

    @property
    def healthy(self) -> bool: ...
    def key(self, plain: str) -> ApiKey | None: ...
    def tenant(self, tenant_id: TenantId) -> Tenant | None: ...


def authorized(directory: Directory, request: Request) -> ApiKey:
    """The key of this request.

    Problem 503 while none are known, 401 for no or an unknown one, 403 for another scope.
    """
    if not directory.loaded:
        raise Problem(503, "keys are not loaded yet", {"retry-after": "1"})
    scheme, _, plain = request.headers.get("authorization", "").partition(" ")
    key = directory.key(plain.strip()) if scheme.lower() == "bearer" else None
    if key is None:
        raise Problem(401, "send Authorization: Bearer <key>", {"www-authenticate": "Bearer"})
    if key.scope not in ("read", "admin"):
        raise Problem(403, "this key has not the scope read")
    return key


def caller_of(directory: Directory) -> Callable[[Request, Any], Awaitable[ApiKey]]:
    """The dependency of a route that wants a key."""

    async def caller(request: Request, _: Annotated[Any, SHOWS_KEY]) -> ApiKey:
        return authorized(directory, request)

    return caller
