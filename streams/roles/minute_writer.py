"""Each process of the pipeline records what it did in each minute, from its own metrics.

A thread with a connection of its own does this, so no record waits for it. While
Postgres is unavailable, only a part of the console's pipeline page is missing.
"""

import asyncio
import math
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.samples import Sample

from schemas import metrics
from schemas.pipeline import JOB_STAGES
from schemas.settings import Settings
from schemas.topics import Names
from storage.background import retry_forever
from storage.postgres.pool import connect
from storage.postgres.stage_minutes import StageMinute, StageMinutes

log = structlog.get_logger()

EVERY_SECONDS = 5.0
_BY_STATUS = {"2": "accepted", "4": "refused", "5": "unavailable"}


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """The work of a process since its start, and its current backlog.

    `took` is a histogram of durations.
    """

    outcomes: Counter[str]
    took: tuple[int, ...]
    unread: int = 0
    waiting: int = 0
    oldest_seconds: float = 0.0


def figures_of(stage: str) -> ProcessFigures:
    """Reads the figures from the metrics of this process."""
    match stage:
        case "receive":
            return ProcessFigures(_answers(), _took(metrics.RECEIVER_ACK))
        case "sink":
            rows = _summed(metrics.SINK_ROWS, "result", topic="enriched-messages")
            unread = sum(one.value for one in _samples(metrics.SINK_LAG))
            return ProcessFigures(rows, _took(metrics.SINK_COMMIT), int(unread))
    took = metrics.JOB_SECONDS if stage in JOB_STAGES else metrics.STAGE_COMMIT
    return ProcessFigures(
        _summed(metrics.STAGE_RECORDS, "outcome", stage=stage),
        _took(took, stage=stage),
        int(sum(one.value for one in _samples(metrics.STAGE_LAG, stage=stage))),
        int(sum(one.value for one in _samples(metrics.JOBS_WAITING, stage=stage))),
        max((one.value for one in _samples(metrics.JOBS_OLDEST, stage=stage)), default=0.0),
    )


def _samples(metric: MetricWrapperBase, **labels: str) -> Iterator[Sample]:
    for family in metric.collect():
        for one in family.samples:
            if not one.name.endswith("_created") and labels.items() <= one.labels.items():
                yield one


def _summed(metric: MetricWrapperBase, by: str, **labels: str) -> Counter[str]:
    counted = Counter[str]()
    for one in _samples(metric, **labels):
        counted[one.labels[by]] += int(one.value)
    return counted


def _answers() -> Counter[str]:
    counted = Counter[str]()
    for status, number in _summed(metrics.RECEIVER_REQUESTS, "status").items():
        counted[_BY_STATUS.get(status[:1], "refused")] += number
    return counted


def _took(metric: MetricWrapperBase, **labels: str) -> tuple[int, ...]:
    """The number of observations per bucket, without those of smaller buckets."""
    bounds = Counter[float]()
    for one in _samples(metric, **labels):
        if one.name.endswith("_bucket"):
            bounds[float(one.labels["le"])] += int(one.value)
    within = [bounds[bound] for bound in sorted(bounds)]
    return tuple(after - before for before, after in zip([0, *within], within, strict=False))


class MinuteOfProcess:
    """Computes the row of the current minute from successive figures."""

    def __init__(self, stage: str, began: ProcessFigures, at: float) -> None:
        self._stage, self._member = stage, secrets.token_hex(4)
        self._before, self._before_at = began, at
        self._minute, self._base = math.floor(at / 60), began

    def look(self, now: ProcessFigures, at: float) -> StageMinute:
        """Returns the row at this moment (Unix seconds).

        What happened since the previous call counts for this minute.
        """
        if math.floor(at / 60) != self._minute:
            self._minute, self._base = math.floor(at / 60), self._before
        outcomes = now.outcomes - self._base.outcomes
        lately = (now.outcomes - self._before.outcomes).total()
        per_second = lately / max(0.1, at - self._before_at)
        self._before, self._before_at = now, at
        earlier = self._base.took or (0,) * len(now.took)
        return StageMinute(
            minute=datetime.fromtimestamp(self._minute * 60, UTC),
            stage=self._stage,
            member=self._member,
            records=outcomes.total(),
            per_second=round(per_second, 3),
            outcomes=dict(outcomes),
            took=[after - before for after, before in zip(now.took, earlier, strict=True)],
            unread=now.unread,
            waiting=now.waiting,
            oldest_seconds=round(now.oldest_seconds, 1),
        )


def start_minutes(
    settings: Settings, stage: str, refresh: Callable[[], None] = lambda: None
) -> None:
    """Writes the rows until the process ends.

    `refresh` sets gauges that are computed when they are read.
    """
    writing = MinuteWriter(settings, stage, refresh)
    run = threading.Thread(target=lambda: asyncio.run(writing.run()), name="minutes", daemon=True)
    run.start()


class MinuteWriter:
    """Reads the metrics and writes the rows."""

    def __init__(self, settings: Settings, stage: str, refresh: Callable[[], None]) -> None:
        self._settings, self._stage, self._refresh = settings, stage, refresh
        self._minute = MinuteOfProcess(stage, figures_of(stage), time.time())
        self._wrote_at = 0.0
        self._is_away = False

    async def run(self) -> None:
        """Runs until it is cancelled. Errors are logged, and the loop continues."""
        await retry_forever(self._write, self._failed, lambda: self._wrote_at)

    async def _write(self) -> None:
        names = Names(self._settings.namespace)
        connection = await connect(self._settings.postgres, names, f"{self._stage}-minutes")
        try:
            rows = StageMinutes(connection)
            while True:
                await asyncio.sleep(EVERY_SECONDS)
                self._refresh()
                await rows.write(self._minute.look(figures_of(self._stage), time.time()))
                self._wrote_at, self._is_away = time.monotonic(), False
        finally:
            connection.terminate()

    def _failed(self, error: Exception) -> None:
        """Logs an outage once, because other parts that need Postgres report it too."""
        if not self._is_away:
            log.warning("minutes_not_written", error=f"{type(error).__name__}: {error}")
        self._is_away = True
