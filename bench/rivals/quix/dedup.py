"""Forwards each key once, exactly-once, with Quix Streams.

One would write this instead of a lane of `dedupe`. Arguments: broker, consumer group,
source topic, first output, second output, state folder. The second output gets the
first 64 bytes of the records whose key ends with 0 or 5. It forgets no key, writes no
receipts and quarantines nothing.
"""

import sys
from typing import Any

from quixstreams import Application

broker, group, source, first, second, folder = sys.argv[1:]
app = Application(
    broker_address=broker,
    consumer_group=group,
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    commit_interval=0.1,
    state_dir=folder,
    loglevel="WARNING",
    producer_extra_config={"linger.ms": 5, "queue.buffering.max.messages": 1_000_000},
    consumer_extra_config={"fetch.wait.max.ms": 50},
)


def topic(name: str) -> Any:
    return app.topic(
        name,
        key_deserializer="bytes",
        value_deserializer="bytes",
        key_serializer="bytes",
        value_serializer="bytes",
    )


def is_new(value: bytes, state: Any) -> bool:
    """State belongs to the record's key."""
    if state.get("seen"):
        return False
    state.set("seen", 1)
    return True


def has_media(value: bytes, key: bytes, timestamp: int, headers: Any) -> bool:
    return key[-1:] in (b"0", b"5")


fresh = app.dataframe(topic(source)).filter(is_new, stateful=True)
fresh.to_topic(topic(first))
fresh.filter(has_media, metadata=True).apply(lambda value: value[:64]).to_topic(topic(second))
app.run()
