"""What the changelog of a job stage holds: one
unfinished job under the offset of its record.
"""

import msgspec

from schemas.pipeline import Stage
from schemas.topics import Names
from schemas.versions import body_of, with_version


class Entry(msgspec.Struct, array_like=True):
    """One admitted, unfinished job. Its key is the source
    offset: unique in its lane, whatever the message.

    `value` None: a stub; the record is read again from the
    source when its turn comes. Times are Unix seconds.
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
    """What the queue must know of a packed entry, without unpacking the rest."""

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
        """0 for a stub: its value is the one byte that says so."""
        return len(self.value) if len(self.value) > 1 else 0


LATE_SECONDS = 5.0
"""What is tried so much later than it was due waited for us,
because the stage was down or busy, and not for a model or a server.
"""


def waiting_since(entry: Entry, now: float) -> float:
    """From when on a job's patience counts, in Unix seconds:
    its first try, later by what it waited for us since.

    Else a stage that was down for a day would give
    up every postponed job at its next failure.
    """
    if not entry.first_attempt_at:
        return now
    late = now - entry.due_at if entry.due_at else 0.0
    return entry.first_attempt_at + (late if late > LATE_SECONDS else 0.0)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)
_glancer = msgspec.msgpack.Decoder(Glance)


def encode_entry(entry: Entry) -> bytes:
    return with_version(_encoder.encode(entry))


def decode_entry(value: bytes) -> Entry:
    """Raises UnknownVersion."""
    return _decoder.decode(body_of(value, "Entry"))


def glance(value: bytes) -> Glance:
    """Raises UnknownVersion."""
    return _glancer.decode(body_of(value, "Entry"))


def changelog_of(names: Names, stage: Stage) -> str:
    """The changelog of a job stage's table, as Faust names it."""
    return f"{names.group(stage)}-jobs-changelog"
