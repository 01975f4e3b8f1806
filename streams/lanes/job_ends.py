"""The ways in which one run of a job ends, and the one place where it is settled."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, assert_never

from schemas.outcomes import Unavailable
from schemas.versions import UnknownVersion
from streams.lanes.gate import Gate
from streams.lanes.jobs import Job
from streams.lanes.transactions import Write


def _say_nothing(due_at: float) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Done:
    """The job is finished, with its writes and the outcome for its receipt."""

    writes: list[Write]
    outcome: Literal["forwarded", "quarantined"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """The environment is in trouble, so the job is tried again.

    `tell` is called with the time of the next try in Unix seconds.
    """

    trouble: Unavailable
    tell: Callable[[float], None] = _say_nothing


@dataclass(frozen=True, slots=True)
class Held:
    """Only a newer program can read the job. It waits, and its partition is parked."""

    newer: UnknownVersion


@dataclass(frozen=True, slots=True)
class LaneLost:
    """The lane has ended. The next owner runs the job, and no failure is counted."""


JobEnd = Done | Later | Held | LaneLost
JobCall = Callable[[Job, bytes | None], Awaitable[JobEnd]]
"""Runs a job with its record's value, which is None if the source no longer has it."""


async def run_job(job: Job, call: JobCall, gate: Gate) -> None:
    """Runs the job once and settles it according to how it ends."""
    await _settle(job, await _ended(job, call, gate), gate)


async def _ended(job: Job, call: JobCall, gate: Gate) -> JobEnd:
    if not await gate.wait(lambda: job.is_lost):
        return LaneLost()
    try:
        value = await job.value()
    except Unavailable as trouble:
        return Later(trouble)
    # A value that the lane could not read before it closed is no failure: do not call.
    return LaneLost() if job.is_lost else await call(job, value)


async def _settle(job: Job, end: JobEnd, gate: Gate) -> None:
    match end:
        case Done(writes, outcome, reason):
            line = job.line(outcome, reason)
            # A job whose lane was lost while the gate was shut only frees its worker.
            await gate.judge([line], lambda: job.is_lost)
            job.finish(writes, line)
        case Later(trouble, tell):
            tell(job.postpone(trouble))
        case Held(newer):
            job.hold(newer)
        case LaneLost():
            job.give_back()
        case _:
            assert_never(end)
