"""Changes of tenants and keys by commands.

Each change is recorded in audit_log, in the same transaction.
"""

import secrets
from datetime import timedelta
from typing import Any

import msgspec

from schemas.keys import TENANT_PATTERN, TenantId
from schemas.tenants import Scope, TenantSettings
from schemas.topics import HORIZON_MS
from storage.postgres.endpoints import EndpointChanges, TenancyError
from storage.postgres.tenant_index import digest
from storage.postgres.vault import VaultError

HORIZON = timedelta(milliseconds=HORIZON_MS)
KEY_NAME_CHARS = 100
__all__ = ["Tenancy", "TenancyError"]


class Tenancy(EndpointChanges):
    """The changes, on one connection."""

    # tenants

    async def add_tenant(self, name: str) -> TenantId:
        """Adds a tenant. Adding an existing one succeeds and changes nothing.

        The name of a removed tenant cannot be used before the horizon has passed: until
        then, records of the removed tenant may still be in the pipeline and would be
        stored for the new one.
        """
        if not TENANT_PATTERN.fullmatch(name):
            raise TenancyError(
                f"{name!r} is not a tenant name: a letter or digit, then at most 62 "
                "letters, digits or hyphens, all lower case"
            )
        async with self._connection.transaction():
            sealed = self._vault.seal(msgspec.json.encode(TenantSettings()))
            if await self._connection.fetchval(self._sql["add_tenant"], name, sealed, HORIZON):
                await self._audit(name, "tenant_added", "")
            removed = await self._row("tenant", name)
            if removed["removed_at"] is not None:
                free = removed["removed_at"] + HORIZON
                raise TenancyError(
                    f"tenant {name!r} was removed; its name is free again on "
                    f"{free:%Y-%m-%d}: choose another name"
                )
        return TenantId(name)

    async def set_tenant(self, name: str, changes: dict[str, Any]) -> TenantSettings:
        """Changes settings. None resets one to the default of the installation."""
        async with self._connection.transaction():
            sealed = await self._must_exist(name)
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

    async def tenant(self, name: str) -> dict[str, Any]:
        """A tenant, removed or not, with its settings and the number of stored rows and files.

        Secret settings are not shown.
        """
        row = await self._row("tenant", name)
        return {
            "tenant_id": row["tenant_id"],
            "created_at": row["created_at"],
            "removed_at": row["removed_at"],
            "data_kept": row["data_kept"],
            "settings": self._shown_settings(row["settings"]),
            "holds": await self.holdings(name),
        }

    async def settings_of(self, name: str) -> dict[str, Any] | None:
        """Returns the settings without counting rows, or None if they cannot be decrypted."""
        return self._shown_settings((await self._row("tenant", name))["settings"])

    def _shown_settings(self, sealed: bytes) -> dict[str, Any] | None:
        try:
            settings: dict[str, Any] = msgspec.to_builtins(
                msgspec.json.decode(self._vault.open(sealed), type=TenantSettings)
            )
        except (VaultError, msgspec.MsgspecError):
            return None
        settings["openai_key"] = None if settings["openai_key"] is None else "(set)"
        return settings

    async def holdings(self, name: str) -> dict[str, int]:
        """The number of keys, endpoints, rows and files of a tenant."""
        return dict(await self._row("holdings", name))

    async def remove_tenant(self, name: str, *, keep_data: bool) -> dict[str, int]:
        """Ends all credentials of a tenant, marks it as removed, and returns their counts.

        From then on no sink stores a record of the tenant, unless its data is kept. A
        second call succeeds; it may delete data that the first one kept.
        """
        async with self._connection.transaction():
            await self._connection.execute(self._sql["removal_lock"])
            before = await self._row("tenant", name)
            keys = await self._connection.execute(self._sql["end_keys"], name)
            endpoints = await self._connection.execute(self._sql["end_endpoints"], name)
            await self._connection.execute(self._sql["end_roles"], name)
            nothing = self._vault.seal(msgspec.json.encode(TenantSettings()))
            data_kept = keep_data and (before["removed_at"] is None or before["data_kept"])
            await self._connection.execute(self._sql["remove_tenant"], name, nothing, data_kept)
            ended = {"keys": _count(keys), "endpoints": _count(endpoints)}
            what = ", ".join(f"{count} {noun}" for noun, count in ended.items())
            await self._audit(name, "tenant_removed", f"{what} ended, data {_fate(data_kept)}")
        return ended

    # keys

    async def add_key(self, tenant: str, scope: Scope, name: str = "") -> str:
        """Creates a key. It is returned only here; only its digest is stored."""
        if len(name) > KEY_NAME_CHARS or not name.isprintable():
            raise TenancyError(
                f"a key's name is printable text of at most {KEY_NAME_CHARS} characters"
            )
        key = f"sk_{scope}_{secrets.token_urlsafe(32)}"
        async with self._connection.transaction():
            await self._must_exist(tenant)
            key_id = await self._connection.fetchval(
                self._sql["add_key"], tenant, digest(key), scope, name
            )
            await self._audit(tenant, "key_added", _named(key_id, scope, name))
        return key

    async def keys(self, tenant: str) -> list[dict[str, Any]]:
        """The keys of a tenant by id and name.

        Only digests are stored, so no key can be shown.
        """
        await self._row("tenant", tenant)
        return [dict(row) for row in await self._connection.fetch(self._sql["list_keys"], tenant)]

    async def revoke_key(self, key_id: str) -> dict[str, str]:
        """Revokes a key."""
        async with self._connection.transaction():
            row = await self._connection.fetchrow(self._sql["revoke_key"], key_id)
            if row is None:
                raise TenancyError(f"no key has the id {key_id!r}: sensorium keys list TENANT")
            named = _named(row["key_id"], row["scope"], row["name"])
            await self._audit(row["tenant_id"], "key_revoked", named)
        return dict(row)

    async def next_generation(self, command: str, detail: str) -> int:
        """A new generation for a repair run.

        It is higher than all earlier ones, including those that a restored database
        forgot.
        """
        generation: int | None = None
        while generation is None:
            generation = await self._connection.fetchval(
                self._sql["next_generation"], command, detail
            )
        return generation

    async def note(self, tenant: str, action: str, detail: str) -> None:
        """Records an action on other tables in audit_log."""
        await self._audit(tenant, action, detail)


def _named(key_id: str, scope: str, name: str) -> str:
    """How the audit log names a key."""
    return f"{key_id} {scope} {name}".rstrip()


def _count(status: str) -> int:
    """The number of rows that a statement affected, from its command tag."""
    return int(status.rpartition(" ")[2])


def _fate(is_kept: bool) -> str:
    return "kept" if is_kept else "to be deleted"
