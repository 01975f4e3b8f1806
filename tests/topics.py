"""Creates topics for tests, so that every client sees them.

A broker answers that a topic is created when its controller has recorded it. It shows
the topic to clients a moment later. On a busy machine that is long enough for a client
to be told that there is no such topic.
"""

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.settings import Kafka
from schemas.topics import TOPICS, Names
from storage.kafka.client import client_config
from storage.kafka.topics import Applied, apply_topics

SECONDS = 60.0
T = TypeVar("T")
_MADE: dict[str, set[str]] = {}
"""Maps addresses of brokers to topics that were created there and are not deleted yet."""


def unless_stalled(create: Callable[[], T]) -> T:
    """Returns what `create` returns, and repeats it while the controller considers the broker dead.

    It does that when a busy machine delays the broker's heartbeat.
    """
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return create()
        except KafkaException as error:
            code = error.args[0].code()
            if code != KafkaError.INVALID_REPLICATION_FACTOR or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def wait_until_seen(kafka: Kafka, topics: Collection[str]) -> None:
    """Waits until the broker shows each topic, with a leader of each partition."""
    _MADE.setdefault(kafka.bootstrap_servers, set()).update(topics)
    admin = AdminClient(client_config(kafka))
    deadline = time.monotonic() + SECONDS
    while True:
        there = admin.list_topics(timeout=SECONDS).topics
        led = {
            name
            for name, topic in there.items()
            if topic.partitions and all(one.leader >= 0 for one in topic.partitions.values())
        }
        if led.issuperset(topics):
            return
        assert time.monotonic() < deadline, f"not seen: {sorted(set(topics) - led)}"
        time.sleep(0.05)


def wait_until_gone(kafka: Kafka, topic: str) -> None:
    """Waits until the broker no longer shows a topic that was deleted."""
    admin = AdminClient(client_config(kafka))
    deadline = time.monotonic() + SECONDS
    while topic in admin.list_topics(timeout=SECONDS).topics:
        assert time.monotonic() < deadline, f"still there: {topic}"
        time.sleep(0.05)


def make_topics(kafka: Kafka, names: Names) -> list[Applied]:
    """Applies the product's topics as `sensorium topics apply` does, and waits until they are seen."""
    applied = unless_stalled(lambda: apply_topics(kafka, names))
    wait_until_seen(kafka, [names.topic(name) for name in TOPICS])
    return applied


def make_topic(kafka: Kafka, name: str, partitions: int) -> None:
    """Creates one topic, and waits until it is seen."""
    make_each(kafka, [name], partitions)


def make_each(
    kafka: Kafka, topics: Collection[str], partitions: int, config: Mapping[str, str] = {}
) -> None:
    """Creates topics of one kind, and waits until they are seen."""
    admin = AdminClient(client_config(kafka))
    new = [NewTopic(name, partitions, 1, config=dict(config)) for name in topics]
    unless_stalled(
        lambda: [one.result(30) for one in admin.create_topics(new, operation_timeout=30).values()]
    )
    wait_until_seen(kafka, topics)


def delete_topics(namespace: str) -> None:
    """Deletes the topics of a namespace, and those that the product added to them.

    Only namespaces with topics that were created here count. A broker that keeps the
    topics of every test has no memory left after a thousand of them, and then answers
    late.
    """
    for address, made in _MADE.items():
        if any(_is_of(namespace, name) for name in made):
            made -= {name for name in made if _is_of(namespace, name)}
            admin = AdminClient({"bootstrap.servers": address})
            try:
                there = admin.list_topics(timeout=SECONDS).topics
                left = [name for name in there if _is_of(namespace, name)]
                if left:  # nobody waits until the files are gone
                    for future in admin.delete_topics(left, request_timeout=SECONDS).values():
                        with suppress(KafkaException):
                            future.result(SECONDS)
            except KafkaException:
                continue  # its test stopped it


def _is_of(namespace: str, topic: str) -> bool:
    return topic.startswith((f"{namespace}-", f"{namespace}."))
