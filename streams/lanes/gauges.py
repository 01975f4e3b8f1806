"""The gauges of a stage's lanes, computed when they are read."""

import time
from collections.abc import Iterable
from contextlib import suppress

from schemas import metrics
from schemas.parked import Parked, show_parked
from schemas.pipeline import Stage
from streams.lanes.job_entries import JobEntries
from streams.lanes.jobs import JobIntake, Jobs
from streams.lanes.lane import Intake, Lane


def of_lanes(stage: Stage, lanes: Iterable[Lane], parked: Iterable[Parked]) -> None:
    """Sets the gauges that every stage has."""
    lanes = list(lanes)
    metrics.STAGE_LANES.labels(stage).set(sum(lane.ready for lane in lanes))
    for lane in lanes:
        lag = lane.lag()
        if lag is not None:
            metrics.STAGE_LAG.labels(stage, lane.partition).set(lag)
    show_parked(stage, parked)


def of_jobs(stage: Stage, lanes: Iterable[Lane], jobs: Jobs, intake: Intake) -> None:
    """Sets the gauges that only job stages have."""
    lanes = list(lanes)
    queues = [one.state for one in lanes if one.ready and isinstance(one.state, JobEntries)]
    metrics.JOBS_WAITING.labels(stage).set(sum(map(len, queues)))
    metrics.JOBS_BYTES.labels(stage).set(sum(queue.bytes for queue in queues))
    admitted = [at for queue in queues if (at := queue.oldest_admitted_at()) is not None]
    oldest = max(0.0, time.time() - min(admitted)) if admitted else 0.0
    metrics.JOBS_OLDEST.labels(stage).set(oldest)
    metrics.JOBS_RUNNING.labels(stage).set(jobs.running)
    if isinstance(intake, JobIntake):
        for lane in lanes:
            metrics.JOBS_INTAKE_PAUSED.labels(stage, lane.partition).set(
                lane.partition in intake.paused
            )


def forget(stage: Stage, partition: int) -> None:
    """Removes the gauges of a partition that another worker owns now.

    Their last values would otherwise stay and cause false alarms.
    """
    for gauge in (metrics.STAGE_LAG, metrics.JOBS_INTAKE_PAUSED):
        with suppress(KeyError):
            gauge.remove(stage, partition)
