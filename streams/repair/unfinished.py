"""Finds unfinished jobs of store_media.

Each may have stored a file that no record refers to yet. A job may wait at the gate of
a stopped stage, be in flight, or wait for a retry. Its entry is in the stage's
changelog even if no worker runs.
"""

from datetime import datetime

from schemas.settings import Kafka
from schemas.topics import Names, changelog_of
from storage.kafka.reading import TopicReader
from streams.lanes.entries import decode_entry


def tenants_at_work(
    settings: Kafka, names: Names, before: datetime, *, any_count: bool = False
) -> set[str]:
    """Returns the tenants with an unfinished job that was admitted before the moment.

    Jobs that were admitted later have stored no file before it. TopicReader explains
    `any_count`. Blocks. Raises UnknownVersion if a newer program admitted one, and
    WrongCounts.
    """
    topic = changelog_of(names, "store_media")
    reader = TopicReader(settings, names.group("sweep"), any_count=any_count)
    try:
        if not reader.has(topic):
            return set()
        bounds = reader.bounds(topic)
        begin = {partition: low for partition, (low, _) in bounds.items()}
        end = {partition: high for partition, (_, high) in bounds.items()}
        entries: dict[tuple[int | None, bytes | None], bytes] = {}
        for message in reader.read(topic, begin, end):
            place, value = (message.partition(), message.key()), message.value()
            if value is None:
                entries.pop(place, None)
            else:
                entries[place] = value
    finally:
        reader.close()
    jobs = map(decode_entry, entries.values())
    return {job.tenant for job in jobs if job.admitted_at <= before.timestamp()}
