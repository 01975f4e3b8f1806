"""Keys, ids and partition numbers, each built by one pure function."""

import hashlib
import re
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import NewType

TenantId = NewType("TenantId", str)
MessageKey = NewType("MessageKey", str)

TENANT_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
PROVIDER_PATTERN = re.compile(r"[a-z0-9_]{1,32}")
PROVIDER_ID_MAX_CHARS = 512
"""The longest valid provider message id.

A longer one would not fit an index row, and no provider sends one.
"""

INSTANCE_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
"""A label of a server, for a tenant with several servers of one provider."""
DIRECT_ID_PREFIX = "direct/"
"""Prefix of the ids of messages of `POST /chat` that name a built-in provider.

No adapter produces an id with this prefix.
"""

CONVERSATION_PART_CHARS = 200
CONVERSATION_CHARS = 400
LOG_DIGEST_CHARS = 12
_FOREIGN_IN_CONVERSATION = re.compile(r"[^A-Za-z0-9._~-]")
_FOREIGN_IN_PART = re.compile(r"[^A-Za-z0-9._-]")
_DIGEST_CHARS = 16


def message_key(tenant_id: TenantId, provider: str, provider_message_id: str) -> MessageKey:
    """`tenant:provider:id`.

    The id is everything after the second colon and may contain colons itself.
    """
    return MessageKey(f"{tenant_id}:{provider}:{provider_message_id}")


def split_message_key(key: MessageKey) -> tuple[TenantId, str, str]:
    """Splits a key into tenant, provider and provider message id.

    Raises ValueError if `key` is not a message key.
    """
    tenant, provider, provider_message_id = key.split(":", 2)
    return TenantId(tenant), provider, provider_message_id


def is_provider_id(value: object) -> bool:
    """True if the value can be a message id: 1 to 512 printable characters."""
    return (
        isinstance(value, str) and 0 < len(value) <= PROVIDER_ID_MAX_CHARS and value.isprintable()
    )


def is_instance(value: str) -> bool:
    """True if `value` can label a server of a provider."""
    return bool(INSTANCE_PATTERN.fullmatch(value)) and f"{value}/" != DIRECT_ID_PREFIX


def body_id(body: bytes) -> str:
    """An id for a body that contains none. Equal bytes get equal ids."""
    return f"sha256-{hashlib.sha256(body).hexdigest()}"


def claim_digest(key: bytes, generation: int) -> bytes:
    """The 16 bytes by which dedupe claims a message in one generation."""
    suffix = b"" if generation == 0 else b"\0%d" % generation
    return hashlib.blake2b(key + suffix, digest_size=16).digest()


def log_digest(key: str) -> str:
    """The id that logs show instead of a message key, which may contain a phone number.

    `sensorium trace` finds the message by it.
    """
    return claim_digest(key.encode(errors="replace"), 0).hex()[:LOG_DIGEST_CHARS]


def conversation_part(value: str, max_chars: int = CONVERSATION_PART_CHARS) -> str:
    """Returns one part of a conversation id, or a whole id that has no parts.

    Every character outside [A-Za-z0-9._-] becomes a hyphen, because `~` separates
    parts. A part in which a character was replaced, or which was cut to `max_chars`,
    ends with a digest of the original, so that different ids stay different. Any other
    part is returned unchanged.
    """
    # The usual case.
    if value.isalnum() and value.isascii() and len(value) <= max_chars:
        return value
    written = _FOREIGN_IN_PART.sub("-", value)
    if written == value and len(value) <= max_chars:
        return value
    digest = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_CHARS]
    return f"{written[: max_chars - _DIGEST_CHARS - 1]}.{digest}"


def direct_conversation_id(value: str, *, outbound: bool = False) -> str:
    """The conversation id of a message of `POST /chat`.

    An id of an inbound message never contains `~`, so the message cannot join a
    conversation of YCloud or Chatwoot, whose ids have parts. An outbound message, the
    answer of the tenant's bot, belongs to the conversation it answers, so an id with
    parts stays unchanged.
    """
    if outbound and "~" in value and is_conversation_id(value):
        return value
    return conversation_part(value, CONVERSATION_CHARS)


def is_conversation_id(value: str) -> bool:
    """True if the value can be the id of a conversation."""
    return bool(value) and not _FOREIGN_IN_CONVERSATION.search(value)


def conversation_partition(tenant_id: TenantId, conversation_id: str, partitions: int) -> int:
    """The partition of `enriched-messages` that holds the whole conversation."""
    return zlib.crc32(f"{tenant_id}:{conversation_id}".encode()) % partitions


@lru_cache(4096)
def key_partition(key: bytes, partitions: int) -> int:
    """The partition of a record in a topic that is partitioned by key.

    It is the choice of every Kafka client (murmur2), but from the number in the settings.
    If partitions are added to a topic, a client soon puts records into them, where
    nobody reads. Cached, because a message's records have the same key and come one
    after the other.
    """
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """The 32-bit hash of `org.apache.kafka.common.utils.Utils.murmur2`."""
    size = len(data)
    hashed = 0x9747B28C ^ size
    for word in _words(size // 4)(data):
        word = word * 0x5BD1E995 & 0xFFFFFFFF
        hashed = hashed * 0x5BD1E995 & 0xFFFFFFFF
        hashed ^= (word ^ word >> 24) * 0x5BD1E995 & 0xFFFFFFFF
    if size % 4:
        rest = int.from_bytes(data[size - size % 4 :], "little")
        hashed = (hashed ^ rest) * 0x5BD1E995 & 0xFFFFFFFF
    hashed = (hashed ^ hashed >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return hashed ^ hashed >> 15


@lru_cache(1024)
def _words(count: int) -> Callable[[bytes], tuple[int, ...]]:
    """Reads the first `count` little-endian words of 32 bits."""
    return struct.Struct(f"<{count}I").unpack_from
