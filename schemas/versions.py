"""Records and state that a newer program wrote.

Unknown is not bad: this program has to wait for its upgrade, and
nothing is wrong with the record. So it is neither quarantined nor
passed over; whoever meets it holds the partition where it is.
"""

from functools import cache
from importlib.metadata import version

from schemas.errors import SchemasError

STATE_VERSION = 1
"""Of what stages keep in their changelogs.

Raise it when an older program could not read the new form.
"""
_FIRST_OF_MSGPACK_ARRAY = 0x80


@cache
def program_version() -> str:
    """The version of this program, as its package says (pyproject.toml)."""
    return version("sensorium")


class UnknownVersion(SchemasError):
    """A newer program wrote it.

    The text names the version that is needed and the one that is there.
    """


def with_version(body: bytes) -> bytes:
    """State as it is written: one byte of version before a MessagePack array."""
    return bytes((STATE_VERSION,)) + body


def body_of(value: bytes, kind: str) -> bytes:
    """What follows the version. Raises UnknownVersion.

    State from before there was a version begins with the
    array, whose first byte is larger than any version.
    """
    if value[0] >= _FIRST_OF_MSGPACK_ARRAY:
        return value
    if value[0] > STATE_VERSION:
        raise UnknownVersion(
            f"{kind} has version {value[0]}, this program knows versions up to {STATE_VERSION}"
        )
    return value[1:]
