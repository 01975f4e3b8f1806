"""Jobs of store_media that are not finished: each may have put a file that nothing durable names
yet.

It waits at the gate of a stopped stage, in a worker's hands, or for a retry; also when no worker
runs, its entry stands in the changelog of the stage.
"""

from datetime import datetime

from schemas.settings import Kafka
from schemas.topics import Names
from storage.kafka.reading import TopicReader
from streams.lanes.entries import changelog_of, decode_entry


def tenants_at_work(settings: Kafka, names: Names, before: datetime) -> set[str]:
    """Tenants with such a job that was admitted before the moment: a later one has put no file
    before it. Blocks.

    Raises UnknownVersion when a newer program admitted one.
    """
    topic = changelog_of(names, "store_media")
    reader = TopicReader(settings, names.group("sweep"))
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
