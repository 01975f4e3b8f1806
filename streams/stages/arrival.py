"""A record as a stage meets it, and the quarantine record of one it cannot process."""

from datetime import datetime

from schemas.headers import Headers, generation_of, header
from schemas.keys import TENANT_PATTERN, TenantId
from schemas.outcomes import Quarantine
from schemas.records import Quarantined, Source, Value
from schemas.versions import program_version

_DETAIL_CHARS = 500


class Arrival(Value, frozen=True):
    """Key, value, headers and place of one Kafka record; `topic` without the namespace."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    headers: Headers

    @property
    def source(self) -> Source:
        return Source(topic=self.topic, partition=self.partition, offset=self.offset)

    @property
    def generation(self) -> int:
        return generation_of(self.headers)

    @property
    def tenant_id(self) -> TenantId:
        """From the header, else from the key; `unknown` when neither names one."""
        named = (header(self.headers, "tenant") or self.key.partition(b":")[0]).decode(
            errors="replace"
        )
        return TenantId(named if TENANT_PATTERN.fullmatch(named) else "unknown")

    @property
    def provider(self) -> str:
        return (header(self.headers, "provider") or b"unknown").decode(errors="replace")

    @property
    def traceparent(self) -> str:
        return (header(self.headers, "traceparent") or b"").decode(errors="replace")


def quarantine(arrival: Arrival, stage: str, verdict: Quarantine, now: datetime) -> Quarantined:
    """The record whole, with why: what `quarantine replay` needs to try again after a fix."""
    return Quarantined(
        tenant_id=arrival.tenant_id,
        stage=stage,
        reason=verdict.reason,
        detail=verdict.detail[:_DETAIL_CHARS]
        .encode(errors="replace")
        .decode(),  # a field's name may hold half a surrogate
        topic=arrival.topic,
        partition=arrival.partition,
        offset=arrival.offset,
        key=arrival.key,
        headers=dict(arrival.headers),
        value=arrival.value,
        program_version=program_version(),
        created_at=now,
    )
