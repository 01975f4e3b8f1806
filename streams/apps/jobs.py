"""A job stage as a Faust app.

Its table is a durable queue, workers call the stage, and each job is settled once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

import structlog
from confluent_kafka import Message

from schemas import metrics
from schemas.arrival import Arrival
from schemas.codec import Undecodable, decode
from schemas.keys import MessageKey
from schemas.outcomes import Forward, Output, Quarantine, Unavailable
from schemas.pipeline import SOURCE_OF, TABLE_OF, Stage
from schemas.records import AudioJob, Enrichment, MediaJob, VisionJob
from schemas.settings import Settings
from schemas.topics import MAX_RECORD_BYTES, Names
from schemas.versions import UnknownVersion
from storage import failpoints
from storage.postgres.job_attempts import JobAttempt, JobAttempts, JobPlace
from streams.apps.encoding import PROCESS_KILLER, Encoding, TooLarge, utc_now
from streams.lanes.agents import run_jobs
from streams.lanes.app import LaneApp, lane_app
from streams.lanes.changelogs import COMPACTED
from streams.lanes.job_ends import Done, Held, JobEnd, Later
from streams.lanes.job_entries import JobEntries
from streams.lanes.jobs import Job, Refusal
from streams.lanes.transactions import Write

log = structlog.get_logger()
TRY_SECONDS = 1_800.0
"""The limit of one try.

Downloads, decoding and model calls have shorter limits of their own.
"""
LONGEST_WAIT_SECONDS = 86_400.0
"""A job whose tries never return is quarantined after this time.

