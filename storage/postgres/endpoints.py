"""Changes of endpoints by commands: tokens, secrets and provider API keys.

Each is recorded in audit_log, in the same transaction.
"""

import secrets
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from schemas.keys import PROVIDER_PATTERN, TenantId, is_instance
from schemas.providers import labelled_providers, traits_of
from schemas.tenants import Endpoint, secret_id
from storage.errors import StorageError
from storage.postgres.sql import queries
from storage.postgres.tenant_index import digest
from storage.postgres.vault import Vault, VaultError

_OF_DELIVERIES = ("former_token_until", "accepted_at", "refused_at", "refused_reason")


class TenancyError(StorageError):
    """The request cannot be carried out. The message says why and what to do."""


class EndpointChanges:
    """The changes of endpoints, on one connection.

    `Tenancy` adds those of tenants and keys.
    """

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", vault: Vault) -> None:
        self._connection = connection
        self._vault = vault
        self._sql = queries("tenancy")

    async def add_endpoint(
        self,
        tenant: str,
        provider: str,
        *,
        secret: str | None,
        unsigned: bool,
        api_key: str | None,
        instance: str | None = None,
        secret_later: bool = False,
    ) -> Endpoint:
        """Creates an endpoint; each call creates another one.

        Without `secret`, `unsigned` and `secret_later` it gets a new random secret.
        With `secret_later` it has none, and the receiver answers 503 until `set_secret`
        is called.
        """
        if not PROVIDER_PATTERN.fullmatch(provider):
            raise TenancyError(f"{provider!r} is not a provider name: [a-z0-9_]+")
        _check_label(provider, instance)
        if secret is None and not unsigned and not secret_later:
            secret = _new_secret(provider)
        endpoint = Endpoint(
            endpoint_id=f"ep_{secrets.token_hex(8)}",
            token=_random(),
            tenant_id=TenantId(tenant),
            provider=provider,
            secrets=(secret,) if secret else (),
            unsigned=unsigned,
            awaits_secret=secret_later,
            api_key=api_key,
            instance=instance,
        )
        async with self._connection.transaction():
            await self._must_exist(tenant)
            await self._connection.execute(
                self._sql["add_endpoint"],
                tenant,
                endpoint.endpoint_id,
                provider,
                digest(endpoint.token),
                self._sealed(endpoint),
            )
            await self._audit(tenant, "endpoint_added", f"{endpoint.endpoint_id} {provider}")
        return endpoint

    async def endpoint_of(self, tenant: str, provider: str) -> Endpoint | None:
        """The newest endpoint of a tenant and provider, or None."""
        sealed = await self._connection.fetchval(self._sql["newest_endpoint"], tenant, provider)
        return (
            None if sealed is None else msgspec.json.decode(self._vault.open(sealed), type=Endpoint)
        )

    async def endpoint(self, which: str) -> Endpoint:
        """The endpoint with this id or token, including its secrets.

        Its row is locked until the transaction ends.
        """
        return await self._locked(which)

    async def endpoints(self, tenant: str | None = None) -> list[dict[str, Any]]:
        """The endpoints of one tenant or of all, without tokens and secrets."""
        found = []
        for row in await self._connection.fetch(self._sql["list_endpoints"], tenant):
            try:
                opened = msgspec.json.decode(self._vault.open(row["sealed"]), type=Endpoint)
            except (VaultError, msgspec.MsgspecError):
                opened = None
            found.append(
                {
                    "tenant_id": row["tenant_id"],
                    "endpoint_id": row["endpoint_id"],
                    "provider": row["provider"],
                    "created_at": row["created_at"],
                    "readable": opened is not None,
                    "unsigned": opened.unsigned if opened is not None else None,
                    "secret_ids": opened.secret_ids() if opened is not None else [],
                    "has_api_key": opened.api_key is not None if opened is not None else None,
                    "token_begins": opened.token[:4] if opened is not None else None,
                    **{name: row[name] for name in _OF_DELIVERIES},
                }
            )
        return found

    async def rotate(self, which: str, *, drop: str | None) -> tuple[Endpoint, str | None]:
        """Adds a new random secret, or removes the one given as `drop` (a secret or its id).

        `which` is a token or an id. Returns the endpoint and the new secret, if one was
        made.
        """
        async with self._connection.transaction():
            endpoint = await self._locked(which)
            new: str | None = None
            if drop is None:
                new = _new_secret(endpoint.provider)
                endpoint = await self._with_secrets(endpoint, (new, *endpoint.secrets))
            else:
                endpoint = await self._without_secret(endpoint, drop)
        return endpoint, new

    async def set_secret(self, which: str, secret: str, *, keep_old: bool) -> Endpoint:
        """Makes the provider's secret live.

        With `keep_old` the earlier ones stay live too.
        """
        secret = secret.strip()  # pasted from a page
        if not secret:
            raise TenancyError("a secret must not be empty")
        async with self._connection.transaction():
            endpoint = await self._locked(which)
            others = tuple(old for old in endpoint.secrets if old != secret) if keep_old else ()
            return await self._with_secrets(endpoint, (secret, *others))

    async def set_api_key(self, which: str, api_key: str | None) -> Endpoint:
        """Sets or removes the provider API key of an endpoint."""
        async with self._connection.transaction():
            endpoint = msgspec.structs.replace(await self._locked(which), api_key=api_key)
            await self._store(endpoint)
            await self._audit(endpoint.tenant_id, "endpoint_api_key_set", endpoint.endpoint_id)
        return endpoint

    async def rotate_token(
        self, which: str, *, grace_seconds: float
    ) -> tuple[Endpoint, datetime | None]:
        """Gives an endpoint a new token and therefore a new URL.

        The old token is refused at once, or after `grace_seconds`; the time is
        returned.
        """
        async with self._connection.transaction():
            endpoint = await self._locked(which)
            endpoint = msgspec.structs.replace(endpoint, token=_random())
            until: datetime | None = await self._connection.fetchval(
                self._sql["replace_token"],
                endpoint.tenant_id,
                endpoint.endpoint_id,
                self._sealed(endpoint),
                digest(endpoint.token),
                grace_seconds,
            )
            end = f"{until:%Y-%m-%dT%H:%M:%S%z}" if until else "now"
            await self._audit(
                endpoint.tenant_id,
                "endpoint_token_rotated",
                f"{endpoint.endpoint_id}, the old token ends {end}",
            )
        return endpoint, until

    async def remove_endpoint(self, which: str) -> dict[str, str]:
        """Removes an endpoint, even one whose contents cannot be decrypted."""
        async with self._connection.transaction():
            row = await self._endpoint_row(which)
            await self._connection.execute(
                self._sql["remove_endpoint"], row["tenant_id"], row["endpoint_id"]
            )
            what = f"{row['endpoint_id']} {row['provider']}"
            await self._audit(row["tenant_id"], "endpoint_removed", what)
        return {name: row[name] for name in ("tenant_id", "endpoint_id", "provider")}

    async def _row(self, statement: str, tenant: str) -> "asyncpg.Record":
        row = await self._connection.fetchrow(self._sql[statement], tenant)
        if row is None:
            raise TenancyError(f"there is no tenant {tenant!r}: sensorium tenants list")
        return row

    async def _must_exist(self, tenant: str) -> bytes:
        """Locks an existing tenant and returns its encrypted settings.

        Raises TenancyError.
        """
        sealed: bytes | None = await self._connection.fetchval(self._sql["tenant_settings"], tenant)
        if sealed is None:
            raise TenancyError(f"there is no tenant {tenant!r}: sensorium tenants add {tenant}")
        return sealed

    async def _endpoint_row(self, which: str) -> "asyncpg.Record":
        """The row with this id or token."""
        row = await self._connection.fetchrow(self._sql["endpoint_by_id"], which)
        row = row or await self._connection.fetchrow(self._sql["endpoint_by_token"], digest(which))
        if row is None:
            raise TenancyError(
                f"no endpoint has the id {which}: sensorium endpoints list"
                if which.startswith("ep_")
                else "no endpoint has this token"
            )
        return row

    async def _locked(self, which: str) -> Endpoint:
        row = await self._endpoint_row(which)
        return msgspec.json.decode(self._vault.open(row["sealed"]), type=Endpoint)

    async def _without_secret(self, endpoint: Endpoint, drop: str) -> Endpoint:
        """Removes a live secret. `drop` is the secret or its id."""
        live = tuple(
            secret
            for secret in endpoint.secrets
            if drop not in (secret, secret_id(endpoint.endpoint_id, secret))
        )
        if live == endpoint.secrets:
            raise TenancyError("this endpoint has no such secret")
        if not live:
            raise TenancyError(
                "this is the endpoint's last secret: add another one first"
                " (sensorium endpoints rotate TOKEN)"
            )
        return await self._with_secrets(endpoint, live)

    async def _with_secrets(self, endpoint: Endpoint, live: tuple[str, ...]) -> Endpoint:
        endpoint = msgspec.structs.replace(
            endpoint, secrets=live, unsigned=False, awaits_secret=False
        )
        await self._store(endpoint)
        await self._audit(
            endpoint.tenant_id,
            "endpoint_rotated",
            f"{endpoint.endpoint_id}, live: {', '.join(endpoint.secret_ids())}",
        )
        return endpoint

    async def _store(self, endpoint: Endpoint) -> None:
        await self._connection.execute(
            self._sql["reseal_endpoint"],
            endpoint.tenant_id,
            endpoint.endpoint_id,
            self._sealed(endpoint),
        )

    def _sealed(self, endpoint: Endpoint) -> bytes:
        return self._vault.seal(msgspec.json.encode(endpoint))

    async def _audit(self, tenant: str, action: str, detail: str) -> None:
        await self._connection.execute(self._sql["write_audit"], tenant, action, detail)


def _check_label(provider: str, instance: str | None) -> None:
    """Raises TenancyError if this label cannot be given to a server of the provider."""
    if instance is not None and not (
        is_instance(instance) and traits_of(provider).numbers_per_server
    ):
        raise TenancyError(
            f"{instance!r} cannot label a server of {provider}: only servers of "
            f"{labelled_providers()} number their messages alike, and a label has at most 32 "
            "lower-case letters, digits or hyphens and is not `direct`"
        )


def _new_secret(provider: str) -> str:
    return traits_of(provider).secret_prefix + _random()


def _random() -> str:
    """256 random bits as text.

    It does not begin with a hyphen, because a command would take it for an option.
    """
    while (text := secrets.token_urlsafe(32)).startswith("-"):
        pass
    return text
