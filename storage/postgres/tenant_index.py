"""Tenants, endpoints and keys in memory, found by
whatever they are looked up by. Pure: rows are arguments.

Nothing is opened when it is read. A secret is opened when it is
first used, and the result is kept until its row changes, so
that a role with 20,000 endpoints pays for those that it serves.
"""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import structlog

from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.tenants import ApiKey, EndedToken, Endpoint, Tenant, TenantSettings
from storage.postgres.vault import Vault, VaultError

log = structlog.get_logger()
T = TypeVar("T")

UNREADABLE_RETRY_SECONDS = 30.0
SAMPLE = 100
"""Rows that are tried before a role calls its key wrong."""


class Row(Protocol):
    """A row by its columns' names."""

    def __getitem__(self, column: str, /) -> Any: ...


def digest(secret: str) -> bytes:
    """Tokens and keys are stored and looked up
    under their digest; the plain ones are nowhere.
    """
    return hashlib.sha256(secret.encode()).digest()


class Sealed(Generic[T]):
    """The sealed contents of one row, opened at most once.

    `open` returns None when that is impossible.
    """

    __slots__ = ("_kind", "_opened", "_tried", "_vault", "contents")

    def __init__(self, contents: bytes, kind: type[T], vault: Vault) -> None:
        self.contents = contents
        self._kind = kind
        self._vault = vault
        self._tried = False
        self._opened: T | None = None

    @property
    def failed(self) -> bool:
        """Whether somebody tried to open it, and it could not be opened."""
        return self._tried and self._opened is None

    def adopt(self, known: "Sealed[T]") -> None:
        """Takes over what was opened of the same row before."""
        self._tried, self._opened = known._tried, known._opened

    def open(self) -> T | None:
        if not self._tried:
            try:
                opened = msgspec.json.decode(self._vault.open(self.contents), type=self._kind)
                self._opened = opened if self._is_right(opened) else None
            except (VaultError, msgspec.MsgspecError, ValueError):
                self._opened = None
            self._tried = True
            if self._opened is None:
                log.error(
                    "directory_row_unreadable",
                    table=self.table,
                    id=self.name,
                    see="sensorium doctor",
                )
        return self._opened

    table = ""

    @property
    def name(self) -> str:
        """The public id of the row."""
        raise NotImplementedError

    def _is_right(self, opened: T) -> bool:
        return True


class TenantRow(Sealed[TenantSettings]):
    """A row of `tenants`."""

    __slots__ = ("is_removed", "tenant")
    table = "tenants"

    def __init__(self, row: Row, vault: Vault) -> None:
        super().__init__(row["settings"], TenantSettings, vault)
        self.is_removed: bool = row["removed"]
        self.tenant = TenantId(row["tenant_id"])

    @property
    def name(self) -> str:
        return self.tenant


class EndpointRow(Sealed[Endpoint]):
    """A row of `webhook_endpoints`.

    Sealed contents that name another row are not taken.
    """

    __slots__ = ("endpoint_id", "former_sha256", "former_until", "provider", "tenant", "token")
    table = "webhook_endpoints"

    def __init__(self, row: Row, vault: Vault) -> None:
        super().__init__(row["sealed"], Endpoint, vault)
        self.tenant = TenantId(row["tenant_id"])
        self.endpoint_id: str = row["endpoint_id"]
        self.provider: str = row["provider"]
        self.token: bytes = row["token_sha256"]
        self.former_sha256: bytes | None = row["former_token_sha256"]
        self.former_until: datetime | None = row["former_token_until"]

    @property
    def name(self) -> str:
        return self.endpoint_id

    def _is_right(self, opened: Endpoint) -> bool:
        here = (self.tenant, self.endpoint_id, self.provider)
        return (opened.tenant_id, opened.endpoint_id, opened.provider) == here and digest(
            opened.token
        ) == self.token