Each of its tries occupies a worker for half an hour.
"""
J = TypeVar("J", MediaJob, VisionJob, AudioJob)


class StageClients(Protocol):
    """The clients that a stage needs: opened before the first job, closed after the last.

    If `healthy` is false, the stage continues, but must not report itself ready.
    """

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    def healthy(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class StageAttempt(Generic[J]):
    """One try of a job. `waited_seconds` counts from its first try, across restarts."""

    job: J
    arrival: Arrival
    waited_seconds: float


@dataclass(frozen=True, slots=True)
class JobStage(Generic[J]):
    """The parts in which job stages differ.

    They are the name, the type of the jobs, the call of the stage, and its clients.
    """

    stage: Stage
    kind: type[J]
    work: Callable[[StageAttempt[J]], Awaitable[Forward]]
    clients: StageClients


def job_app(settings: Settings, job_stage: JobStage[J]) -> LaneApp:
    """Builds the app. The `stream` role starts its worker."""
    names = Names(settings.namespace)
    app = lane_app(job_stage.stage, settings)
    attempts = JobAttempts(settings.postgres, names, job_stage.stage)
    calls = _Calls(job_stage, Encoding(names, settings.kafka.partitions), attempts)

    async def open_all() -> None:
        await attempts.start()
        await job_stage.clients.open()

    async def close_all() -> None:
        await attempts.stop()
        await job_stage.clients.close()

    app.opening, app.closing = open_all, close_all
    app.healthy = job_stage.clients.healthy
    load_bytes = settings.worker.queue_bytes // settings.kafka.partitions
    entries = app.lane_table(
        TABLE_OF[job_stage.stage],
        partitions=settings.kafka.partitions,
        new_state=lambda: JobEntries(load_bytes),
        extra_topic_configs=COMPACTED
        | {
            "min.insync.replicas": str(settings.kafka.min_insync_replicas),
            "max.message.bytes": str(MAX_RECORD_BYTES),
        },
    )
    queue = app.job_lanes(entries, settings.worker, calls.refuse)

    run_jobs(app, queue, calls.call, settings.worker.jobs)
    return app


class _Calls(Generic[J]):
    """Turns a record into a call of the stage, and the result into the job's end."""

    def __init__(self, job_stage: JobStage[J], encoding: Encoding, attempts: JobAttempts) -> None:
        self._stage: JobStage[J] = job_stage
        self._encoding = encoding
        self._attempts = attempts
        self._seconds = metrics.JOB_SECONDS.labels(job_stage.stage).observe

    def refuse(self, message: Message, is_killer: bool) -> Refusal | None:
        """Returns what is written for a record that cannot become a job.

        Such a record never enters the queue. Raises UnknownVersion.
        """
        try:
            if is_killer:
                verdict = PROCESS_KILLER
            else:
                failpoints.reading(message.value())
                decode(self._stage.kind, message.value())
                return None
        except Undecodable as error:
            verdict = Quarantine("record_undecodable", str(error))
        return Refusal(
            verdict.reason, self._quarantine(self._encoding.arrival(message), verdict, index=None)
        )

    async def call(self, job: Job, value: bytes | None) -> JobEnd:
        """Calls the stage once and returns how the job ended. The lane settles it."""
        arrival = self._arrival(job, value)
        try:
            record = decode(self._stage.kind, value)
        except UnknownVersion as newer:
            return Held(newer)
        except Undecodable as error:
            return self._quarantined(arrival, Quarantine("record_undecodable", str(error)), None)
        waited = max(0.0, time.time() - job.entry.first_attempt_at)
        began = time.monotonic()
        try:
            forward = await self._work(StageAttempt(record, arrival, waited))
            writes = [
                self._encoding.write(output, arrival.traceparent) for output in forward.outputs
            ]
        except Unavailable as trouble:
            return self._later(job, record, trouble)
        except TooLarge as error:
            verdict = Quarantine("record_too_large", str(error))
            return self._quarantined(arrival, verdict, record.index)
        except Exception as error:  # one record must not stop the others; the breaker counts these
            log.exception(
                "stage_error",
                tenant=arrival.tenant_id,
                message_key=record.message_key,
                stage=self._stage.stage,
            )
            verdict = Quarantine("stage_error", type(error).__name__)
            return self._quarantined(arrival, verdict, record.index)
        finally:
            self._seconds(time.monotonic() - began)
        self._note_end(job, record, forward)
        return Done(writes, "forwarded", forward.failure or "")

    async def _work(self, attempt: StageAttempt[J]) -> Forward:
        """Runs one try.

        A call that does not return would occupy its worker permanently, so it is ended
        and tried again for a day, like other trouble.
        """
        try:
            async with asyncio.timeout(TRY_SECONDS) as deadline:
                return await self._stage.work(attempt)
        except TimeoutError:
            if not deadline.expired() or attempt.waited_seconds >= LONGEST_WAIT_SECONDS:
                raise
            raise Unavailable("deadline", 5.0, detail=f"not within {TRY_SECONDS:g} s") from None

    def _later(self, job: Job, record: J, trouble: Unavailable) -> Later:
        """Postpones the job and notes the cause for `trace`.

        Only the first try is logged at info level, because in an outage each job is
        tried many times.
        """
        metrics.JOB_RETRIES.labels(self._stage.stage, trouble.what).inc()
        attempts, first_at = job.entry.attempt + 1, job.entry.first_attempt_at
        is_first = attempts == 1 and not trouble.hold
        (log.info if is_first else log.debug)(
            "job_postponed",
            tenant=record.tenant_id,
            message_key=record.message_key,
            stage=self._stage.stage,
            what=trouble.what,
            cause=trouble.cause,
            attempt=attempts - 1,
        )

        def note(due_at: float) -> None:
            self._attempts.note(
                JobAttempt(
                    self._place(record),
                    record.generation,
                    attempts,
                    trouble.cause,
                    trouble.detail,
                    datetime.fromtimestamp(first_at, UTC),
                    utc_now(),
                    datetime.fromtimestamp(due_at, UTC),
                )
            )

        return Later(trouble, note)

    def _note_end(self, job: Job, record: J, forward: Forward) -> None:
        """Notes the last cause of a failed job.

        Forgets the notes of a job that ended well.
        """
        attempts = job.entry.attempt
        if forward.failure is not None and (attempts or forward.cause):
            first_at = datetime.fromtimestamp(job.entry.first_attempt_at, UTC)
            self._attempts.note(
                JobAttempt(
                    self._place(record),
                    record.generation,
                    attempts + 1,
                    forward.failure,
                    forward.cause,
                    first_at,
                    utc_now(),
                    None,
                )
            )
        elif attempts or record.generation:
            self._attempts.forget(self._place(record), record.generation)

    def _place(self, record: J) -> JobPlace:
        return JobPlace(record.tenant_id, record.message_key, record.index, self._stage.stage)

    def _quarantined(self, arrival: Arrival, verdict: Quarantine, index: int | None) -> Done:
        return Done(self._quarantine(arrival, verdict, index), "quarantined", verdict.reason)

    def _arrival(self, job: Job, value: bytes | None) -> Arrival:
        entry = job.entry
        return Arrival(
            SOURCE_OF[self._stage.stage], job.partition, job.offset, entry.key, value, entry.headers
        )

    def _quarantine(self, arrival: Arrival, verdict: Quarantine, index: int | None) -> list[Write]:
        """Quarantines the record and writes the enrichment that tells its message.

        Both are written in one transaction.
        """
        stage = self._stage.stage
        key = MessageKey(arrival.key.decode(errors="replace"))
        failed = Enrichment(
            tenant_id=arrival.tenant_id,
            message_key=key,
            provider=arrival.provider,
            generation=arrival.generation,
            kind="failed",
            index=index,
            stage=stage,
            source=arrival.source,
            at=utc_now(),
            reason="quarantined",
        )
        enrichment = self._encoding.write(
            Output("enrichments", key, failed, arrival.generation), arrival.traceparent
        )
        return [
            self._encoding.quarantined(arrival, stage, verdict),
            enrichment._replace(key=arrival.key),
        ]
