"""The quarantine record of a record that a stage cannot process or the sink cannot store."""

from datetime import datetime

import msgspec

from schemas.arrival import Arrival
from schemas.outcomes import Quarantine
from schemas.records import Quarantined
from schemas.topics import MAX_WRITE_BYTES
from schemas.versions import program_version

_DETAIL_CHARS = 500
_LARGEST_BYTES = MAX_WRITE_BYTES - 16 * 1024
_LARGEST_HEADER_BYTES = 256


def quarantined(arrival: Arrival, stage: str, verdict: Quarantine, now: datetime) -> Quarantined:
    """Returns the whole record with the reason.

    `quarantine replay` needs both to process it again after a fix. If the record is too
    large to be included, only its source position is kept, with its small headers. The
    quarantine record is written under the same key, which need not be text, and with
    the headers of `arrival.routing`.
    """
    size = _size(arrival)
    detail = verdict.detail
    if size > _LARGEST_BYTES:
        small = [one for one in arrival.headers if len(one[1]) <= _LARGEST_HEADER_BYTES]
        arrival = msgspec.structs.replace(arrival, value=None, headers=small)
        detail = (
            f"{size} bytes: too large to be kept here; topic, partition and offset say "
            f"where the record is: {detail}"
        )
    return Quarantined(
        tenant_id=arrival.tenant_id,
        stage=stage,
        reason=verdict.reason,
        # A field name may contain a lone surrogate.
        detail=detail[:_DETAIL_CHARS].encode(errors="replace").decode(),
        topic=arrival.topic,
        partition=arrival.partition,
        offset=arrival.offset,
        key=arrival.key,
        headers=dict(arrival.headers),
        value=arrival.value,
        program_version=program_version(),
        created_at=now,
    )


def _size(arrival: Arrival) -> int:
    headers = sum(len(name) + len(value) for name, value in arrival.headers)
    return len(arrival.key) + len(arrival.value or b"") + headers
