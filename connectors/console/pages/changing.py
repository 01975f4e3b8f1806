"""Lets a person change a tenant, with the same functions as the commands.

The audit log records the person's name.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

import asyncpg

from connectors.console.pages.parts import PageParts
from connectors.console.pages.visits import PageProblem, Visit
from schemas.keys import TenantId
from schemas.tenants import Endpoint
from storage.postgres.people import EVERY_TENANT, People, PeopleError
from storage.postgres.pool import as_unavailable
from storage.postgres.sql import queries
from storage.postgres.tenancy import Tenancy, TenancyError

T = TypeVar("T")


async def with_tenancy(
    pages: PageParts, visit: Visit, work: Callable[[Tenancy], Awaitable[T]]
) -> T:
    """Runs the change in one transaction. Raises PageProblem 422 if it is not possible."""

    async def connected(connection: "asyncpg.Connection[asyncpg.Record]") -> T:
        return await work(Tenancy(connection, pages.vault))

    return await in_transaction(pages, visit, connected)


async def with_people(pages: PageParts, visit: Visit, work: Callable[[People], Awaitable[T]]) -> T:
    """Runs the change in one transaction. Raises PageProblem 422 if it is not possible."""

    async def connected(connection: "asyncpg.Connection[asyncpg.Record]") -> T:
        return await work(People(connection))

    return await in_transaction(pages, visit, connected)


async def in_transaction(
    pages: PageParts,
    visit: Visit,
    work: "Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[T]]",
) -> T:
    """Runs the change in one transaction, in whose audit entries the person is the actor.

    Raises PageProblem 422 if it is not possible.
    """
    tenant_id = TenantId(visit.request.path_params.get("tenant", EVERY_TENANT))
    try:
        with as_unavailable():
            async with (
                pages.reading.turn(tenant_id),
                pages.pool.acquire() as proxy,
                proxy.transaction(),
            ):
                connection = cast("asyncpg.Connection[asyncpg.Record]", proxy)
                await connection.execute(queries("pages")["set_actor"], "-", visit.person.name)
                return await work(connection)
    except (TenancyError, PeopleError):
        raise PageProblem(422, "problem.422") from None


async def own_endpoint(tenancy: Tenancy, tenant_id: TenantId, endpoint_id: str) -> Endpoint:
    """Returns the endpoint.

    Raises PageProblem 404 for an endpoint of another tenant, and 409 for one that
    cannot be decrypted.
    """
    if not await is_readable(tenancy, tenant_id, endpoint_id):
        raise PageProblem(409, "delivery_do.endpoint_unreadable")
    return await tenancy.endpoint(endpoint_id)


async def is_readable(tenancy: Tenancy, tenant_id: TenantId, endpoint_id: str) -> bool:
    """Whether the endpoint's contents can be decrypted.

    Raises PageProblem 404 for an endpoint of another tenant.
    """
    for one in await tenancy.endpoints(tenant_id):
        if one["endpoint_id"] == endpoint_id:
            return bool(one["readable"])
    raise PageProblem(404, "problem.404")
