"""The receiver without servers: a log and a directory in memory, and requests as ASGI gives them."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.providers.catalogue import DIRECT, check_signature, identify, sign
from connectors.webhooks.ports import Understanding
from connectors.webhooks.receiver import Receiver
from schemas.codec import decode
from schemas.headers import Headers
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.records import RawMessage
from schemas.settings import ReceiverSettings as Settings
from schemas.tenants import ApiKey, EndedToken, Endpoint, Tenant, TenantSettings

ACME = TenantId("acme")
TOKENS = {"ycloud": "token-Y_~.1", "chatwoot": "token-C", "meta": "token-M"}
SECRETS = ("whsec_one", "whsec_two")
CHAT, READ, ADMIN = "sk_chat_1", "sk_read_1", "sk_admin_1"


@dataclass
class MemoryLog:
    healthy: bool = True
    away: bool = False
    broken: bool = False
    sent: list[tuple[str, bytes, bytes, Headers, float]] = field(default_factory=list)

    async def send(
        self, topic: str, key: bytes, value: bytes, headers: Headers, *, seconds: float
    ) -> None:
        if self.broken:
            raise RuntimeError("a bug")
        if self.away:
            raise Unavailable("kafka", 1.0, detail="_TIMED_OUT")
        self.sent.append((topic, key, value, headers, seconds))

    @property
    def records(self) -> list[RawMessage]:
        return [decode(RawMessage, value) for _, _, value, _, _ in self.sent]


@dataclass
class MemoryDirectory:
    loaded: bool = True
    ended_tokens: dict[str, EndedToken] = field(default_factory=dict)
    settings: TenantSettings = field(default_factory=TenantSettings)
    endpoints: dict[str, Endpoint] = field(
        default_factory=lambda: {
            token: Endpoint(
                endpoint_id=f"ep_{provider}",
                token=token,
                tenant_id=ACME,
                provider=provider,
                secrets=SECRETS,
            )
            for provider, token in TOKENS.items()
        }
    )

    @property
    def healthy(self) -> bool:
        return self.loaded

    def endpoint(self, token: str) -> Endpoint | None:
        return self.endpoints.get(token)

    def ended(self, token: str) -> EndedToken | None:
        return self.ended_tokens.get(token)

    def tenant(self, tenant_id: TenantId) -> Tenant | None:
        return Tenant(tenant_id=tenant_id, settings=self.settings)

    def key(self, plain: str) -> ApiKey | None:
        scope: Any = {CHAT: "chat", READ: "read", ADMIN: "admin"}.get(plain)
        return ApiKey(tenant_id=ACME, scope=scope) if scope else None


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Application:
    """The receiver and what stands around it."""

    def __init__(self, *, understanding: Understanding | None = None, **settings: Any) -> None:
        self.log, self.directory = MemoryLog(), MemoryDirectory()
        self.receiver = Receiver(
            Settings(**settings),
            "raw-messages",
            self.log,
            self.directory,
            understanding or Understanding(identify, DIRECT.accept, check_signature),
        )

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    ) -> Answer:
        chunks = [body] if isinstance(body, bytes) else list(body)
        sent: list[dict[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            chunk = chunks.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        pairs = headers.items() if isinstance(headers, Mapping) else headers
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs
            ],
        }
        await self.receiver(scope, receive, send)
        start, content = sent
        return Answer(
            start["status"], {n.decode(): v.decode() for n, v in start["headers"]}, content["body"]
        )

    async def deliver(
        self,
        provider: str,
        body: bytes,
        *,
        secret: str = SECRETS[0],
        at: float = 0,
        token: str | None = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """A signed delivery, `at` seconds from now."""
        path = f"/webhooks/{provider}/{TOKENS[provider] if token is None else token}"
        return await self.request(
            "POST", path, body, {**sign(provider, secret, body, int(time.time() + at)), **headers}
        )

    async def chat(
        self, document: object, *, key: str = CHAT, headers: Mapping[str, str] = {}
    ) -> Answer:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return await self.request(
            "POST", "/chat", body, {"authorization": f"Bearer {key}", **headers}
        )
