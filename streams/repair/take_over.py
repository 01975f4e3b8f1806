"""Copies the claims of one set of topics to a further set.

The partition of a key is the hash of the key modulo the number of partitions. Claims
contain digests of keys but not these hashes. However, a key in partition p of n
partitions is, among m partitions, in one with the same remainder as p when divided by
the greatest common divisor of n and m. Each new partition therefore takes the claims of
every earlier partition that may contain its keys.
"""

import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import msgspec
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import NewTopic as _NewTopic

from schemas.settings import Kafka, Settings
from schemas.topics import Names, claims_changelog, claims_config
from storage.kafka.client import QUIET, client_config, reader_config, transactional_producer_config
from storage.kafka.counts import CountReader
from storage.kafka.reading import TopicReader
from storage.kafka.topics import create_topics
from storage.waiting import Deadline
from streams.audit.backlog import Backlogs
from streams.errors import StreamsError
from streams.lanes.claims import Copy, copies
from streams.lanes.transactions import CALL_SECONDS, LaneIdentity, fence
from streams.repair.topic_sets import members_of

ADMIN_SECONDS = 20.0
PORTION = 10_000
PORTION_BYTES = 8 * 1024 * 1024
MEMBERS_SECONDS = 5.0
"""Longer than the session of a group member that has just ended."""


class NotYet(StreamsError):
    """Another step has to be done first. The text names it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One partition of the new set, and how many claims it took over."""

    partition: int
    claims: int


def partitions_with_its_keys(partition: int, before: int, now: int) -> list[int]:
    """Returns which of `before` partitions may contain keys that are in `partition` of `now`."""
    divisor = math.gcd(before, now)
    return [one for one in range(before) if one % divisor == partition % divisor]


def lane_of(names: Names, partition: int) -> LaneIdentity:
    """Returns the identity of dedupe's lane for the partition."""
    return LaneIdentity(
        "dedupe",
        names.group("dedupe"),
        names.topic("raw-messages"),
        claims_changelog(names),
        names.topic("receipts"),
        partition,
        frozenset(),
        names,
    )


