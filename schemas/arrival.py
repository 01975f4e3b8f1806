"""The record that a stage or the sink receives."""

from schemas.headers import Headers, Routed, Routing, generation_of, header
from schemas.keys import TENANT_PATTERN, TenantId
from schemas.records import Source, Value


class Arrival(Value, frozen=True):
    """Key, value, headers and position of one Kafka record.

    `topic` is without the namespace. `routed` is what `headers` say, if that was read
    already: the stages ask several times.
    """

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    headers: Headers
    routed: Routed | None = None

    @property
    def source(self) -> Source:
        return Source(topic=self.topic, partition=self.partition, offset=self.offset)

    @property
    def generation(self) -> int:
        return self.routed.generation if self.routed else generation_of(self.headers)

    @property
    def tenant_id(self) -> TenantId:
        """The tenant from the header, else from the key, or `unknown` if neither names one.

        The key of a receipt names a stage, and its lines belong to many tenants.
        """
        if self.topic == "receipts":
            return TenantId("unknown")
        named = (header(self.headers, "tenant") or self.key.partition(b":")[0]).decode(
            errors="replace"
        )
        return TenantId(named if TENANT_PATTERN.fullmatch(named) else "unknown")

    @property
    def provider(self) -> str:
        if self.routed:
            return self.routed.provider
        return (header(self.headers, "provider") or b"unknown").decode(errors="replace")

    @property
    def traceparent(self) -> str:
        if self.routed:
            return self.routed.traceparent
        return (header(self.headers, "traceparent") or b"").decode(errors="replace")

    @property
    def routing(self) -> Routing:
        """The headers of a record that is written because of this one."""
        return Routing(
            tenant_id=self.tenant_id,
            provider=self.provider,
            traceparent=self.traceparent,
            generation=self.generation,
        )
