"""Counts what waits, by stage and tenant.

It is read from Kafka, so it is right whether or not the stage runs. Unread records are
those of a stage's source topic after its committed offset. Jobs are the entries of its
changelog: admitted and not finished.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Message

from schemas.codec import RECORD_TYPES, Undecodable, decode
from schemas.headers import header
from schemas.parked import Parked
from schemas.pipeline import JOB_STAGES, READS_OF, SOURCE_OF, Stage, TopicName
from schemas.settings import Settings
from schemas.topics import TOPICS, Names, changelog_of
from schemas.versions import UnknownVersion
from storage.kafka.reading import TopicReader
from streams.lanes.entries import decode_entry

NOT_READ = "(not read)"
NO_TENANT = "(none)"
Partition = tuple[str, int]
"""Topic without the namespace, and partition."""


@dataclass(slots=True)
class TenantBacklog:
    """The waiting jobs and records of one tenant in one stage.

    `tried` counts the jobs whose last try failed. Times are Unix seconds; `next_at` is
    the time of the next try.
    """

    unread: int = 0
    jobs: int = 0
    tried: int = 0
    oldest_at: float | None = None
    next_at: float | None = None

    def waits_since(self, at: float) -> None:
        self.oldest_at = at if self.oldest_at is None else min(self.oldest_at, at)


@dataclass(slots=True)
class StageBacklog:
    """The waiting jobs and records of one stage.

    `first` has the offset and time of the first unread record of each partition.
    `parked` are partitions that the stage cannot process, and `suspect` those that it
    cannot process if it makes no progress in them.
    """

    stage: str
    tenants: dict[str, TenantBacklog] = field(default_factory=dict)
    first: dict[Partition, tuple[int, float]] = field(default_factory=dict)
    parked: dict[Partition, Parked] = field(default_factory=dict)
    suspect: dict[Partition, Parked] = field(default_factory=dict)

    def of(self, tenant: str) -> TenantBacklog:
        return self.tenants.setdefault(tenant, TenantBacklog())

    @property
    def unread(self) -> int:
        return sum(one.unread for one in self.tenants.values())

    @property
    def jobs(self) -> int:
        return sum(one.jobs for one in self.tenants.values())

    @property
    def oldest_at(self) -> float | None:
        times = (one.oldest_at for one in self.tenants.values())
        return min((at for at in times if at is not None), default=None)


class Backlogs:
    """Reads at most `most_read` unread records per partition and only counts those after them.

    TopicReader explains `any_count`. Raises KafkaException, TimeoutError and WrongCounts.
    """

    def __init__(
        self, settings: Settings, most_read: int = 100_000, *, any_count: bool = False
    ) -> None:
        self._kafka = settings.kafka
        self._any_count = any_count
        self._names = Names(settings.namespace)
        self._most_read = most_read

    def of_stage(self, stage: Stage) -> StageBacklog:
        """Reads the unread records of the stage's source, and its jobs."""
        backlog = StageBacklog(stage)
        reader = TopicReader(self._kafka, self._names.group(stage), any_count=self._any_count)
        try:
            source = SOURCE_OF[stage]
            committed = reader.committed(self._names.topic(source))
            self._unread(reader, backlog, source, committed)
            self._positions(reader, backlog, stage, committed)
            if stage in JOB_STAGES:
                self._jobs(reader, backlog, stage)
        finally:
            reader.close()
        return backlog

    def of_sink(self, positions: Mapping[Partition, int]) -> StageBacklog:
        """Reads the unread records of the sink.

        `positions` are those that it keeps in Postgres.
        """
        backlog = StageBacklog("sink")
        reader = TopicReader(self._kafka, self._names.group("sink"))
        try:
            for topic in READS_OF["sink"]:
                positions_of_topic = {
                    p: offset for (name, p), offset in positions.items() if name == topic
                }
                self._unread(reader, backlog, topic, positions_of_topic)
        finally:
            reader.close()
        return backlog

    def _unread(
        self,
        reader: TopicReader,
        backlog: StageBacklog,
        topic: TopicName,
        positions: Mapping[int, int],
    ) -> None:
        name = self._names.topic(topic)
        bounds = reader.bounds(name)
        begin = {p: max(first, positions.get(p, first)) for p, (first, _) in bounds.items()}
        end = {p: min(last, begin[p] + self._most_read) for p, (_, last) in bounds.items()}
        for message in reader.read(name, begin, end):
            at = message.timestamp()[1] / 1000
            waits = backlog.of(_tenant_of(message))
            waits.unread += 1
            waits.waits_since(at)
            place = (topic, message.partition() or 0)
            if place not in backlog.first:
                backlog.first[place] = (message.offset() or 0, at)
                if newer := _newer(topic, message):
                    backlog.suspect[place] = Parked("version_unknown", newer)
        behind = sum(max(0, last - end[p]) for p, (_, last) in bounds.items())
        if behind:
            backlog.of(NOT_READ).unread += behind

    def _positions(
        self,
        reader: TopicReader,
        backlog: StageBacklog,
        stage: Stage,
        committed: Mapping[int, int],
    ) -> None:
        """Finds positions from which a lane of the stage cannot begin."""
        source = SOURCE_OF[stage]
        group, topic = self._names.group(stage), self._names.topic(source)
        for partition, (first, end) in reader.bounds(topic).items():
            position = committed.get(partition)
            if position is None:
                continue
            place = (source, partition)
            what = (
                f"group {group} has committed {position}, but {topic}[{partition}] has offsets "
                f"{first} to {end}"
            )
            if position > end:
                backlog.parked[place] = Parked("offset_lost", what)
            elif position < first:
                backlog.suspect[place] = Parked("offset_lost", what)
        for partition in self._with_contents(reader, stage, committed):
            backlog.parked[source, partition] = Parked(
                "offset_missing",
                f"its table has contents, but group {group} has no offset for {topic}[{partition}]",
            )

    def _with_contents(
        self, reader: TopicReader, stage: Stage, committed: Mapping[int, int]
    ) -> list[int]:
        """The partitions without a committed offset of which the stage's table has a record."""
        topic = changelog_of(self._names, stage)
        if not reader.has(topic):
            return []
        bounds = {p: one for p, one in reader.bounds(topic).items() if p not in committed}
        return [
            partition
            for partition, (first, end) in bounds.items()
            if next(reader.read(topic, {partition: first}, {partition: end}), None) is not None
        ]

    def _jobs(self, reader: TopicReader, backlog: StageBacklog, stage: Stage) -> None:
        topic = changelog_of(self._names, stage)
        if not reader.has(topic):
            return
        bounds = reader.bounds(topic)
        begin = {p: first for p, (first, _) in bounds.items()}
        end = {p: last for p, (_, last) in bounds.items()}
        by_partition: dict[int, list[Message]] = {p: [] for p in bounds}
        for message in reader.read(topic, begin, end):
            by_partition[message.partition() or 0].append(message)
        for partition, messages in by_partition.items():
            try:
                _count_jobs(backlog, messages)
            except UnknownVersion as newer:
                why = Parked("version_unknown", f"a job in its table: {newer}")
                backlog.parked[SOURCE_OF[stage], partition] = why


def _count_jobs(backlog: StageBacklog, messages: Iterable[Message]) -> None:
    """Counts the jobs of a partition. Raises UnknownVersion, and then counts none."""
    newest = {message.key(): message.value() for message in messages}
    for entry in [decode_entry(value) for value in newest.values() if value is not None]:
        waits = backlog.of(entry.tenant)
        waits.jobs += 1
        waits.waits_since(entry.admitted_at)
        if entry.attempt:
            waits.tried += 1
            waits.next_at = min(waits.next_at or entry.due_at, entry.due_at)


def _newer(topic: TopicName, message: Message) -> str:
    """Which newer version the record has, or an empty string."""
    try:
        decode(RECORD_TYPES[TOPICS[topic].record], message.value())
    except UnknownVersion as newer:
        return f"offset {message.offset()}: {newer}"
    except Undecodable:
        pass
    return ""


def _tenant_of(message: Message) -> str:
    tenant = header(message.headers() or [], "tenant")  # type: ignore[arg-type]
    return NO_TENANT if tenant is None else tenant.decode(errors="replace")