class TenantIndex:
    """All rows of one reading, and the changes since.

    A tenant's rows are exchanged as a whole.
    """

    def __init__(self, vault: Vault, former: "TenantIndex | None" = None) -> None:
        """What `former` has opened need not be opened again."""
        self._vault = vault
        self._former = former
        self._tenants: dict[str, TenantRow] = {}
        self._endpoints: dict[str, EndpointRow] = {}
        self._by_token: dict[bytes, EndpointRow] = {}
        self._by_former_token: dict[bytes, EndpointRow] = {}
        self._endpoints_of: dict[str, list[EndpointRow]] = {}
        self._keys: dict[bytes, ApiKey] = {}
        self._keys_of: dict[str, list[bytes]] = {}
        self._ended: dict[bytes, EndedToken] = {}
        self._ended_of: dict[str, list[bytes]] = {}
        self._removed = 0

    def __len__(self) -> int:
        """Tenants that were not removed."""
        return len(self._tenants) - self._removed

    def complete(self) -> "TenantIndex":
        """Lets go of the index that this one replaces."""
        self._former = None
        return self

    # rows

    def add_tenants(self, rows: Iterable[Row]) -> None:
        for row in rows:
            made = TenantRow(row, self._vault)
            known = self._former._tenants.get(made.tenant) if self._former is not None else None
            if known is not None and known.contents == made.contents:
                made.adopt(known)
            self._removed += made.is_removed
            self._tenants[made.tenant] = made

    def add_endpoints(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._add_endpoint(EndpointRow(row, self._vault))

    def add_keys(self, rows: Iterable[Row]) -> None:
        for row in rows:
            tenant, sha256 = row["tenant_id"], row["key_sha256"]
            self._keys[sha256] = ApiKey(tenant_id=tenant, scope=row["scope"])
            self._keys_of.setdefault(tenant, []).append(sha256)

    def add_ended(self, rows: Iterable[Row]) -> None:
        """Tokens that ended and are remembered."""
        for row in rows:
            tenant, sha256 = row["tenant_id"], row["token_sha256"]
            self._ended[sha256] = EndedToken(
                tenant_id=tenant,
                endpoint_id=row["endpoint_id"],
                provider=row["provider"],
                reason=row["reason"],
            )
            self._ended_of.setdefault(tenant, []).append(sha256)

    def exchange(
        self,
        names: Iterable[str],
        tenants: Iterable[Row],
        endpoints: Iterable[Row],
        keys: Iterable[Row],
        ended: Iterable[Row] = (),
    ) -> None:
        """Replaces all that is known of these tenants by these rows.

        Nobody sees a state between.
        """
        before = TenantIndex(self._vault)
        for name in names:
            self._move(name, before)
        self._former = before
        self.add_tenants(tenants)
        self.add_endpoints(endpoints)
        self.add_keys(keys)
        self.add_ended(ended)
        self._former = None

    # look-ups

    def endpoint(self, token: str, now: datetime | None = None) -> Endpoint | None:
        """The endpoint of a token, or of a former one that is still accepted.

        Raises Unavailable for an unreadable one.
        """
        wanted = digest(token)
        row = self._by_token.get(wanted)
        if row is None:
            row = self._by_former_token.get(wanted)
            if row is None or row.former_until is None:
                return None
            if row.former_until <= (now or datetime.now(UTC)):
                return None
        opened = row.open()
        if opened is None:
            raise _unreadable("this endpoint")
        return opened

    def ended(self, token: str) -> EndedToken | None:
        """Whose a token was that has ended, as far as it is remembered."""
        return self._ended.get(digest(token))

    def endpoint_by_id(self, endpoint_id: str) -> Endpoint | None:
        row = self._endpoints.get(endpoint_id)
        return None if row is None else row.open()

    def provider_key(self, tenant: str, provider: str) -> str | None:
        """An API key of the provider that the tenant gave with one of its endpoints."""
        for row in self._endpoints_of.get(tenant, ()):
            if row.provider == provider and (opened := row.open()) and opened.api_key:
                return opened.api_key
        return None

    def tenant(self, tenant: TenantId) -> Tenant | None:
        """None for one that is unknown or removed.

        Raises Unavailable when its row cannot be opened.
        """
        row = self._tenants.get(tenant)
        if row is None or row.is_removed:
            return None
        settings = row.open()
        if settings is None:
            raise _unreadable("this tenant's settings")
        return Tenant(tenant_id=tenant, settings=settings)

    def is_removed(self, tenant: str) -> bool:
        row = self._tenants.get(tenant)
        return row is not None and row.is_removed

    def key(self, plain: str) -> ApiKey | None:
        return self._keys.get(digest(plain))

    # state

    def unreadable(self) -> dict[str, int]:
        """How many rows of each table could not be opened when they were used.

        Walks all rows.
        """
        rows: dict[str, Iterable[Sealed[Any]]] = {
            TenantRow.table: (row for row in self._tenants.values() if not row.is_removed),
            EndpointRow.table: self._endpoints.values(),
        }
        return {table: sum(row.failed for row in found) for table, found in rows.items()}

    def opens_nothing(self) -> bool:
        """Whether there are sealed rows and this process's
        key opens none of the first ones of either table.
        """
        there = (row for row in self._tenants.values() if not row.is_removed)
        sample: Iterator[Sealed[Any]] = chain(
            islice(there, SAMPLE), islice(self._endpoints.values(), SAMPLE)
        )
        first = next(sample, None)
        return first is not None and not any(row.open() for row in chain([first], sample))

    def _add_endpoint(self, made: EndpointRow) -> None:
        known = self._former._endpoints.get(made.endpoint_id) if self._former is not None else None
        if known is not None and _same(known, made):
            made.adopt(known)
        self._endpoints[made.endpoint_id] = made
        self._by_token[made.token] = made
        self._endpoints_of.setdefault(made.tenant, []).append(made)
        if made.former_sha256 is not None:
            self._by_former_token[made.former_sha256] = made

    def _move(self, name: str, to: "TenantIndex") -> None:
        """Takes a tenant's rows out; those that
        hold something opened are kept in `to`.
        """
        tenant = self._tenants.pop(name, None)
        if tenant is not None:
            self._removed -= tenant.is_removed
            to._tenants[name] = tenant
        for row in self._endpoints_of.pop(name, ()):
            self._endpoints.pop(row.endpoint_id, None)
            self._by_token.pop(row.token, None)
            if row.former_sha256 is not None:
                self._by_former_token.pop(row.former_sha256, None)
            to._endpoints[row.endpoint_id] = row
        for sha256 in self._keys_of.pop(name, ()):
            self._keys.pop(sha256, None)
        for sha256 in self._ended_of.pop(name, ()):
            self._ended.pop(sha256, None)


def _same(known: EndpointRow, made: EndpointRow) -> bool:
    return (known.contents, known.token, known.tenant, known.provider) == (
        made.contents,
        made.token,
        made.tenant,
        made.provider,
    )


def _unreadable(what: str) -> Unavailable:
    return Unavailable(
        "directory",
        UNREADABLE_RETRY_SECONDS,
        hold=True,
        detail=f"{what} cannot be opened with SENSORIUM_SECRETS__KEY",
    )
