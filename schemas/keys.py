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
"""A longer provider message id is no id: it would not fit an index row, and no provider sends one."""

LOG_DIGEST_CHARS = 12
_FOREIGN_IN_CONVERSATION = re.compile(r"[^A-Za-z0-9._~-]")


def message_key(tenant_id: TenantId, provider: str, provider_message_id: str) -> MessageKey:
    """`tenant:provider:id`. The id is all that follows the second colon and may hold colons itself."""
    return MessageKey(f"{tenant_id}:{provider}:{provider_message_id}")


def split_message_key(key: MessageKey) -> tuple[TenantId, str, str]:
    """Tenant, provider, provider message id. Raises ValueError for what is no message key."""
    tenant, provider, provider_message_id = key.split(":", 2)
    return TenantId(tenant), provider, provider_message_id


def is_provider_id(value: object) -> bool:
    """Whether `value` may serve as a provider's message id: printable text of a sane length."""
    return (
        isinstance(value, str) and 0 < len(value) <= PROVIDER_ID_MAX_CHARS and value.isprintable()
    )


def body_id(body: bytes) -> str:
    """The id of a body that carries none: the same bytes always get the same one."""
    return f"sha256-{hashlib.sha256(body).hexdigest()}"


def claim_digest(key: bytes, generation: int) -> bytes:
    """16 bytes under which dedupe claims a message of a generation."""
    suffix = b"" if generation == 0 else b"\0%d" % generation
    return hashlib.blake2b(key + suffix, digest_size=16).digest()


def log_digest(key: str) -> str:
    """What a log says in place of a message key, which may hold a phone number: `sensorium trace` finds the message by it."""
    return claim_digest(key.encode(errors="replace"), 0).hex()[:LOG_DIGEST_CHARS]


def conversation_part(value: str) -> str:
    """One part of a conversation id: every character outside [A-Za-z0-9._~-] becomes a hyphen."""
    return _FOREIGN_IN_CONVERSATION.sub("-", value)


def conversation_partition(tenant_id: TenantId, conversation_id: str, partitions: int) -> int:
    """Partition of `enriched-messages` that holds all of a conversation."""
    return zlib.crc32(f"{tenant_id}:{conversation_id}".encode()) % partitions
