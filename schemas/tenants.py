"""Tenants, their endpoints and their keys, as roles see them."""

import hashlib
from typing import Annotated, Literal

import msgspec

from schemas.keys import TenantId

Scope = Literal["chat", "read", "admin"]


class TenantSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one tenant (`sensorium tenants set`).

    None means the default of the installation. `vision_prompt` replaces the default
    prompt; `trade` and `language` are inserted into the default one. `context_text` is
    the template of one line of visual context and contains `{description}`. It may
    contain `{nonce}`, which each answer replaces with a random word.
    """

    language: str | None = None
    trade: str | None = None
    vision_prompt: str | None = None
    vision_model: str | None = None
    transcription_prompt: str | None = None
    transcription_model: str | None = None
    openai_key: str | None = None
    context_text: str | None = None
    rate: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None = None
    describe_outgoing: bool = False
    describe_old: bool = False
    max_bytes: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: TenantId
    settings: TenantSettings = TenantSettings()


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook endpoint.

    `token` is secret and identifies it in the URL; `endpoint_id` is public and may be
    logged. Several `secrets` may be live at once, for rotation. `unsigned`: the
    provider sends no signature, so only the token authenticates. `instance` labels the
    server that sends here, for a tenant whose servers number their messages alike.
    `awaits_secret`: the provider makes the secret, and it has not been entered yet.
    """

    endpoint_id: str
    token: str
    tenant_id: TenantId
    provider: str
    secrets: tuple[str, ...] = ()
    unsigned: bool = False
    awaits_secret: bool = False
    api_key: str | None = None
    rate_per_second: float | None = None
    instance: str | None = None

    def secret_ids(self) -> list[str]:
        """The public id of each live secret, newest first, for removing it."""
        return [secret_id(self.endpoint_id, secret) for secret in self.secrets]


class EndedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token that is no longer accepted, with its former endpoint and the reason."""

    tenant_id: TenantId
    endpoint_id: str
    provider: str
    reason: Literal["endpoint_removed", "url_replaced"]


def secret_id(endpoint_id: str, secret: str) -> str:
    """A public id of a secret at one endpoint.

    The same secret has another id at another endpoint, so ids do not show that two
    secrets are equal.
    """
    return f"sec_{hashlib.sha256(f'{endpoint_id}:{secret}'.encode()).hexdigest()[:12]}"


def key_id(key: str) -> str:
    """The public id of an API key, as the database derives it from the digest."""
    return f"key_{hashlib.sha256(key.encode()).hexdigest()[:16]}"


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: TenantId
    scope: Scope
