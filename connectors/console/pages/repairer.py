"""The interface through which the console plans and runs repairs; its role passes it in."""

from typing import Protocol

from storage.postgres.repair_plans import RepairRequest


class Repairer(Protocol):
    """Plans repairs and runs those that were applied."""

    async def plan(self, request: RepairRequest) -> str:
        """Counts the records of a repair, stores the plan and returns its id.

        Raises RepairError if there is nothing to repair or nobody would read what is
        written, and Unavailable.
        """

    async def begin(
        self, request: RepairRequest, repair_id: str, rate: float | None = None
    ) -> None:
        """Applies a plan and records that in the audit log.

        Raises RepairError if the plan has ended or another repair is running, and
        Unavailable.
        """

    async def run(self) -> None:
        """Works on applied repairs until it is cancelled."""
