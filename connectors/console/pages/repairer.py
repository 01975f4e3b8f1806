"""The console does not know how work is done again: its role hands in who does."""

from typing import Protocol

from storage.postgres.repair_plans import RepairRequest


class Repairer(Protocol):
    """Plans repairs, and works on those that were applied."""

    async def plan(self, asked: RepairRequest) -> str:
        """Counts, and keeps the plan; the id.

        Raises RepairError for nothing to do, and if nobody would read what is
        written; Unavailable.
        """

    async def begin(self, asked: RepairRequest, repair_id: str, rate: float | None = None) -> None:
        """Applies it, on record.

        Raises RepairError for a plan that is over, and while another runs; Unavailable.
        """

    async def run(self) -> None:
        """Works until it is cancelled."""
