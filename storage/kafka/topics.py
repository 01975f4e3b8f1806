"""Creates and checks the topics of schemas/topics.py on a cluster."""

from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from confluent_kafka.admin import NewTopic as _NewTopic

from schemas.settings import Kafka
from schemas.topics import TOPICS, Names, claims_changelog, claims_config, topic_config
from storage.errors import StorageError
from storage.kafka.client import client_config

_TIMEOUT_SECONDS = 30.0


class TopicsWrong(StorageError):
    """A topic has another number of partitions than the settings say.

    The number is never changed in place.
    """


@dataclass(frozen=True, slots=True)
class Applied:
    topic: str
    change: str


def apply_topics(settings: Kafka, names: Names) -> list[Applied]:
    """Creates missing topics and sets the configuration of existing ones.

    Raises TopicsWrong. Changes no partition count.
    """
    admin = AdminClient(client_config(settings))
    there = admin.list_topics(timeout=_TIMEOUT_SECONDS).topics
    wrong = [
        f"{names.topic(name)} has {len(there[names.topic(name)].partitions)} "
        f"partitions, the settings say {settings.partitions}"
        for name in TOPICS
        if names.topic(name) in there
        and len(there[names.topic(name)].partitions) != settings.partitions
    ]
    if wrong:
        raise TopicsWrong(
            "; ".join(wrong)
            + ". Set SENSORIUM_KAFKA__PARTITIONS to that number, or use another namespace"
        )
    applied = _create(admin, settings, names, set(there))
    return applied + _configure(admin, settings, names, set(there))


def _create(admin: AdminClient, settings: Kafka, names: Names, there: set[str]) -> list[Applied]:
    missing = [
        _NewTopic(
            names.topic(name),
            num_partitions=settings.partitions,
            replication_factor=settings.replication_factor,
            config=topic_config(topic, settings),
        )
        for name, topic in TOPICS.items()
        if names.topic(name) not in there
    ]
    create_topics(admin, missing)
    return [Applied(new.topic, "created") for new in missing]


def create_topics(admin: AdminClient, missing: list[_NewTopic]) -> None:
    """Creates the topics, except those that another process has just created."""
    for future in (
        admin.create_topics(missing, operation_timeout=_TIMEOUT_SECONDS).values() if missing else ()
    ):
        try:
            future.result(_TIMEOUT_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _configure(admin: AdminClient, settings: Kafka, names: Names, there: set[str]) -> list[Applied]:
    """Sets the configuration of existing topics, and of dedupe's changelog if it exists.

    The stage creates that changelog, and one created by an older program has another
    cleanup policy.
    """
    configs = {names.topic(name): topic_config(topic, settings) for name, topic in TOPICS.items()}
    configs[claims_changelog(names)] = claims_config(settings)
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            name,
            incremental_configs=[
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                for key, value in config.items()
            ],
        )
        for name, config in configs.items()
        if name in there
    ]
    for future in admin.incremental_alter_configs(resources).values() if resources else ():
        future.result(_TIMEOUT_SECONDS)
    return [Applied(resource.name, "configured") for resource in resources]
