"""A provider's delivery: `POST /webhooks/PROVIDER/TOKEN`."""

import time
from collections.abc import Mapping

from connectors.webhooks.answers import (
    ACCEPTED_ONE,
    HttpReply,
    Problem,
    Unauthenticated,
    because,
    json_reply,
)
from connectors.webhooks.deliveries import USER_AGENT_CHARS, Attempt
from connectors.webhooks.incoming import Incoming
from connectors.webhooks.request import ReceiverParts, StoredRequest, record_headers
from schemas import metrics
from schemas.headers import Headers
from schemas.keys import message_key
from schemas.outcomes import Unavailable
from schemas.providers import PROVIDERS, traits_of
from schemas.raw_wire import encode_raw_message
from schemas.reasons import DeliveryReason
from schemas.signatures import Claim, SignatureVerdict
from schemas.tenants import Endpoint

_KEPT_HEADERS = ("content-type", "user-agent", "x-webhook-endpoint-id", "x-chatwoot-delivery")
_HEADER_CHARS = 200
_OF_VERDICT: Mapping[SignatureVerdict, DeliveryReason] = {
    "missing": "signature_missing",
    "malformed": "signature_malformed",
    "mismatch": "signature_mismatch",
    "expired": "signature_expired",
    "ahead": "signature_from_the_future",
}


class Delivery(StoredRequest):
    """Accepts a delivery in four steps.

    1. Find tenant, provider and secrets by the token.
    2. Read the body within its limits, which are checked before the signature. The body of
       an unknown sender is read in the same way and discarded.
    3. Check the signature on the raw bytes.
    4. Write, and answer only when the record is durable. The events of a body are written
       one after the other, so that there are never several copies of the body in memory.
       One deadline applies to all of them.
    """

    __slots__ = (
        "_attempt",
        "_content",
        "_endpoint",
        "_headers",
        "_ids",
        "_position",
        "_provider",
        "_received_us",
    )

    def __init__(self, parts: ReceiverParts, request: Incoming, rest: str) -> None:
        provider, _, token = rest.partition("/")
        label = provider if provider in PROVIDERS else "other"
        super().__init__(parts, request, label)
        self._provider = provider
        self._attempt: Attempt | None = None
        self._endpoint: Endpoint | None = None
        self._headers: Headers = []
        self._ids: tuple[str, ...] = ()
        self._content = b""
        self._position = 0
        self._received_us = 0
        if parts.directory.loaded:  # before that, no token can be judged as unknown
            agent = request.headers.get("user-agent", "")[:USER_AGENT_CHARS]
            self._attempt = Attempt(label, token, agent)

    def owner(self) -> str | None:
        self.parts.must_be_loaded()
        attempt = self._attempt
        assert attempt is not None
        endpoint = attempt.endpoint = self.parts.directory.endpoint(attempt.token)  # 1
        only_post(self.request)
        if endpoint is None or endpoint.provider != self._provider:
            return None
        if endpoint.awaits_secret:
            raise _no_secret(endpoint)
        self._endpoint = endpoint
        return endpoint.tenant_id

    def store(self, body: bytes) -> None:  # 2
        endpoint, attempt = self._endpoint, self._attempt
        assert attempt is not None
        if endpoint is None:
            raise Unauthenticated(self._why_unknown(attempt))
        attempt.body_bytes = len(body)
        self._must_be_signed(endpoint, attempt, body)  # 3
        self._must_be_within_rate(endpoint)
        provider = self._provider
        ids = self.parts.functions.identify(provider, body)
        # The label distinguishes the ids of the tenant's servers of this provider.
        if endpoint.instance:
            ids = tuple(f"{endpoint.instance}/{found}" for found in ids)
        self._ids, self._content = ids, body
        self._received_us = time.time_ns() // 1000
        self._headers = record_headers(endpoint.tenant_id, provider, self.request.headers)
        self._write_next(endpoint, attempt)  # 4

    def reply(self) -> HttpReply | None:
        self._position += 1
        if self._position < len(self._ids):
            assert self._endpoint is not None and self._attempt is not None
            self._write_next(self._endpoint, self._attempt)
            return None
        return (
            ACCEPTED_ONE if self._position == 1 else json_reply(200, {"accepted": self._position})
        )

    def note(self, reason: DeliveryReason | None, status: int) -> None:
        if self._attempt is not None:
            self.parts.deliveries.note(self._attempt, reason or "program_error", status)

    def _write_next(self, endpoint: Endpoint, attempt: Attempt) -> None:
        key = message_key(endpoint.tenant_id, self._provider, self._ids[self._position])
        if not self._position:
            attempt.message_key = key
        headers, key_bytes = self.request.headers, key.encode()
        value = encode_raw_message(
            (endpoint.tenant_id, self._provider, endpoint.endpoint_id),
            key_bytes,
            received_us=self._received_us,
            position=self._position,
            headers={
                name: headers[name][:_HEADER_CHARS] for name in _KEPT_HEADERS if name in headers
            },
            body=self._content,
        )
        self.write(key_bytes, value, self._headers)

    def _why_unknown(self, attempt: Attempt) -> DeliveryReason:
        if attempt.endpoint is not None:
            return "wrong_provider"
        attempt.ended = self.parts.directory.ended(attempt.token)
        return "unknown_token" if attempt.ended is None else attempt.ended.reason

    def _must_be_signed(self, endpoint: Endpoint, attempt: Attempt, body: bytes) -> None:
        if endpoint.unsigned:
            return
        found = attempt.examined = self.parts.functions.check_signature(
            endpoint.provider,
            Claim(self.request.headers, body, time.time()),
            endpoint.secrets,
            self.parts.settings.signature_age_seconds,
        )
        if found is None:
            raise Unauthenticated("signature_missing")
        if found.verdict == "valid_old":
            metrics.RECEIVER_OLD_SIGNATURES.labels(endpoint.provider).inc()
        elif found.verdict != "valid":
            raise Unauthenticated(_OF_VERDICT[found.verdict])

    def _must_be_within_rate(self, endpoint: Endpoint) -> None:
        if endpoint.rate_per_second is not None:
            self.parts.check_rate(f"endpoint:{endpoint.endpoint_id}", endpoint.rate_per_second)
        elif traits_of(endpoint.provider).retries:  # otherwise a refusal would lose the message
            rate = self.parts.tenant_rate(endpoint.tenant_id)
            if rate > 0:
                self.parts.check_rate(f"tenant:{endpoint.tenant_id}", rate)


def only_post(request: Incoming) -> None:
    if request.method != "POST":
        problem = Problem(405, headers={"allow": "POST"})
        raise because("not_post", problem)


def _no_secret(endpoint: Endpoint) -> Unavailable:
    """The refusal while the endpoint has no secret, without which nothing can be checked.

    The answer 503 makes the provider retry, and the log names the remedy.
    """
    return Unavailable(
        "secret",
        detail=f"{endpoint.endpoint_id} has no secret yet: "
        "sensorium endpoints secret ID --set SECRET",
    )
