"""The Kafka consumer of a sink."""

from confluent_kafka import Consumer

from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import METADATA_SECONDS, reader_config
from storage.kafka.member_names import static_member


def sink_consumer(settings: Settings, names: Names) -> Consumer:
    """A member of the sink's group, which is not subscribed yet.

    A worker with a name is a static member: the group waits for it through a restart.
    """
    group = names.group("sink")
    member = static_member(group, settings.worker.name)
    instance = {} if member is None else {"group.instance.id": member}
    return Consumer(
        reader_config(settings.kafka, group)
        | instance
        | {
            "session.timeout.ms": int(settings.kafka.session_timeout_seconds * 1000),
            "topic.metadata.refresh.interval.ms": int(METADATA_SECONDS * 1000),
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
            "fetch.queue.backoff.ms": 2,
            "queued.max.messages.kbytes": 32_768,
            "check.crcs": False,
        }
    )