class TakeOver:
    """Copies the claims of the set `before` into the set of `settings`.

    With `nothing_claimed`, a person confirms that there are no claims to copy. After an
    interruption, run it again. It then repeats everything, and a claim that was copied
    twice counts once. Every call blocks. Raises NotYet, KafkaException, UnknownVersion
    and WrongCounts.
    """

    def __init__(self, settings: Settings, before: str, *, nothing_claimed: bool = False) -> None:
        self._now, self._before = Names(settings.namespace), Names(before)
        self._kafka = settings.kafka
        self._admin = AdminClient(client_config(settings.kafka) | QUIET)
        self._there = self._admin.list_topics(timeout=ADMIN_SECONDS).topics
        self._nothing_claimed = nothing_claimed
        self._check_sets()
        self._settings_of_before = msgspec.structs.replace(
            settings, namespace=before, kafka=self._with_partitions_of(self._source_before)
        )
        self._claims = claims_changelog(self._before)
        self._kafka_of_claims = self._with_partitions_of(self._claims)
        self._bounds = self._bounds_of_claims()

    @property
    def _source_before(self) -> str:
        return self._before.topic("raw-messages")

    def _check_sets(self) -> None:
        if self._before.pipeline != self._now.pipeline or self._before == self._now:
            raise NotYet(
                f"{self._before.namespace or 'the empty namespace'} is not another set of topics "
                f"of the pipeline of SENSORIUM_NAMESPACE ({self._now.namespace or 'empty'})"
            )
        if self._source_before not in self._there and not self._nothing_claimed:
            raise NotYet(f"{self._source_before} cannot be seen: {self._why_unseen()}")
        if missing := [name for name in self._now.topics if name not in self._there]:
            raise NotYet(f"topics are missing ({', '.join(missing)}): sensorium topics apply")

    def _with_partitions_of(self, topic: str) -> Kafka:
        """Returns the settings for reading a topic with its own number of partitions.

        It differs from that of the set for a source topic that was given more
        partitions in place. Its keys were distributed among as many partitions as the
        claims have.
        """
        found = self._there.get(topic)
        return msgspec.structs.replace(
            self._kafka, partitions=len(found.partitions) if found else 0
        )

    def _bounds_of_claims(self) -> dict[int, tuple[int, int]]:
        """Returns the bounds of the changelog of claims, which must have had a record.

        A changelog that does not exist looks like one that the credentials may not see.
        Without its claims, each message that is delivered again would come out twice.
        """
        bounds: dict[int, tuple[int, int]] = {}
        if self._claims in self._there:
            with closing(self._reader()) as reader:
                bounds = reader.bounds(self._claims)
        has_claims = any(end for _, end in bounds.values())
        if has_claims and self._nothing_claimed:
            raise NotYet(f"{self._claims} has claims: run this without --nothing-claimed")
        if not has_claims and not self._nothing_claimed:
            state = "never had a record" if bounds else "cannot be seen"
            raise NotYet(
                f"{self._claims}, the claims of the set before, {state}: {self._why_unseen()}"
            )
        return bounds

    def _why_unseen(self) -> str:
        return (
            "is --from right, are these the brokers of that set "
            f"({self._kafka.bootstrap_servers}), and may these credentials read its topics? If "
            "dedupe of that set never forwarded a message: --nothing-claimed"
        )

    def _reader(self) -> TopicReader:
        return TopicReader(self._kafka_of_claims, f"{self._now.prefix}sensorium-take-over")

    def ready(self) -> None:
        """Checks that dedupe of the set before has read everything and writes nothing more.

        Raises NotYet.
        """
        for names in (self._before, self._now):
            self._wait_for_no_members(names.group("dedupe"))
        if self._source_before not in self._there:
            return
        for partition in range(self._settings_of_before.kafka.partitions):
            fence(self._kafka, lane_of(self._before, partition).transactional_id)
        before = Backlogs(self._settings_of_before, most_read=1, any_count=True)
        unread = before.of_stage("dedupe").unread
        if unread:
            raise NotYet(
                f"{unread} records of {self._source_before} are not read yet: end all receivers of "
                "that set, start its dedupe until its lag is 0, end it, and run this again"
            )

    def _wait_for_no_members(self, group: str) -> None:
        deadline = Deadline(self._kafka.session_timeout_seconds + MEMBERS_SECONDS)
        while members := members_of(self._admin, group, ADMIN_SECONDS):
            if deadline.has_passed:
                raise NotYet(f"{group} has {members} members: end all processes of this dedupe")
            time.sleep(0.5)

    def take(self) -> Iterator[Taken]:
        """Yields each partition of the new set once dedupe may begin in it."""
        self._make_changelog()
        for partition in range(self._kafka.partitions):
            yield Taken(partition, self._take(partition))

    def _make_changelog(self) -> None:
        """Creates the changelog topic as Faust would when dedupe starts."""
        topic = _NewTopic(
            claims_changelog(self._now),
            num_partitions=self._kafka.partitions,
            replication_factor=self._kafka.replication_factor,
            config=claims_config(self._kafka),
        )
        create_topics(self._admin, [topic])
        CountReader(self._kafka).require([topic.topic])

    def _take(self, partition: int) -> int:
        """Copies claims as dedupe itself would write them, then lets it begin.

        1. Fence: a dedupe that opened the partition before this moment can commit nothing more,
           and one that opens it later ends this with an error.
        2. Copy the claims, in transactions of bounded size.
        3. Commit the offset from which dedupe reads. Before that it holds the partition.
        """
        producer = Producer(
            transactional_producer_config(
                self._kafka, lane_of(self._now, partition).transactional_id
            )
            | QUIET
        )
        producer.init_transactions(CALL_SECONDS)  # 1
        count = 0
        for portion in self._portions(partition):  # 2
            producer.begin_transaction()
            for copy in portion:
                self._produce(producer, partition, copy)
            producer.commit_transaction(CALL_SECONDS)
            count += sum(copy.ids for copy in portion)
        self._let_begin(producer, partition)  # 3
        return count

    def _portions(self, partition: int) -> Iterator[list[Copy]]:
        """Yields the claims of every partition that may contain keys of this one."""
        if not self._bounds:
            return
        sources = partitions_with_its_keys(partition, len(self._bounds), self._kafka.partitions)
        begin, end = ({p: self._bounds[p][at] for p in sources} for at in (0, 1))
        portion: list[Copy] = []
        size = 0
        with closing(self._reader()) as reader:
            for copy in copies(reader.read(self._claims, begin, end)):
                portion.append(copy)
                size += len(copy.value)
                if len(portion) == PORTION or size >= PORTION_BYTES:
                    yield portion
                    portion, size = [], 0
        if portion:
            yield portion

    def _produce(self, producer: Producer, partition: int, copy: Copy) -> None:
        """Writes a copy with the timestamp of the original, so that both expire together."""
        while True:
            try:
                return producer.produce(
                    claims_changelog(self._now),
                    copy.value,
                    copy.key,
                    partition,
                    timestamp=copy.at,
                )
            except BufferError:
                producer.poll(0.05)

    def _let_begin(self, producer: Producer, partition: int) -> None:
        source, group = self._now.topic("raw-messages"), self._now.group("dedupe")
        consumer = Consumer(reader_config(self._kafka, group) | QUIET)
        try:
            place = TopicPartition(source, partition)
            (committed,) = consumer.committed([place], CALL_SECONDS)
            if committed.error is not None:
                raise KafkaException(committed.error)
            if committed.offset >= 0:  # dedupe has already run here and continues at this offset
                return
            first, _ = consumer.get_watermark_offsets(place, timeout=CALL_SECONDS)
            producer.begin_transaction()
            producer.send_offsets_to_transaction(
                [TopicPartition(source, partition, first)],
                consumer.consumer_group_metadata(),
                CALL_SECONDS,
            )
            producer.commit_transaction(CALL_SECONDS)
        finally:
            consumer.close()
