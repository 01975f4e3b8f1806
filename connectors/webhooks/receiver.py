"""The webhook source connector as an ASGI application: bytes in, durable, then 200. No framework on this path."""

import math
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from connectors.webhooks.answers import (
    Problem,
    Send,
    Stranger,
    answer_json,
    answer_problem,
    answer_text,
    because,
)
from connectors.webhooks.body import Budget, Disconnected, Receive, Share, read_body
from connectors.webhooks.bulk import BulkLimits
from connectors.webhooks.deliveries import USER_AGENT_CHARS, Attempt, Deliveries
from connectors.webhooks.openapi import document
from connectors.webhooks.ports import EndpointDirectory, RawTopic, Understanding
from connectors.webhooks.rate import Rates
from schemas import metrics
from schemas.chat import ChatRefused
from schemas.codec import encode
from schemas.headers import Routing, is_traceparent, new_traceparent
from schemas.keys import TenantId, message_key
from schemas.outcomes import Unavailable
from schemas.providers import PROVIDERS, traits_of
from schemas.reasons import DeliveryReason
from schemas.records import RawMessage
from schemas.settings import ReceiverSettings
from schemas.signatures import Claim, Verdict
from schemas.tenants import Endpoint
from storage import failpoints

log = structlog.get_logger()

_KEPT_HEADERS = ("content-type", "user-agent", "x-webhook-endpoint-id", "x-chatwoot-delivery")
_HEADER_CHARS = 200
_ERROR_CHARS = 200
_OF_VERDICT: Mapping[Verdict, DeliveryReason] = {
    "missing": "signature_missing",
    "malformed": "signature_malformed",
    "mismatch": "signature_mismatch",
    "expired": "signature_expired",
    "ahead": "signature_from_the_future",
}
_OF_TROUBLE: Mapping[str, DeliveryReason] = {
    "secret": "secret_awaited",
    "directory": "endpoint_unreadable",
}
Scope = Mapping[str, Any]


