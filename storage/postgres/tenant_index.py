"""An in-memory index of tenants, endpoints and keys.

Pure: rows are arguments. Secrets are decrypted on first use, not on reading, and the
result is kept until the row changes. So a role with 20,000 endpoints pays only for
those that it serves.
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
"""The number of rows that are tried before a role considers its key wrong."""


class Row(Protocol):
    """A row, by column name."""

    def __getitem__(self, column: str, /) -> Any: ...


def digest(secret: str) -> bytes:
    """The digest under which a token or key is stored and looked up.

    The plain value is not stored.
    """
    return hashlib.sha256(secret.encode()).digest()


class Sealed(Generic[T]):
    """The encrypted contents of one row, decrypted at most once.

    `open` returns None if they cannot be decrypted.
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
        """True if decrypting was tried and failed."""
        return self._tried and self._opened is None

    def adopt(self, known: "Sealed[T]") -> None:
        """Takes over the decrypted contents of an earlier reading of the same row."""
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

    Contents that belong to another row are rejected.
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
    """All rows of one reading, with later changes.

    The rows of a tenant are replaced together.
    """

    def __init__(self, vault: Vault, former: "TenantIndex | None" = None) -> None:
        """Reuses what `former` has decrypted."""
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
        """The number of tenants that were not removed."""
        return len(self._tenants) - self._removed

    def complete(self) -> "TenantIndex":
        """Releases the index that this one replaces."""
        self._former = None
        return self

    # rows

    def add_tenants(self, rows: Iterable[Row]) -> None:
        for row in rows:
            new = TenantRow(row, self._vault)
            known = self._former._tenants.get(new.tenant) if self._former is not None else None
            if known is not None and known.contents == new.contents:
                new.adopt(known)
            self._removed += new.is_removed
            self._tenants[new.tenant] = new

    def add_endpoints(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._add_endpoint(EndpointRow(row, self._vault))

    def add_keys(self, rows: Iterable[Row]) -> None:
        for row in rows:
            tenant, sha256 = row["tenant_id"], row["key_sha256"]
            self._keys[sha256] = ApiKey(tenant_id=tenant, scope=row["scope"])
            self._keys_of.setdefault(tenant, []).append(sha256)

    def add_ended(self, rows: Iterable[Row]) -> None:
        """Adds tokens that have ended and are remembered."""
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
        """Replaces everything known about these tenants by these rows.

        It does not await, so no coroutine sees a partial state.
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
        """The endpoint of a current token, or of a former one within its grace period.

        Raises Unavailable if it cannot be decrypted.
        """
        token_digest = digest(token)
        row = self._by_token.get(token_digest)
        if row is None:
            row = self._by_former_token.get(token_digest)
            if row is None or row.former_until is None:
                return None
            if row.former_until <= (now or datetime.now(UTC)):
                return None
        opened = row.open()
        if opened is None:
            raise _unreadable("this endpoint")
        return opened

    def ended(self, token: str) -> EndedToken | None:
        """The former owner of an ended token, if it is still remembered."""
        return self._ended.get(digest(token))

    def endpoint_by_id(self, endpoint_id: str) -> Endpoint | None:
        row = self._endpoints.get(endpoint_id)
        return None if row is None else row.open()

    def provider_key(self, tenant: str, provider: str) -> str | None:
        """A provider API key from one of the tenant's endpoints, or None."""
        for row in self._endpoints_of.get(tenant, ()):
            if row.provider == provider and (opened := row.open()) and opened.api_key:
                return opened.api_key
        return None

    def tenant(self, tenant: TenantId) -> Tenant | None:
        """The tenant, or None if it is unknown or removed.

        Raises Unavailable if its row cannot be decrypted.
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
        """Maps each table to its number of rows that were used and could not be decrypted.

        Walks through all rows.
        """
        rows: dict[str, Iterable[Sealed[Any]]] = {
            TenantRow.table: (row for row in self._tenants.values() if not row.is_removed),
            EndpointRow.table: self._endpoints.values(),
        }
        return {table: sum(row.failed for row in found) for table, found in rows.items()}

    def opens_nothing(self) -> bool:
        """True if there are encrypted rows and this process's key decrypts none of a sample.

        The sample consists of the first rows of both tables.
        """
        tenants = (row for row in self._tenants.values() if not row.is_removed)
        sample: Iterator[Sealed[Any]] = chain(
            islice(tenants, SAMPLE), islice(self._endpoints.values(), SAMPLE)
        )
        first = next(sample, None)
        return first is not None and not any(row.open() for row in chain([first], sample))

    def _add_endpoint(self, new: EndpointRow) -> None:
        known = self._former._endpoints.get(new.endpoint_id) if self._former is not None else None
        if known is not None and _same(known, new):
            new.adopt(known)
        self._endpoints[new.endpoint_id] = new
        self._by_token[new.token] = new
        self._endpoints_of.setdefault(new.tenant, []).append(new)
        if new.former_sha256 is not None:
            self._by_former_token[new.former_sha256] = new

    def _move(self, name: str, to: "TenantIndex") -> None:
        """Moves a tenant's rows with decrypted contents to `to`. Removes the others."""
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


def _same(known: EndpointRow, new: EndpointRow) -> bool:
    return (known.contents, known.token, known.tenant, known.provider) == (
        new.contents,
        new.token,
        new.tenant,
        new.provider,
    )


def _unreadable(what: str) -> Unavailable:
    return Unavailable(
        "directory",
        UNREADABLE_RETRY_SECONDS,
        hold=True,
        detail=f"{what} cannot be opened with SENSORIUM_SECRETS__KEY",
    )
