"""A Faust app whose agents read from lanes. Faust assigns partitions, lanes fetch and commit."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import faust
import structlog
from aiokafka import TopicPartition as AioTopicPartition
from confluent_kafka import Message
from faust.types import TP

from schemas import metrics
from schemas.parked import Parked
from schemas.pipeline import SOURCE_OF, WRITES_OF, Stage
from schemas.settings import Kafka, Settings, WorkerSettings
from schemas.topics import Names
from storage.kafka.client import METADATA_SECONDS
from storage.kafka.counts import REMEDY
from storage.kafka.member_names import static_member
from storage.postgres.stops import StageStops
from streams.errors import EXIT_TROUBLE
from streams.lanes import gauges
from streams.lanes.batches import BatchIntake
from streams.lanes.breaker import Breaker
from streams.lanes.channel import LaneChannel
from streams.lanes.counts import PartitionCounts
from streams.lanes.credentials import credentials
from streams.lanes.gate import Gate
from streams.lanes.in_flight import InFlightRecord
from streams.lanes.job_entries import JobEntries
from streams.lanes.jobs import JobIntake, Jobs, Refuse
from streams.lanes.kafka_errors import is_fenced
from streams.lanes.lane import Intake, Lane
from streams.lanes.membership import POLL_INTERVAL_SECONDS, Membership
from streams.lanes.pace import BATCH_PACE, JOB_PACE, Pace
from streams.lanes.parked import parked_reason
from streams.lanes.readiness import troubles
from streams.lanes.state import PartitionState
from streams.lanes.table import LaneTable, LaneTableManager
from streams.lanes.transactions import LaneIdentity

log = structlog.get_logger()
S = TypeVar("S", bound=PartitionState)

FENCE_GRACE_SECONDS = 12.0
"""A fenced lane that is assigned for longer shares its transactional id by mistake."""
WATCH_SECONDS = 1.0
PARKED_SECONDS = 60.0
"""The wait before a partition that an error parked is tried again."""
ALIVE_SECONDS = 15.0
EXIT_WATCHDOG_SECONDS = 10.0
JOB_DRAIN_SECONDS = 3.0


async def _nothing() -> None:
    pass


def die(why: BaseException | str) -> None:
    """Ends the process. After its restart, lanes fence and reload their state."""
    log.error(
        "worker_ends",
        error=f"{type(why).__name__}: {why}" if isinstance(why, BaseException) else why,
    )
    sys.stderr.flush()
    os._exit(EXIT_TROUBLE)


class Lanes:
    """Maps the partitions that Faust assigns to this process to lanes.

    Partitions kept in a rebalance continue: a valid epoch proves that no one else wrote.
    """

    def __init__(
        self,
        app: "LaneApp",
        table: LaneTable[Any],
        intake: Intake,
        pace: Pace,
        jobs: Jobs | None = None,
    ) -> None:
        self.app = app
        self.table = table
        self.jobs = jobs
        self.intake = intake
        self.open: dict[int, Lane] = {}
        self.assigned: set[int] = set()
        self.owned: Callable[[list[str]], None] = lambda transactional_ids: None
        self._pace = pace
        self._stopping = False
        self._beyond: dict[int, Parked] = {}
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        signal: Any = app.on_partitions_assigned  # its type asks for positional arguments only
        signal.connect(self.on_assigned)

    @property
    def ready(self) -> bool:
        """True if all partitions are open and the stage runs. Faust's readiness knows no lanes."""
        return not troubles(self.app, self)

    @property
    def parked(self) -> dict[int, Parked]:
        """The assigned partitions that are parked, with their reasons."""
        lanes = {p: lane.parked for p, lane in list(self.open.items()) if lane.parked is not None}
        return self._beyond | lanes

    async def on_assigned(self, app: faust.App, assigned: set[TP], **_: Any) -> None:
        """Closes lost lanes and opens new ones after a rebalance. `assigned` is complete."""
        self.app.membership.assigned()
        lane_topics = (self.app.source, self.table.changelog_topic_name)
        # Faust's consumer must not fetch what lanes fetch, and loses its pauses at each
        # assignment. Decision 0001 lists all private parts of Faust that are used.
        consumer: Any = app.consumer
        fetcher = consumer._thread._ensure_consumer()
        fetcher.pause(
            *[
                AioTopicPartition(tp.topic, tp.partition)
                for tp in assigned
                if tp.topic in lane_topics
            ]
        )
        self.assigned = {tp.partition for tp in assigned if tp.topic == self.app.source}
        log.info("partitions_assigned", partitions=sorted(self.assigned))
        for partition in sorted(set(self.open) - self.assigned):
            self._drop(partition)
        self._park_beyond()
        identities = {p: self._identity(p) for p in sorted(self.assigned - self._beyond.keys())}
        self.owned([identity.transactional_id for identity in identities.values()])
        for partition, identity in identities.items():
            lane = self.open.get(partition)
            if lane is None or lane.stopping:
                self._open(identity)

    async def stop(self) -> None:
        """Lets running jobs and transactions end, within a deadline."""
        self._stopping = True
        if self.jobs is not None:
            await self.jobs.drain(JOB_DRAIN_SECONDS)
        for lane in self.open.values():
            lane.stop()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=5)

    def refresh_metrics(self) -> None:
        """Updates the gauges that are computed when they are read."""
        lanes = list(self.open.values())
        gauges.of_lanes(self.app.stage, lanes, self.parked.values())
        if self.jobs is not None:
            gauges.of_jobs(self.app.stage, lanes, self.jobs, self.intake)

    def _identity(self, partition: int) -> LaneIdentity:
        return LaneIdentity(
            self.app.stage,
            self.app.conf.id,
            self.app.source,
            self.table.changelog_topic_name,
            self.app.receipts,
            partition,
            self.app.outputs,
            self.app.names,
        )

    def _open(self, identity: LaneIdentity) -> None:
        state = self.table.partitions_held[identity.partition] = self.table.new_state()
        lane = Lane(self.app.kafka, identity, state, self.intake, self._pace)
        lane.held = lambda: bool(self.app.counts.trouble)
        lane.commit_seconds = metrics.STAGE_COMMIT.labels(self.app.stage).observe
        self.open[identity.partition] = lane
        task = asyncio.ensure_future(lane.run())
        # A strong reference: otherwise only the lane's own tasks would refer to each other.
        self._tasks[lane] = task
        task.add_done_callback(lambda done: self._ended(lane, done))

    def _park_beyond(self) -> None:
        """Parks partitions beyond those of the settings, which never have state."""
        count = self.app.kafka.partitions
        for partition in sorted(self.assigned - set(range(count)) - self._beyond.keys()):
            log.error(
                "partition_parked",
                stage=self.app.stage,
                source=self.app.source,
                partition=partition,
                reason="partition_count",
                detail=f"{self.app.source} was given partitions beyond the {count} of the settings",
            )
        self._beyond = {
            partition: self._beyond.get(partition)
            or Parked("partition_count", f"the settings name {count} partitions. {REMEDY}")
            for partition in self.assigned
            if partition >= count
        }

    def _drop(self, partition: int) -> None:
        lane = self.open.pop(partition)
        gauges.forget(self.app.stage, partition)
        self.table.partitions_held.pop(partition, None)
        lane.stop()
        if self.jobs is not None:
            self.jobs.drop(lane)

    def _ended(self, lane: Lane, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(lane, None)
        error = None if task.cancelled() else task.exception()
        if error is None:
            if self.open.get(lane.partition) is lane and not self._stopping:
                die(f"the lane of partition {lane.partition} ended although nobody stopped it")
            return
        fenced = is_fenced(error)
        log.warning(
            "lane_failed",
            partition=lane.partition,
            fenced=fenced,
            error=f"{type(error).__name__}: {error}",
        )
        if self.open.get(lane.partition) is not lane:
            return  # already revoked: the new owner fenced it, as intended
        reason = parked_reason(error)
        if reason is not None:
            lane.park(reason, str(error))
            asyncio.get_running_loop().call_later(PARKED_SECONDS, self._try_again, lane)
            return
        if not fenced:
            die(error)
        # Not reopened at once, because that would fence the rightful owner.
        asyncio.get_running_loop().call_later(FENCE_GRACE_SECONDS, self._still_fenced, lane)

    def _try_again(self, lane: Lane) -> None:
        """Opens a parked partition again, in case a person fixed the cause."""
        if self.open.get(lane.partition) is lane and not self._stopping:
            self._open(self._identity(lane.partition))

    def _still_fenced(self, lane: Lane) -> None:
        if self.open.get(lane.partition) is lane and lane.partition in self.assigned:
            die(
                f"partition {lane.partition} is assigned to this worker, but another one "
                "has its transactional id"
            )


class LaneApp(faust.App):
    """The Faust app of one stage: a source topic, a table and an agent. See `streams/apps`."""

    stage: Stage
    kafka: Kafka
    source: str
    receipts: str
    outputs: frozenset[str]
    names: Names
    gate: Gate
    lanes: Lanes | None = None
    membership: Membership
    counts: PartitionCounts
    healthy: Callable[[], bool]
    """Part of readiness: True if what the stage needs besides lanes works."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.opening: Callable[[], Awaitable[None]] = _nothing
        self.closing: Callable[[], Awaitable[None]] = _nothing
        self.in_flight = InFlightRecord()
        self.healthy = lambda: True
        self._seen_at = time.monotonic()

    @property
    def is_alive(self) -> bool:
        """True while the event loop runs and the group membership is watched."""
        return time.monotonic() - self._seen_at < ALIVE_SECONDS

    async def on_first_start(self) -> None:
        """Creates no folders: Faust would leave one behind per process, and lanes need none."""

    async def on_start(self) -> None:
        """Opens what the stage needs before the first partition arrives."""
        await self.opening()
        await self.counts.look()
        await super().on_start()
        self.add_future(self._watch_membership())
        self.add_future(self.counts.watch())

    def lane_table(
        self,
        name: str,
        *,
        partitions: int,
        new_state: Callable[[], S],
        extra_topic_configs: dict[str, str],
    ) -> LaneTable[S]:
        """Creates a table of bytes whose contents belong to lanes. See LaneTable."""
        table: Any = self.Table(
            name,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            new_state=new_state,
            extra_topic_configs=extra_topic_configs,
        )
        self.counts.also(table.changelog_topic_name)
        return cast("LaneTable[S]", table)

    def batch_lanes(
        self,
        table: LaneTable[S],
        pace: Pace = BATCH_PACE,
        weigh: Callable[[S, Message], int] | None = None,
    ) -> LaneChannel:
        """The channel of batches that the stage's agent reads. For `weigh` see BatchIntake."""
        channel = LaneChannel(self, maxsize=0)
        intake = BatchIntake(channel, self.gate, self.in_flight, weigh)
        self.lanes = Lanes(self, table, intake, pace)
        self._own_source()
        return channel

    def job_lanes(
        self, table: LaneTable[JobEntries], settings: WorkerSettings, refuse: Refuse
    ) -> LaneChannel:
        """The channel of jobs that the agent reads with `concurrency=settings.jobs`."""
        channel = LaneChannel(self, maxsize=0)
        jobs = Jobs(channel, settings.jobs, settings.jobs_per_tenant)
        intake = JobIntake(jobs, refuse, self.gate, self.in_flight, settings.queue_bytes)
        self.lanes = Lanes(self, table, intake, JOB_PACE, jobs)
        self._own_source()
        return channel

    async def on_stop(self) -> None:
        """Finishes running transactions, and leaves the group only then."""
        if self.lanes is not None:
            await self.lanes.stop()
        await self.closing()
        # Faust's consumer thread can hang 60 s if SIGTERM meets a rebalance. All is saved now.
        watchdog = threading.Timer(EXIT_WATCHDOG_SECONDS, os._exit, (0,))
        watchdog.daemon = True
        watchdog.start()
        await super().on_stop()

    async def _watch_membership(self) -> None:
        """Ends a worker whose group would never assign partitions to it again, unlike Faust."""
        self.membership.expect()
        while (trouble := await self.membership.trouble()) is None:
            self._seen_at = time.monotonic()
            self.membership.keep()
            await asyncio.sleep(WATCH_SECONDS)
            if self.should_stop and not self.crashed:
                return
        die(trouble)

    def _own_source(self) -> None:
        """Subscribes to the source without a stream. This also keeps its offsets unexpired."""
        self.topics.add(
            self.topic(
                self.source,
                key_type=bytes,
                value_type=bytes,
                key_serializer="raw",
                value_serializer="raw",
                acks=False,
            )
        )


def lane_app(stage: Stage, settings: Settings) -> LaneApp:
    """A Faust app for lanes, without Faust's guarantee (docs/decisions/0001)."""
    kafka, names = settings.kafka, Names(settings.namespace)
    group = names.group(stage)
    app = LaneApp(
        group,
        Table=LaneTable,
        TableManager=LaneTableManager,
        broker=[f"kafka://{server}" for server in kafka.bootstrap_servers.split(",")],
        broker_credentials=credentials(kafka),
        store="memory://",
        topic_partitions=kafka.partitions,
        topic_replication_factor=kafka.replication_factor,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
        broker_session_timeout=kafka.session_timeout_seconds,
        broker_heartbeat_interval=1.0,
        broker_rebalance_timeout=10.0,
        broker_max_poll_interval=POLL_INTERVAL_SECONDS,
        broker_request_timeout=20.0,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=int(METADATA_SECONDS * 1000),
        consumer_group_instance_id=static_member(group, settings.worker.name),
        stream_recovery_delay=0.0,
        stream_processing_timeout=1e9,  # silences "no fetch since start" of paused partitions
    )
    app.stage, app.kafka = stage, kafka
    app.membership = Membership(app, kafka)
    app.names = names
    app.source, app.receipts = names.topic(SOURCE_OF[stage]), names.topic("receipts")
    app.outputs = frozenset(names.topic(topic) for topic in WRITES_OF[stage])
    app.counts = PartitionCounts(kafka, app.outputs)
    app.gate = Gate(stage, Breaker(settings.breaker), StageStops(settings.postgres, names))
    return app
