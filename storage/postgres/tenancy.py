"""What commands change: tenants, endpoints, keys. Each change stands in audit_log, in the same transaction."""

import secrets
from typing import Any

import asyncpg
import msgspec

from schemas.keys import PROVIDER_PATTERN, TENANT_PATTERN, TenantId, is_instance
from schemas.tenants import Endpoint, Scope, TenantSettings
from storage.postgres.directory import digest
from storage.postgres.sql import queries
from storage.postgres.vault import Vault


class TenancyError(Exception):
    """What was asked for cannot be; the text says why and what to do."""


class Tenancy:
    """The changes, on one connection."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", vault: Vault) -> None:
        self._connection = connection
        self._vault = vault
        self._sql = queries("tenancy")

    async def add_tenant(self, name: str) -> TenantId:
        """Adding one again succeeds and changes nothing."""
        if not TENANT_PATTERN.fullmatch(name):
            raise TenancyError(
                f"{name!r} is no tenant name: a letter or digit, then at most 62 letters, digits or hyphens, all lower case"
            )
        async with self._connection.transaction():
            sealed = self._vault.seal(msgspec.json.encode(TenantSettings()))
            if await self._connection.fetchval(self._sql["add_tenant"], name, sealed):
                await self._audit(name, "tenant_added", "")
        return TenantId(name)

    async def set_tenant(self, name: str, changes: dict[str, Any]) -> TenantSettings:
        """Changes some settings; None takes one back to the default of the installation."""
        async with self._connection.transaction():
            sealed = await self._connection.fetchval(self._sql["tenant_settings"], name)
            if sealed is None:
                raise TenancyError(f"there is no tenant {name!r}: sensorium tenants add {name}")
            now = msgspec.to_builtins(
                msgspec.json.decode(self._vault.open(sealed), type=TenantSettings)
            )
            try:
                settings = msgspec.convert(now | changes, TenantSettings, strict=False)
            except msgspec.ValidationError as error:
                raise TenancyError(str(error)) from None
            await self._connection.execute(
                self._sql["set_tenant_settings"],
                name,
                self._vault.seal(msgspec.json.encode(settings)),
            )
            await self._audit(name, "tenant_set", ", ".join(sorted(changes)))
        return settings

    async def add_endpoint(
        self,
        tenant: str,
        provider: str,
        *,
        secret: str | None,
        unsigned: bool,
        api_key: str | None,
        instance: str | None = None,
    ) -> Endpoint:
        """A new endpoint, each time. Without `secret` and `unsigned` it gets a secret of its own."""
        if not PROVIDER_PATTERN.fullmatch(provider):
            raise TenancyError(f"{provider!r} is no provider name: [a-z0-9_]+")
        if instance is not None and not (is_instance(instance) and provider == "chatwoot"):
            raise TenancyError(
                f"{instance!r} cannot label a server of {provider}: only Chatwoot servers number their messages alike, "
                "and a label has at most 32 lower-case letters, digits or hyphens and is not `direct`"
            )
        if secret is None and not unsigned:
            secret = ("whsec_" if provider == "ycloud" else "") + secrets.token_urlsafe(32)
        endpoint = Endpoint(
            endpoint_id=f"ep_{secrets.token_hex(8)}",
            token=secrets.token_urlsafe(32),
            tenant_id=TenantId(tenant),
            provider=provider,
            secrets=(secret,) if secret else (),
            unsigned=unsigned,
            api_key=api_key,
            instance=instance,
        )
        async with self._connection.transaction():
            if await self._connection.fetchval(self._sql["tenant_settings"], tenant) is None:
                raise TenancyError(f"there is no tenant {tenant!r}: sensorium tenants add {tenant}")
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
        """The newest one."""
        sealed = await self._connection.fetchval(self._sql["newest_endpoint"], tenant, provider)
        return (
            None if sealed is None else msgspec.json.decode(self._vault.open(sealed), type=Endpoint)
        )

    async def rotate(self, token: str, *, drop: str | None) -> tuple[Endpoint, str | None]:
        """Adds a live secret, or ends the one given as `drop`. Returns the endpoint and the new secret, if one was made."""
        async with self._connection.transaction():
            row = await self._connection.fetchrow(self._sql["endpoint_by_token"], digest(token))
            if row is None:
                raise TenancyError("no endpoint has this token")
            endpoint = msgspec.json.decode(self._vault.open(row["sealed"]), type=Endpoint)
            new: str | None = None
            if drop is None:
                new = ("whsec_" if endpoint.provider == "ycloud" else "") + secrets.token_urlsafe(
                    32
                )
                live = (new, *endpoint.secrets)
            else:
                if drop not in endpoint.secrets:
                    raise TenancyError("this endpoint has no such secret")
                live = tuple(secret for secret in endpoint.secrets if secret != drop)
                if not live:
                    raise TenancyError(
                        "this is the endpoint's last secret: add another one first (sensorium endpoints rotate TOKEN)"
                    )
            endpoint = msgspec.structs.replace(endpoint, secrets=live, unsigned=False)
            await self._connection.execute(
                self._sql["reseal_endpoint"],
                endpoint.tenant_id,
                endpoint.endpoint_id,
                self._sealed(endpoint),
            )
            await self._audit(endpoint.tenant_id, "endpoint_rotated", endpoint.endpoint_id)
        return endpoint, new

    async def add_key(self, tenant: str, scope: Scope) -> str:
        """A new key; it is shown once and stored as a digest only."""
        key = f"sk_{scope}_{secrets.token_urlsafe(32)}"
        async with self._connection.transaction():
            if await self._connection.fetchval(self._sql["tenant_settings"], tenant) is None:
                raise TenancyError(f"there is no tenant {tenant!r}: sensorium tenants add {tenant}")
            await self._connection.execute(self._sql["add_key"], tenant, digest(key), scope)
            await self._audit(tenant, "key_added", scope)
        return key

    async def next_generation(self, command: str, detail: str) -> int:
        """For whatever redoes work: higher than all before."""
        generation: int = await self._connection.fetchval(
            self._sql["next_generation"], command, detail
        )
        return generation

    def _sealed(self, endpoint: Endpoint) -> bytes:
        return self._vault.seal(msgspec.json.encode(endpoint))

    async def _audit(self, tenant: str, action: str, detail: str) -> None:
        await self._connection.execute(self._sql["write_audit"], tenant, action, detail)
