"""Keys, ids and partitions: each built by one pure function."""

import hashlib
import re
import zlib
from typing import NewType

TenantId = NewType("TenantId", str)
MessageKey = NewType("MessageKey", str)

TENANT_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
PROVIDER_PATTERN = re.compile(r"[a-z0-9_]{1,32}")
PROVIDER_ID_MAX_CHARS = 512
"""A longer provider message id is no id: it would
not fit an index row, and no provider sends one.
"""

INSTANCE_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
"""The label of one of several servers of a
provider, such as a tenant's second Chatwoot.
"""
DIRECT_ID_PREFIX = "direct/"
"""Begins the id of a message of `POST /chat` that names a built-in provider.

No adapter gives such an id.
"""

CONVERSATION_PART_CHARS = 200
CONVERSATION_CHARS = 400
LOG_DIGEST_CHARS = 12
_FOREIGN_IN_CONVERSATION = re.compile(r"[^A-Za-z0-9._~-]")
_FOREIGN_IN_PART = re.compile(r"[^A-Za-z0-9._-]")
_DIGEST_CHARS = 16


def message_key(tenant_id: TenantId, provider: str, provider_message_id: str) -> MessageKey:
    """`tenant:provider:id`.

    The id is all that follows the second colon and may hold colons itself.
    """
    return MessageKey(f"{tenant_id}:{provider}:{provider_message_id}")


def split_message_key(key: MessageKey) -> tuple[TenantId, str, str]:
    """Tenant, provider, provider message id.

    Raises ValueError for what is no message key.
    """
    tenant, provider, provider_message_id = key.split(":", 2)
    return TenantId(tenant), provider, provider_message_id


def is_provider_id(value: object) -> bool:
    """Whether `value` may serve as a provider's
    message id: printable text of a sane length.
    """
    return (
        isinstance(value, str) and 0 < len(value) <= PROVIDER_ID_MAX_CHARS and value.isprintable()
    )


def is_instance(value: str) -> bool:
    """Whether `value` may label a server of a provider."""
    return bool(INSTANCE_PATTERN.fullmatch(value)) and f"{value}/" != DIRECT_ID_PREFIX


def body_id(body: bytes) -> str:
    """The id of a body that carries none: the same bytes always get the same one."""
    return f"sha256-{hashlib.sha256(body).hexdigest()}"


def claim_digest(key: bytes, generation: int) -> bytes:
    """16 bytes under which dedupe claims a message of a generation."""
    suffix = b"" if generation == 0 else b"\0%d" % generation
    return hashlib.blake2b(key + suffix, digest_size=16).digest()


def log_digest(key: str) -> str:
    """What a log says in place of a message key, which may hold
    a phone number: `sensorium trace` finds the message by it.
    """
    return claim_digest(key.encode(errors="replace"), 0).hex()[:LOG_DIGEST_CHARS]


def conversation_part(value: str, max_chars: int = CONVERSATION_PART_CHARS) -> str:
    """One part of a conversation id, or a whole one that has no parts.

    Every character outside [A-Za-z0-9._-] becomes a hyphen; `~` separates parts. A part
    that lost a character or was cut ends with a digest of the original, because ids
    that differ must not become the same. A part of allowed characters and a sane length
    stays as it is.
    """
    if value.isalnum() and value.isascii() and len(value) <= max_chars:  # nearly always
        return value
    written = _FOREIGN_IN_PART.sub("-", value)
    if written == value and len(value) <= max_chars:
        return value
    digest = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_CHARS]
    return f"{written[: max_chars - _DIGEST_CHARS - 1]}.{digest}"


def direct_conversation_id(value: str, *, outbound: bool = False) -> str:
    """The conversation id of a message of `POST /chat`.

    What a customer wrote gets an id without `~`, so it is never in a
    conversation of YCloud or Chatwoot, whose ids have parts. What the tenant's
    bot answered belongs where it answered: an id with parts stays as it is.
    """
    if outbound and "~" in value and is_conversation_id(value):
        return value
    return conversation_part(value, CONVERSATION_CHARS)


def is_conversation_id(value: str) -> bool:
    """Whether a conversation can have this id."""
    return bool(value) and not _FOREIGN_IN_CONVERSATION.search(value)


def conversation_partition(tenant_id: TenantId, conversation_id: str, partitions: int) -> int:
    """Partition of `enriched-messages` that holds all of a conversation."""
    return zlib.crc32(f"{tenant_id}:{conversation_id}".encode()) % partitions
