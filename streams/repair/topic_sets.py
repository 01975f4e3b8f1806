"""Finds the sets of topics of a pipeline (docs/decisions/0043).

All sets share the rows and files of the pipeline. A tool that deletes or compares these
therefore looks at the topics of every set, while roles and stages know only their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from schemas.pipeline import TopicName
from schemas.settings import Kafka, Settings
from schemas.topics import UNNAMED, Names
from storage.kafka.client import QUIET, client_config
from storage.kafka.counts import WrongCounts, wrong_counts
from storage.postgres.repair_plans import ReadByNobody

ANSWER_SECONDS = 30.0
_OF_EACH_SET: TopicName = "enriched-messages"


@dataclass(frozen=True, slots=True)
class TopicSet:
    """A set of topics. `kafka` has the number of its partitions."""

    names: Names
    kafka: Kafka

    @property
    def title(self) -> str:
        """The namespace, as `topics take-over --from` takes it."""
        return self.names.namespace or UNNAMED

    @property
    def environment(self) -> str:
        """The settings that name the set, as a shell takes them before a command."""
        return (
            f"SENSORIUM_NAMESPACE={self.names.namespace}"
            f" SENSORIUM_KAFKA__PARTITIONS={self.kafka.partitions}"
        )


def sets_of_topics(settings: Settings, seconds: float = ANSWER_SECONDS) -> list[TopicSet]:
    """Returns the set of the settings, then the other sets of its pipeline, by name.

    A set whose enriched topic was deleted does not count. Blocks. Raises
    KafkaException, and WrongCounts if the own set has another count than the settings.
    """
    admin = AdminClient(client_config(settings.kafka) | QUIET)
    topics = admin.list_topics(timeout=seconds).topics
    there = {name: len(one.partitions) for name, one in topics.items()}
    if wrong := wrong_counts(there, Names(settings.namespace).topics, settings.kafka):
        raise WrongCounts(wrong)
    return sets_among(settings, there)


def sets_among(settings: Settings, partitions: Mapping[str, int]) -> list[TopicSet]:
    """Returns the sets among these topics of the brokers, each with its number of partitions."""
    own = Names(settings.namespace)
    found = [TopicSet(own, settings.kafka)]
    for topic in sorted(partitions):
        names = Names(topic.removesuffix(_OF_EACH_SET).removesuffix("-"))
        is_a_set = topic == names.topic(_OF_EACH_SET) and names.pipeline == own.pipeline
        if is_a_set and names != own:
            kafka = msgspec.structs.replace(settings.kafka, partitions=partitions[topic])
            found.append(TopicSet(names, kafka))
    return found


def members_of(admin: AdminClient, group: str, seconds: float = ANSWER_SECONDS) -> int:
    """Returns how many members the group has, 0 if there is no such group.

    Raises KafkaException.
    """
    future = admin.describe_consumer_groups([group], request_timeout=seconds)[group]
    try:
        return len(future.result(seconds).members)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return 0
        raise


def refuse_unread_set(settings: Settings) -> None:
    """Refuses a set of topics whose raw-messages nobody reads any more.

    After a change of the number of partitions, dedupe of the earlier set has ended
    permanently. While no set has a dedupe that runs, one that ended may come back, so
    nothing is refused. Raises ReadByNobody, WrongCounts and KafkaException. Blocks.
    """
    own, *others = sets_of_topics(settings)
    if not others:
        return
    admin = AdminClient(client_config(settings.kafka) | QUIET)
    if members_of(admin, own.names.group("dedupe")):
        return
    for one in others:
        if members_of(admin, one.names.group("dedupe")):
            raise ReadByNobody(own.title, one.title, one.environment)
