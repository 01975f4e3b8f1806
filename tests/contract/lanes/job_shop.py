"""A process that runs jobs of one lane on the real broker. The test plays its workers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from confluent_kafka import Message
from lane_world import PACE, SECONDS, Desk, World, at_work, open_gate

from streams.lanes.in_flight import InFlightRecord
from streams.lanes.job_entries import JobEntries
from streams.lanes.jobs import Job, JobIntake, Jobs, Refusal
from streams.lanes.lane import Lane
from streams.lanes.pace import Pace
from streams.lanes.transactions import Write

NO_BODIES = 1 << 40
"""A value for `BODIES_PART` with which every entry is a stub."""


@dataclass
class Shop:
    """One process with its workers and one lane.

    A single tenant gets half of the workers.
    """

    world: World
    workers: int = 64
    per_tenant: int = 64
    pace: Pace = PACE
    refusals: dict[bytes, Refusal] = field(default_factory=dict)
    desk: Desk = field(default_factory=Desk)
    queue_bytes: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        self.jobs = Jobs(self.desk, self.workers, self.per_tenant)  # type: ignore[arg-type]
        self.intake = JobIntake(
            self.jobs, self._refuse, open_gate(), InFlightRecord(), self.queue_bytes
        )
        self.state = JobEntries()
        self.lane: Lane = self.world.lane(self.intake, self.state, pace=self.pace)

    def _refuse(self, message: Message, _is_killer: bool) -> Refusal | None:
        return self.refusals.get(message.value() or b"")

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Shop"]:
        async with at_work(self.lane):
            yield self

    async def next(self) -> Job:
        job: Job = await self.desk.next()
        return job

    async def finish(self, job: Job, *writes: Write) -> None:
        """Finishes the job and waits until that is committed."""
        job.finish(list(writes), job.line("forwarded"))
        await committed(self.lane)


def for_tenant(tenant: str) -> list[tuple[str, bytes]]:
    return [("tenant", tenant.encode())]


async def committed(lane: Lane) -> None:
    """Waits until what was just added to the lane is committed."""
    await asyncio.wait_for(asyncio.shield(lane.add([], [], [])), SECONDS)
