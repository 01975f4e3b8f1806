"""Turns a stage's outputs into a lane's writes, with their names, partitions and headers."""

from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import Message

from schemas.arrival import Arrival
from schemas.codec import encode
from schemas.headers import Headers, Routing, routed
from schemas.keys import conversation_partition, key_partition
from schemas.outcomes import Output, Quarantine
from schemas.pipeline import Stage
from schemas.quarantine import quarantined
from schemas.topics import MAX_WRITE_BYTES, Names
from streams.errors import StreamsError
from streams.lanes.transactions import Write, headers_of

PROCESS_KILLER = Quarantine(
    "process_killer", "it was in flight at three deaths of its process, so it was not read again"
)


class TooLarge(StreamsError):
    """The record does not fit into a Kafka record.

    Producing it would end the lane, and every later lane that tries again.
    """


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Encoding:
    """Encodes records for one installation: its names and its common partition count."""

    names: Names
    partitions: int

    def arrival(self, message: Message) -> Arrival:
        """Converts a Kafka record to the type that stages take."""
        headers = headers_of(message)
        return Arrival(
            self.names.logical(message.topic() or ""),
            message.partition() or 0,
            message.offset() or 0,
            message.key() or b"",
            message.value(),
            headers,
            routed(headers),
        )

    def write(self, output: Output, traceparent: str, like: Headers | None = None) -> Write:
        """The encoded record. Raises TooLarge.

        `like` are the headers of a record of generation 0 with this traceparent. They are
        used again if tenant and provider are the same too.
        """
        record = output.record
        provider: str = getattr(record, "provider", "")
        if (
            like is not None
            and not output.generation
            and like[0][1] == record.tenant_id.encode()
            and like[1][1] == provider.encode()
        ):
            headers = like
        else:
            headers = Routing(
                tenant_id=record.tenant_id,
                provider=provider,
                traceparent=traceparent,
                generation=output.generation,
            ).to_headers()
        key = output.key.encode()
        partition = (
            key_partition(key, self.partitions)
            if output.conversation_id is None
            else conversation_partition(record.tenant_id, output.conversation_id, self.partitions)
        )
        value = encode(record) if output.value is None else output.value
        write = Write(self.names.topic(output.topic), key, value, partition, headers)
        size = len(write.key) + len(value)
        if size > MAX_WRITE_BYTES:
            raise TooLarge(f"{type(record).__name__} of {size} bytes")
        return write

    def quarantined(self, arrival: Arrival, stage: Stage, verdict: Quarantine) -> Write:
        """The quarantine record of an arrival, under the same key and with its headers."""
        return Write(
            self.names.topic("quarantine"),
            arrival.key,
            encode(quarantined(arrival, stage, verdict, utc_now())),
            key_partition(arrival.key, self.partitions),
            arrival.routing.to_headers(),
        )
