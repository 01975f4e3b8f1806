"""The Faust agents of a stage, which pass each batch or job to the stage's function.

If it raises, they end the process, which reads the batch again after its restart. An
agent that raises would lose its batch silently.
"""

from collections.abc import Callable
from typing import TypeVar

from faust.types import StreamT

from streams.lanes.app import LaneApp, die
from streams.lanes.batches import Batch
from streams.lanes.channel import LaneChannel
from streams.lanes.job_ends import JobCall, run_job
from streams.lanes.jobs import Job
from streams.lanes.state import PartitionState

S = TypeVar("S", bound=PartitionState)


def run_batches(app: LaneApp, channel: LaneChannel, decide: Callable[[Batch[S]], None]) -> None:
    """Decides each batch of the channel. Drops a batch whose partition was revoked."""

    @app.agent(channel, name=app.stage)
    async def batches(stream: StreamT[Batch[S]]) -> None:
        async for batch in stream:
            if not batch.current:
                batch.discard()
                continue
            try:
                decide(batch)
            except Exception as error:
                die(error)


def run_jobs(app: LaneApp, channel: LaneChannel, call: JobCall, concurrency: int) -> None:
    """Runs and settles the jobs of the channel, at most `concurrency` at a time."""

    @app.agent(channel, name=app.stage, concurrency=concurrency)
    async def jobs(stream: StreamT[Job]) -> None:
        async for job in stream:
            try:
                await run_job(job, call, app.gate)
            except Exception as error:
                die(error)
