"""The changelog of a job stage: one record per job, keyed by source offset."""

import msgspec

from schemas.versions import body_of, with_version


class Entry(msgspec.Struct, array_like=True):
    """One admitted, unfinished job.

    Its key in the changelog is the offset of its source record, which is unique in the
    lane. An entry whose `value` is None is a stub: the record is re-read from the source
    when the job runs. Times are Unix seconds.
    """

    tenant: str
    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes | None
    admitted_at: float
    attempt: int = 0
    first_attempt_at: float = 0.0
    due_at: float = 0.0


class Glance(msgspec.Struct, array_like=True):
    """The fields of a packed entry that the queue needs.

    The other fields stay packed.
    """

    tenant: str
    key: msgspec.Raw
    headers: msgspec.Raw
    value: msgspec.Raw
    admitted_at: float
    attempt: int = 0
    first_attempt_at: float = 0.0
    due_at: float = 0.0

    @property
    def body_bytes(self) -> int:
        """The size of the packed body, or 0 for a stub, whose value is nil."""
        return len(self.value) if len(self.value) > 1 else 0


LATE_SECONDS = 5.0
"""A job that runs this much later than it was due waited for the stage, not for a server.

The stage was down or busy.
"""


def waiting_since(entry: Entry, now: float) -> float:
    """The time from which a job's patience counts, in Unix seconds.

    It is the job's first attempt, moved later by the time for which the job has waited for
    the stage since. Otherwise a stage that was down for a day would give up each postponed
    job at its next failure.
    """
    if not entry.first_attempt_at:
        return now
    late = now - entry.due_at if entry.due_at else 0.0
    return entry.first_attempt_at + (late if late > LATE_SECONDS else 0.0)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)
_glancer = msgspec.msgpack.Decoder(Glance)


def encode_entry(entry: Entry) -> bytes:
    """The value of the entry's changelog record: a version byte and MessagePack."""
    return with_version(_encoder.encode(entry))


def decode_entry(value: bytes) -> Entry:
    """The entry of a changelog record. Raises UnknownVersion."""
    return _decoder.decode(body_of(value, "Entry"))


def glance(value: bytes) -> Glance:
    """The fields of a changelog record that the queue needs. Raises UnknownVersion."""
    return _glancer.decode(body_of(value, "Entry"))
