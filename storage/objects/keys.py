"""The keys of stored files. Equal bytes of one attachment get the same key."""

import uuid

from schemas.keys import MessageKey, TenantId

_NAMESPACE = uuid.UUID("6f6b3a52-8c0e-5d0b-9a55-0d7f6d1f9e21")


def object_key(
    prefix: str,
    tenant_id: TenantId,
    message_key: MessageKey,
    index: int,
    sha256: str,
    extension: str,
) -> str:
    """`<prefix>media/<tenant>/<uuid>.<ext>`.

    Objects never change, so a second put writes the same bytes again.
    """
    name = uuid.uuid5(_NAMESPACE, f"{message_key}\n{index}\n{sha256}")
    return f"{prefix}media/{tenant_id}/{name}.{extension}"


def public_path(prefix: str, key: str) -> str:
    """The path under the console: `/media/<tenant>/<uuid>.<ext>`."""
    return f"/{key.removeprefix(prefix)}"


def key_of_path(prefix: str, path: str) -> str:
    """The object key for a path under the console; the inverse of `public_path`."""
    return f"{prefix}{path.removeprefix('/')}"


def tenant_of_object(key: str) -> str:
    """The tenant in `[namespace/]media/<tenant>/<file>`.

    A tenant or a namespace may itself be called `media`.
    """
    return key.rsplit("/", 2)[-2]
