"""Encrypts stored secrets with the first key, so that others can be removed."""

from dataclasses import dataclass, field
from typing import Literal

import asyncpg

from storage.postgres.sql import queries
from storage.postgres.vault import Vault, VaultError

SEALED_TABLES = ("tenants", "webhook_endpoints")
State = Literal["resealed", "current", "unreadable", "gone"]


@dataclass(slots=True)
class Resealed:
    """The result of `reseal`.

    `resealed` counts secrets that were encrypted with an older key. `unreadable` lists
    (table, tenant, id) of the secrets that no live key decrypts.
    """

    resealed: int = 0
    current: int = 0
    unreadable: list[tuple[str, str, str]] = field(default_factory=list)


async def reseal(
    connection: "asyncpg.Connection[asyncpg.Record]", vault: Vault, *, dry: bool = False
) -> Resealed:
    """Encrypts each secret with the first key, unless that is so already.

    Each row is locked in its own short transaction, so commands and a second reseal can
    run at the same time. Secrets that cannot be decrypted stay unchanged. `dry` counts
    and changes nothing.
    """
    done, statements = Resealed(), queries("reseal")
    for table in SEALED_TABLES:
        for tenant, name in await connection.fetch(statements[table]):
            async with connection.transaction():
                sealed = await connection.fetchval(statements[f"lock_{table}"], tenant, name)
                state = _state(vault, sealed)
                if state == "resealed" and not dry:
                    again = vault.seal(vault.open(sealed))
                    await connection.execute(statements[f"write_{table}"], tenant, name, again)
                    audit = queries("tenancy")["write_audit"]
                    await connection.execute(audit, tenant, "secret_resealed", f"{table} {name}")
            match state:
                case "resealed":
                    done.resealed += 1
                case "current":
                    done.current += 1
                case "unreadable":
                    done.unreadable.append((table, tenant, name))
    return done


def _state(vault: Vault, sealed: bytes | None) -> State:
    if sealed is None:
        return "gone"
    if vault.is_current(sealed):
        return "current"
    try:
        vault.open(sealed)
    except VaultError:
        return "unreadable"
    return "resealed"
