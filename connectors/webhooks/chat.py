"""`POST /chat`: a service of the tenant sends a message that it already has."""

import time
from collections.abc import Mapping

from connectors.webhooks.answers import HttpReply, Problem, Unauthenticated, because, json_reply
from connectors.webhooks.delivery import only_post
from connectors.webhooks.incoming import Incoming
from connectors.webhooks.request import ReceiverParts, StoredRequest, record_headers, send_later
from schemas import metrics
from schemas.chat import ChatRefused
from schemas.keys import MessageKey, message_key
from schemas.raw_wire import encode_raw_message
from schemas.reasons import DeliveryReason
from schemas.tenants import ApiKey

_ERROR_CHARS = 200
_NO_REFUSALS = frozenset({"accepted", "not_stored", "client_left", "program_error"})
"""Outcomes that RECEIVER_REQUESTS counts by their status alone."""


class ChatPost(StoredRequest):
    """Accepts a `POST /chat` in the steps of a delivery, authenticated by a tenant's key."""

    __slots__ = ("_key", "_message")

    def __init__(self, parts: ReceiverParts, request: Incoming) -> None:
        super().__init__(parts, request, "chat")
        self._key: ApiKey | None = None
        self._message = MessageKey("")

    def owner(self) -> str | None:
        only_post(self.request)
        self.parts.must_be_loaded()
        token = _bearer(self.request.headers)
        key = self._key = self.parts.directory.key(token)
        if key is None:
            reason: DeliveryReason = "key_unknown" if token else "key_missing"
            raise Unauthenticated(reason, {"www-authenticate": "Bearer"})
        if key.scope not in ("chat", "admin"):
            raise because("key_scope", Problem(403, 'this key does not have the scope "chat"'))
        return key.tenant_id

    def store(self, body: bytes) -> None:
        assert self._key is not None
        tenant_id, parts = self._key.tenant_id, self.parts
        accepted = parts.functions.accept(body)
        if isinstance(accepted, ChatRefused):
            raise because("body_invalid", _refusal(accepted))
        parts.check_rate(f"tenant:{tenant_id}", parts.tenant_rate(tenant_id))
        if parts.settings.bulk_behind_seconds:
            send_later(parts.bulk.wait_seconds(tenant_id, time.monotonic()))
        provider = accepted.provider
        self._message = message_key(tenant_id, provider, accepted.provider_message_id)
        key = self._message.encode()
        value = encode_raw_message(
            (tenant_id, provider, ""),
            key,
            received_us=time.time_ns() // 1000,
            position=0,
            headers={},
            body=body,
        )
        self.write(key, value, record_headers(tenant_id, provider, self.request.headers))

    def reply(self) -> HttpReply | None:
        return json_reply(202, {"message_key": self._message})

    def note(self, reason: DeliveryReason | None, status: int) -> None:
        if reason is not None and reason not in _NO_REFUSALS:
            metrics.RECEIVER_REFUSED.labels("chat", reason).inc()


def _refusal(refused: ChatRefused) -> Problem:
    if not refused.is_json:
        return Problem(400, "the body is not JSON")
    errors = [error[:_ERROR_CHARS] for error in refused.errors]
    return Problem(422, "; ".join(errors), extra={"errors": errors})


def _bearer(headers: Mapping[str, str]) -> str:
    """The key of `Authorization: Bearer <key>`, or an empty string, which is never a valid key."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