class Receiver:
    """The application. `draining`: still answers, but is not ready for more."""

    def __init__(
        self,
        settings: ReceiverSettings,
        topic: str,
        log_: RawTopic,
        directory: EndpointDirectory,
        understanding: Understanding,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._log = log_
        self._directory = directory
        self._understanding = understanding
        self._budget = Budget(settings.max_pending_bytes)
        self._rates = Rates()
        self.bulk = BulkLimits(settings.bulk_behind_seconds)
        self.deliveries = Deliveries()
        self._said_at = -math.inf
        self.draining = False

    @property
    def ready(self) -> bool:
        return (
            self._directory.loaded
            and self._directory.healthy
            and self._log.healthy
            and not self.draining
        )

    def drain(self) -> None:
        """Not ready for more from here on; what comes all the same is still answered."""
        self.draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        provider, status = "none", 500
        try:
            path: str = scope["path"]
            if path.startswith("/webhooks/"):
                given, _, token = path.removeprefix("/webhooks/").partition("/")
                provider = given if given in PROVIDERS else "other"
                status = await self._webhook(scope, receive, send, given, token)
            elif path == "/chat":
                provider = "chat"
                status = await self._chat(scope, receive, send)
            else:
                status = await self._operations(scope, send, path)
        except Problem as problem:
            status = problem.status
            if provider == "chat" and problem.reason is not None:
                metrics.RECEIVER_REFUSED.labels("chat", problem.reason).inc()
            await answer_problem(send, problem)
        except Unavailable as trouble:
            status = 503
            self._say(trouble)
            await answer_problem(
                send,
                Problem(
                    503, "Service Unavailable", "not stored, send it again", {"retry-after": "1"}
                ),
            )
        except Disconnected:
            status = 499
        finally:
            metrics.RECEIVER_REQUESTS.labels(provider, status).inc()

    async def _webhook(
        self, scope: Scope, receive: Receive, send: Send, provider: str, token: str
    ) -> int:
        """A provider's delivery, and the count of what became of it: Deliveries holds it for the operator."""
        self._must_be_loaded()
        headers = _headers(scope)
        path_provider = provider if provider in PROVIDERS else "other"
        agent = headers.get("user-agent", "")[:USER_AGENT_CHARS]
        attempt = Attempt(path_provider, token, agent)
        reason: DeliveryReason = "program_error"
        status = 500
        try:
            accepted = await self._take(scope, receive, headers, provider, attempt)
            await answer_json(send, 200, {"accepted": accepted})
            reason, status = "accepted", 200
        except Problem as problem:
            reason, status = problem.reason or "program_error", problem.status
            raise
        except Unavailable as trouble:
            reason, status = _OF_TROUBLE.get(trouble.what, "not_stored"), 503
            raise
        except Disconnected:
            reason, status = "client_left", 499
            raise
        finally:
            self.deliveries.note(attempt, reason, status)
        return status

    async def _take(
        self,
        scope: Scope,
        receive: Receive,
        headers: Mapping[str, str],
        provider: str,
        attempt: Attempt,
    ) -> int:
        """Stores the records of a delivery, and says how many they are.

        1. Who: the token names tenant, provider and secrets.
        2. Read the body within bounds, the limit before the signature. A stranger's is read alike, and not kept.
        3. Check the signature on the raw bytes.
        4. Write, and return only when it is durable.
        """
        endpoint = attempt.endpoint = self._directory.endpoint(attempt.token)  # 1
        _only_post(scope)
        if endpoint is None or endpoint.provider != provider:
            reason = self._why_unknown(attempt)
            await self._read(receive, headers, None)
            raise Stranger(reason)
        _must_have_a_secret(endpoint)
        with self._budget.one_request(endpoint.tenant_id) as share:
            body = await self._read(receive, headers, share)  # 2
            attempt.body_bytes = len(body)
            self._must_be_signed(attempt, endpoint, headers, body)  # 3
            self._must_be_within_rate(endpoint)
            ids = _labelled(endpoint, self._understanding.identify(provider, body))
            if ids:
                attempt.message_key = message_key(endpoint.tenant_id, provider, ids[0])
            routing = Routing(
                tenant_id=endpoint.tenant_id, provider=provider, traceparent=_trace(headers)
            )
            kept = {
                name: headers[name][:_HEADER_CHARS] for name in _KEPT_HEADERS if name in headers
            }
            raws = (
                RawMessage(
                    tenant_id=endpoint.tenant_id,
                    provider=provider,
                    message_key=message_key(endpoint.tenant_id, provider, provider_message_id),
                    endpoint_id=endpoint.endpoint_id,
                    received_at=datetime.now(UTC),
                    position=position,
                    headers=kept,
                    body=body,
                )
                for position, provider_message_id in enumerate(ids)
            )
            await self._write(raws, routing)  # 4
        return len(ids)

    def _why_unknown(self, attempt: Attempt) -> DeliveryReason:
        if attempt.endpoint is not None:
            return "wrong_provider"
        attempt.ended = self._directory.ended(attempt.token)
        return "unknown_token" if attempt.ended is None else attempt.ended.reason

    async def _chat(self, scope: Scope, receive: Receive, send: Send) -> int:
        """A message a service already holds."""
        _only_post(scope)
        self._must_be_loaded()
        headers = _headers(scope)
        key = self._directory.key(_bearer(headers))
        if key is None:
            reason: DeliveryReason = "key_unknown" if _bearer(headers) else "key_missing"
            raise Stranger(reason, {"www-authenticate": "Bearer"})
        if key.scope not in ("chat", "admin"):
            raise because("key_scope", Problem(403, "Forbidden", "this key has not the scope chat"))
        with self._budget.one_request(key.tenant_id) as share:
            body = await self._read(receive, headers, share)
            accepted = self._understanding.accept(body)
            if isinstance(accepted, ChatRefused):
                raise because("body_invalid", _refusal(accepted))
            self._must_wait(f"tenant:{key.tenant_id}", self._tenant_rate(key.tenant_id))
            if self._settings.bulk_behind_seconds:
                _send_later(self.bulk.wait_seconds(key.tenant_id, time.monotonic()))
            provider = accepted.provider
            message = message_key(key.tenant_id, provider, accepted.provider_message_id)
            raw = RawMessage(
                tenant_id=key.tenant_id,
                provider=provider,
                message_key=message,
                received_at=datetime.now(UTC),
                body=body,
            )
            await self._write(
                (raw,),
                Routing(tenant_id=key.tenant_id, provider=provider, traceparent=_trace(headers)),
            )
        await answer_json(send, 202, {"message_key": message})
        return 202

    async def _read(
        self, receive: Receive, headers: Mapping[str, str], share: Share | None
    ) -> bytes:
        return await read_body(
            receive,
            headers,
            share,
            max_bytes=self._settings.max_body_bytes,
            seconds=self._settings.body_seconds,
        )

    async def _write(self, raws: Iterable[RawMessage], routing: Routing) -> None:
        """One after the other, so that a batched delivery is never in memory many times over; one deadline for all."""
        began = time.monotonic()
        for raw in raws:
            left = began + self._settings.ack_seconds - time.monotonic()
            failpoints.reached("receiver_before_write")
            await self._log.send(
                self._topic,
                raw.message_key.encode(),
                encode(raw),
                routing.to_headers(),
                seconds=left,
            )
            failpoints.reached("receiver_before_answer")
        metrics.RECEIVER_ACK.observe(time.monotonic() - began)

    async def _operations(self, scope: Scope, send: Send, path: str) -> int:
        if path not in ("/livez", "/readyz", "/metrics", "/openapi.json"):
            raise Problem(404, "Not Found")
        if scope["method"] not in ("GET", "HEAD"):
            raise Problem(405, "Method Not Allowed", headers={"allow": "GET, HEAD"})
        status, text, kind = 200, b"alive\n", b"text/plain; charset=utf-8"
        if path == "/readyz":
            status, text = (200, b"ready\n") if self.ready else (503, b"not ready\n")
        elif path == "/metrics":
            text, kind = generate_latest(), CONTENT_TYPE_LATEST.encode()
        elif path == "/openapi.json":
            text, kind = document(), b"application/json"
        await answer_text(send, status, text, kind)
        return status

    def _say(self, trouble: Unavailable) -> None:
        """Once a second at most: an outage under load is one piece of news, and the metrics count the requests."""
        now = time.monotonic()
        if now - self._said_at >= 1.0:
            self._said_at = now
            log.warning("receiver_unavailable", what=trouble.what, detail=trouble.detail)

    def _must_be_loaded(self) -> None:
        if not self._directory.loaded:
            raise Problem(503, "Service Unavailable", "starting", {"retry-after": "1"})

    def _must_be_signed(
        self, attempt: Attempt, endpoint: Endpoint, headers: Mapping[str, str], body: bytes
    ) -> None:
        if endpoint.unsigned:
            return
        found = attempt.examined = self._understanding.check_signature(
            endpoint.provider,
            Claim(headers, body, time.time()),
            endpoint.secrets,
            self._settings.signature_age_seconds,
        )
        if found is None:
            raise Stranger("signature_missing")
        if found.verdict == "valid_old":
            metrics.RECEIVER_OLD_SIGNATURES.labels(endpoint.provider).inc()
        elif found.verdict != "valid":
            raise Stranger(_OF_VERDICT[found.verdict])

    def _must_be_within_rate(self, endpoint: Endpoint) -> None:
        if endpoint.rate_per_second is not None:
            self._must_wait(f"endpoint:{endpoint.endpoint_id}", endpoint.rate_per_second)
        elif traits_of(endpoint.provider).retries:
            self._must_wait(f"tenant:{endpoint.tenant_id}", self._tenant_rate(endpoint.tenant_id))

    def _tenant_rate(self, tenant_id: TenantId) -> float:
        try:
            tenant = self._directory.tenant(tenant_id)
        except Unavailable:  # the record is kept, and its stages wait for the tenant's settings
            tenant = None
        own = tenant.settings.rate if tenant is not None else None
        return self._settings.tenant_rate_per_second if own is None else own

    def _must_wait(self, name: str, per_second: float) -> None:
        _send_later(self._rates.wait_seconds(name, per_second, time.monotonic()))


def _send_later(seconds: float) -> None:
    if seconds > 0:
        headers = {"retry-after": str(math.ceil(seconds))}
        raise because("rate_exceeded", Problem(429, "Too Many Requests", headers=headers))


def _labelled(endpoint: Endpoint, ids: tuple[str, ...]) -> tuple[str, ...]:
    """The ids, told apart from those of the tenant's other servers of the provider."""
    return tuple(f"{endpoint.instance}/{one}" for one in ids) if endpoint.instance else ids


def _refusal(refused: ChatRefused) -> Problem:
    if not refused.is_json:
        return Problem(400, "Bad Request", "the body is not JSON")
    errors = [error[:_ERROR_CHARS] for error in refused.errors]
    return Problem(422, "Unprocessable Content", "; ".join(errors), extra={"errors": errors})


def _headers(scope: Scope) -> dict[str, str]:
    """Lower-case names; of a repeated one the first, so that a second signature cannot replace it."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


def _bearer(headers: Mapping[str, str]) -> str:
    """The key of `Authorization: Bearer <key>`; empty, which is nobody's, for every other form."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def _must_have_a_secret(endpoint: Endpoint) -> None:
    """Without one nothing can be checked yet: 503 lets the provider try again, and the log says why."""
    if endpoint.awaits_secret:
        raise Unavailable(
            "secret",
            detail=f"{endpoint.endpoint_id} has none yet: sensorium endpoints secret ID --set SECRET",
        )


def _only_post(scope: Scope) -> None:
    if scope["method"] != "POST":
        problem = Problem(405, "Method Not Allowed", headers={"allow": "POST"})
        raise because("not_post", problem)


def _trace(headers: Mapping[str, str]) -> str:
    given = headers.get("traceparent", "")
    return given if is_traceparent(given) else new_traceparent()
