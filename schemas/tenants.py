"""Tenants, their endpoints and keys, as roles see them."""

import hashlib
from typing import Annotated, Literal

import msgspec

from schemas.keys import TenantId

Scope = Literal["chat", "read", "admin"]


class TenantSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant may set (`sensorium tenants
    set`). None: the default of the installation.

    `vision_prompt` replaces the default prompt; `trade` and `language` fill the
    default one. `context_text` is the frame of one line of visual context and holds
    `{description}`. It may hold `{nonce}`, for which every answer draws a random word.
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
    """A webhook endpoint. `token` is secret and names it
    in the URL; `endpoint_id` is public and may be logged.

    Several `secrets` may be live, for rotation. `unsigned`: the provider sends no
    signature, the token is all. `instance` labels the server that sends here, where a
    tenant has several servers that number their messages alike. `awaits_secret`: the
    provider makes the secret, and nobody has entered it yet.
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
        """A public name for each live secret,
        newest first, by which it can be dropped.
        """
        return [secret_id(self.endpoint_id, secret) for secret in self.secrets]


class EndedToken(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a token was that is refused now, and why."""

    tenant_id: TenantId
    endpoint_id: str
    provider: str
    reason: Literal["endpoint_removed", "url_replaced"]


def secret_id(endpoint_id: str, secret: str) -> str:
    """The same secret has another id at another
    endpoint, so ids do not tell that two are equal.
    """
    return f"sec_{hashlib.sha256(f'{endpoint_id}:{secret}'.encode()).hexdigest()[:12]}"


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: TenantId
    scope: Scope
