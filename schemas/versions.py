"""Versions of records and of stored state, by which a program detects those of a newer one.

An unknown version is not the record's fault: this program has to be upgraded. So such a
record is neither quarantined nor skipped. Its partition is parked at that record.
"""

from functools import cache
from importlib.metadata import version

from schemas.errors import SchemasError

STATE_VERSION = 1
"""The version of what stages keep in their changelogs.

Increase it when an older program could not read the new form.
"""
_FIRST_OF_MSGPACK_ARRAY = 0x80


@cache
def program_version() -> str:
    """The version of this program, from its package metadata (pyproject.toml)."""
    return version("sensorium")


class UnknownVersion(SchemasError):
    """A newer program wrote the record or state.

    The message names the version found and the newest one that this program knows.
    """


def with_version(body: bytes) -> bytes:
    """The stored form of state: one byte of version before a MessagePack array."""
    return bytes((STATE_VERSION,)) + body


def body_of(value: bytes, kind: str) -> bytes:
    """The bytes after the version. Raises UnknownVersion.

    State that was written before versions existed begins with the array, whose first
    byte is larger than any version.
    """
    if value[0] >= _FIRST_OF_MSGPACK_ARRAY:
        return value
    if value[0] > STATE_VERSION:
        raise UnknownVersion(
            f"{kind} has version {value[0]}, this program knows versions up to {STATE_VERSION}"
        )
    return value[1:]
