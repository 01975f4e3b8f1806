"""Takes quarantined records off the list, for the command and for the page."""

from collections import Counter
from dataclasses import dataclass

import asyncpg

from storage.postgres.sql import queries


@dataclass(frozen=True, slots=True)
class DismissChoice:
    """Selects new quarantined records. None stands for any.

    `place` is topic, partition and offset.
    """

    tenant: str | None = None
    stage: str | None = None
    reason: str | None = None
    place: tuple[str, int, int] | None = None

    def __str__(self) -> str:
        place = self.place and f"{self.place[0]}[{self.place[1]}]@{self.place[2]}"
        return " ".join(filter(None, (place, self.stage, self.reason))) or "all"


async def dismiss(connection: "asyncpg.Connection[asyncpg.Record]", choice: DismissChoice) -> int:
    """Marks the records as dismissed and returns how many there were.

    The audit log of each tenant names the choice and the number of its records. Run it
    in a transaction.
    """
    rows = await connection.fetch(
        queries("repair")["dismiss_quarantined"],
        choice.tenant,
        choice.stage,
        choice.reason,
        *(choice.place or (None, None, None)),
    )
    for owner, count in Counter(row["tenant_id"] for row in rows).items():
        detail = f"{count} record{'' if count == 1 else 's'}: {choice}"
        await connection.execute(
            queries("tenancy")["write_audit"], owner, "quarantine dismiss", detail
        )
    return len(rows)
