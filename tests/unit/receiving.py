"""The receiver without servers.

Log and directory are in memory, and requests come as a connection would pass them.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import REGISTRY

from connectors.providers.catalogue import DIRECT, check_signature, identify, sign
from connectors.webhooks.answers import HttpReply
from connectors.webhooks.incoming import Incoming
from connectors.webhooks.ports import ProviderFunctions
from connectors.webhooks.receiver import Receiver
from connectors.webhooks.siblings import Siblings
from schemas.codec import decode
from schemas.headers import Headers
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.records import RawMessage
from schemas.settings import ReceiverSettings as Settings
from schemas.tenants import ApiKey, EndedToken, Endpoint, Tenant, TenantSettings
from tests.unit.records import PAYLOADS

ACME = TenantId("acme")
TOKENS = {"ycloud": "token-Y_~.1", "chatwoot": "token-C", "meta": "token-M"}
SECRETS = ("whsec_one", "whsec_two")
CHAT, READ, ADMIN = "sk_chat_1", "sk_read_1", "sk_admin_1"
TEXT = (PAYLOADS / "ycloud" / "text_plain.json").read_bytes()
WOOT = (PAYLOADS / "chatwoot" / "whatsapp_text_cloud_2026_04.json").read_bytes()
MESSAGE = {
    "provider": "vetchat",
    "provider_message_id": "42",
    "conversation_id": "c1",
    "sender": {"id": "u1"},
    "text": "Hola",
}


@dataclass
class MemoryLog:
    """A log in memory. With `held`, no record is acknowledged until `release`."""

    healthy: bool = True
    away: bool = False
    broken: bool = False
    held: bool = False
    overdue_times: int = 0
    sent: list[tuple[str, bytes, bytes, Headers]] = field(default_factory=list)
    waiting: list[Callable[[str | None], None]] = field(default_factory=list)

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        headers: Headers,
        done: Callable[[str | None], None],
    ) -> None:
        if self.broken:
            raise RuntimeError("a bug")
        if not self.away:
            self.sent.append((topic, key, value, headers))
        self.waiting.append(done)
        if not self.held:
            asyncio.get_running_loop().call_soon(self.release)

    def release(self) -> None:
        """Reports this outcome for every record that was sent."""
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            done("_TIMED_OUT" if self.away else None)

    def overdue(self) -> Unavailable:
        self.overdue_times += 1
        return Unavailable("kafka", 1.0, detail="late")

    @property
    def records(self) -> list[RawMessage]:
        return [decode(RawMessage, value) for _, _, value, _ in self.sent]


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


def problem(answer: Answer) -> tuple[int, str]:
    """The status and title of an answer, which must be a problem by RFC 9457."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.json["type"] == "about:blank"
    assert answer.json["status"] == answer.status
    return answer.status, answer.json["title"]


def count(provider: str, status: int) -> float:
    return (
        REGISTRY.get_sample_value(
            "sensorium_receiver_requests_total", {"provider": provider, "status": str(status)}
        )
        or 0.0
    )


class Line:
    """The connection of a request."""

    def __init__(self) -> None:
        self.reply: HttpReply | None = None
        self.heard = asyncio.Event()

    def answered(self, _request: Incoming, reply: HttpReply) -> None:
        assert self.reply is None, "answered twice"
        self.reply = reply
        self.heard.set()


class Application:
    """The receiver with its parts."""

    def __init__(
        self,
        *,
        functions: ProviderFunctions | None = None,
        siblings: Siblings | None = None,
        **settings: Any,
    ) -> None:
        self.log, self.directory = MemoryLog(), MemoryDirectory()
        self.receiver = Receiver(
            Settings(**settings),
            "raw-messages",
            self.log,
            self.directory,
            functions or ProviderFunctions(identify, DIRECT.accept, check_signature),
            siblings,
        )

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    ) -> Answer:
        chunks = [body] if isinstance(body, bytes) else list(body)
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        held: dict[str, str] = {}
        for name, value in pairs:
            held.setdefault(name.lower(), value)
        line = Line()
        request = Incoming(line, method, path, held)
        self.receiver.begin(request)
        for chunk in chunks:
            if request.taker is not None and chunk:
                request.taker.more(chunk)
        if request.taker is not None and not request.is_answered:
            request.taker.whole()
        async with asyncio.timeout(30):
            await line.heard.wait()
        assert line.reply is not None
        return Answer(line.reply.status, line.reply.fields, line.reply.body)

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
        """Sends a signed delivery, whose time is `at` seconds from now."""
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
