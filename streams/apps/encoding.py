"""From a stage's outputs to what a lane writes: names, partitions and headers, in one place."""

from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import Message

from schemas.codec import encode
from schemas.headers import Routing
from schemas.keys import conversation_partition
from schemas.outcomes import Output, Quarantine
from schemas.topics import Names, Stage
from streams.lanes.transactions import Write, headers_of
from streams.stages.arrival import Arrival, quarantine

PROCESS_KILLER = Quarantine("process_killer", "it was in hand three times when its process died, and was not read again")


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one installation writes: its names, and the partition count all topics share."""

    names: Names
    partitions: int

    def arrival(self, message: Message) -> Arrival:
        """A Kafka record as stages know it."""
        headers = headers_of(message)
        return Arrival(
            self.names.logical(message.topic() or ""), message.partition() or 0, message.offset() or 0, message.key() or b"", message.value(), headers
        )

    def write(self, output: Output, traceparent: str) -> Write:
        record = output.record
        provider: str = getattr(record, "provider", "")
        headers = Routing(tenant_id=record.tenant_id, provider=provider, traceparent=traceparent, generation=output.generation).to_headers()
        partition = -1 if output.conversation_id is None else conversation_partition(record.tenant_id, output.conversation_id, self.partitions)
        return Write(self.names.topic(output.topic), output.key.encode(), encode(record), partition, headers)

    def quarantined(self, arrival: Arrival, stage: Stage, verdict: Quarantine) -> Write:
        """Under the key of the record that failed, which need not be text."""
        record = quarantine(arrival, stage, verdict, utc_now())
        routing = Routing(tenant_id=record.tenant_id, provider=arrival.provider, traceparent=arrival.traceparent, generation=arrival.generation)
        return Write(self.names.topic("quarantine"), arrival.key, encode(record), -1, routing.to_headers())
