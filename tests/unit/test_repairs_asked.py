"""What of a repair is refused before Postgres is asked."""

from typing import Any

import asyncpg
import pytest

from schemas.keys import TenantId
from storage.postgres.repairs import RepairError, Repairs

ACME = TenantId("acme")


class Strict:
    """Answers as Postgres does to U+0000."""

    async def fetch(self, _: str, *arguments: Any) -> list[Any]:
        if any("\0" in one for one in arguments if isinstance(one, str)):
            raise asyncpg.CharacterNotInRepertoireError("invalid byte sequence")
        return []


async def test_a_reason_or_an_id_with_a_nul_is_one_that_nothing_has() -> None:
    database: Any = Strict()
    repairs = Repairs(database)
    assert await repairs.one(ACME, "rep_1") is None
    assert await repairs.one(ACME, "rep_\0") is None
    for reason in ("media_gone", "media\0gone"):
        with pytest.raises(RepairError):
            await repairs.plan(ACME, reason, "ana")
