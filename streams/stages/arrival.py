"""The record that a stage receives, and the quarantine record for one it cannot process."""

from datetime import datetime

from schemas.headers import Headers, generation_of, header
from schemas.keys import TENANT_PATTERN, TenantId
from schemas.outcomes import Quarantine
from schemas.records import Quarantined, Source, Value
from schemas.versions import program_version

_DETAIL_CHARS = 500


class Arrival(Value, frozen=True):
    """Key, value, headers and position of one Kafka record.

    `topic` is without the namespace.
    """

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
        """The tenant from the header, else from the key, or `unknown` if neither names one."""
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
    """Returns the whole record with the reason.

    `quarantine replay` needs both to process it again after a fix.
    """
    return Quarantined(
        tenant_id=arrival.tenant_id,
        stage=stage,
        reason=verdict.reason,
        # A field name may contain a lone surrogate.
        detail=verdict.detail[:_DETAIL_CHARS].encode(errors="replace").decode(),
        topic=arrival.topic,
        partition=arrival.partition,
        offset=arrival.offset,
        key=arrival.key,
        headers=dict(arrival.headers),
        value=arrival.value,
        program_version=program_version(),
        created_at=now,
    )
