"""The steps of a request that may be stored: read its body, write a record, answer.

    begin ─▶ more … ─▶ whole ─▶ written ─▶ answered
       └────────┴────────┴────────┴─▶ refused, late, or gone

Nothing waits here. The connection calls the steps, and the producer calls `written`.
Whatever a step raises becomes the answer.
"""

import math
import time
from collections.abc import Mapping
from functools import lru_cache

import structlog
from prometheus_client import Counter

from connectors.webhooks.answers import BUG, HttpReply, Problem, because, not_stored
from connectors.webhooks.body import Body, Budget
from connectors.webhooks.bulk import BulkLimits
from connectors.webhooks.deliveries import Deliveries
from connectors.webhooks.incoming import CLIENT_LEFT, Incoming
from connectors.webhooks.ports import EndpointDirectory, ProviderFunctions, RawTopic
from connectors.webhooks.rate import Rates
from schemas import metrics
from schemas.headers import Headers, is_traceparent, new_traceparent
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.reasons import DeliveryReason
from schemas.settings import ReceiverSettings
from storage import failpoints

log = structlog.get_logger()
_GENERATION = ("generation", b"0")


class Counts:
    """The metrics of the receiver, with their labels resolved once."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], Counter] = {}

    def request(self, provider: str, status: int) -> None:
        child = self._requests.get((provider, status))
        if child is None:
            child = metrics.RECEIVER_REQUESTS.labels(provider, status)
            self._requests[provider, status] = child
        child.inc()


class ReceiverParts:
    """The objects that all requests of a receiver share."""

    def __init__(
        self,
        settings: ReceiverSettings,
        topic: str,
        raw_topic: RawTopic,
        directory: EndpointDirectory,
        functions: ProviderFunctions,
    ) -> None:
        self.settings = settings
        self.topic = topic
        self.raw_topic = raw_topic
        self.directory = directory
        self.functions = functions
        self.budget = Budget(settings.max_pending_bytes)
        self.bulk = BulkLimits(settings.bulk_behind_seconds)
        self.deliveries = Deliveries()
        self.counts = Counts()
        self._rates = Rates()
        self._logged_at = -math.inf

    def must_be_loaded(self) -> None:
        if not self.directory.loaded:
            raise not_stored("not stored, because the receiver is starting: send it again")

    def check_rate(self, name: str, per_second: float) -> None:
        """Counts a request for `name`. Raises Problem 429 if it exceeds the rate."""
        send_later(self._rates.wait_seconds(name, per_second, time.monotonic()))

    def tenant_rate(self, tenant_id: TenantId) -> float:
        try:
            tenant = self.directory.tenant(tenant_id)
        except Unavailable:  # the record is kept, and its stages wait for the tenant's settings
            tenant = None
        own = tenant.settings.rate if tenant is not None else None
        return self.settings.tenant_rate_per_second if own is None else own

    def log_outage(self, trouble: Unavailable) -> None:
        """Logs an outage at most once per second; the metrics count the requests."""
        now = time.monotonic()
        if now - self._logged_at >= 1.0:
            self._logged_at = now
            log.warning("receiver_unavailable", what=trouble.what, detail=trouble.detail)


class StoredRequest:
    """One request.

    Subclasses decide who may send it, what its body means, and how the outcome is counted.
    """

    __slots__ = ("_began", "_is_over", "_is_written", "body", "label", "parts", "request")

    def __init__(self, parts: ReceiverParts, request: Incoming, label: str) -> None:
        self.parts = parts
        self.request = request
        self.label = label
        self.body: Body | None = None
        self._is_written = False
        self._is_over = False
        self._began = 0.0

    # --- for subclasses

    def owner(self) -> str | None:
        """Checks the head and returns the tenant that pays for the body.

        Returns None if no tenant does, so that the body is discarded. Raises a Problem or
        Unavailable to refuse the request.
        """
        raise NotImplementedError

    def store(self, body: bytes) -> None:
        """Checks the body and calls `write`.

        Raises a Problem or Unavailable to refuse it.
        """
        raise NotImplementedError

    def reply(self) -> HttpReply | None:
        """The answer once a record is durable, or None if it wrote a further record."""
        raise NotImplementedError

    def note(self, reason: DeliveryReason | None, status: int) -> None:
        """Counts the outcome."""
        raise NotImplementedError

    def write(self, key: bytes, value: bytes, headers: Headers) -> None:
        failpoints.reached("receiver_before_write")
        self.parts.raw_topic.send(self.parts.topic, key, value, headers, self.written)

    # --- the steps

    def begin(self) -> None:
        try:
            owner = self.owner()
            settings = self.parts.settings
            self.body = Body(self.parts.budget, owner, settings.max_body_bytes)
            self.body.announced(self.request.headers)
        except Exception as error:
            self._refuse(error)
            return
        self.request.taker = self
        self.request.deadline = time.monotonic() + settings.body_seconds

    def more(self, chunk: bytes) -> None:
        if self._is_over:
            return
        assert self.body is not None
        try:
            self.body.add(chunk)
        except Exception as error:
            self._refuse(error)

    def whole(self) -> None:
        if self._is_over:
            return
        assert self.body is not None
        self._is_written = True
        self._began = time.monotonic()
        self.request.deadline = self._began + self.parts.settings.ack_seconds
        try:
            self.store(self.body.whole())
        except Exception as error:
            self._refuse(error)

    def written(self, trouble: str | None) -> None:
        """Receives the result of a write from the producer. Never raises."""
        if self._is_over:
            return
        try:
            if trouble is not None:
                raise Unavailable("kafka", 1.0, detail=trouble)
            failpoints.reached("receiver_before_answer")
            reply = self.reply()
            if reply is not None:
                metrics.RECEIVER_ACK.observe(time.monotonic() - self._began)
                self._end("accepted", reply.status, reply)
        except Exception as error:
            self._refuse(error)

    def late(self) -> None:
        if self._is_over:
            return
        if self._is_written:
            self._refuse(self.parts.raw_topic.overdue())
            return
        seconds = self.parts.settings.body_seconds
        problem = Problem(408, f"the body must come within {seconds:g} s")
        self._refuse(because("body_too_slow", problem))

    def gone(self, status: int = CLIENT_LEFT) -> None:
        """Ends the request, unless its record was sent: that is counted once it is durable."""
        if not self._is_over and not self._is_written:
            self._end("client_left", status, None)

    def _refuse(self, error: Exception) -> None:
        if self._is_over:
            log.error("receiver_failed", exc_info=error)
            return
        match error:
            case Problem():
                self._end(error.reason, error.status, error.reply())
            case Unavailable():
                self.parts.log_outage(error)
                self._end(reason_of(error), 503, not_stored().reply())
            case _:
                log.error("receiver_failed", exc_info=error)
                self._end("program_error", 500, BUG)

    def _end(self, reason: DeliveryReason | None, status: int, reply: HttpReply | None) -> None:
        self._is_over = True
        if self.body is not None:
            self.body.release()
        self.parts.counts.request(self.label, status)
        self.note(reason, status)
        if reply is not None:
            self.request.answer(reply)


_OF_TROUBLE: Mapping[str, DeliveryReason] = {
    "secret": "secret_awaited",
    "directory": "endpoint_unreadable",
}


def reason_of(trouble: Unavailable) -> DeliveryReason:
    return _OF_TROUBLE.get(trouble.what, "not_stored")


def send_later(seconds: float) -> None:
    if seconds > 0:
        headers = {"retry-after": str(math.ceil(seconds))}
        raise because("rate_exceeded", Problem(429, headers=headers))


@lru_cache(8192)
def _routing(tenant_id: str, provider: str) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    return ("tenant", tenant_id.encode()), ("provider", provider.encode())


def record_headers(tenant_id: str, provider: str, request_headers: Mapping[str, str]) -> Headers:
    """The Kafka headers of a record, with the client's trace if it sent one.

    They are those that `schemas.headers.Routing` writes.
    """
    tenant, source = _routing(tenant_id, provider)
    trace = request_headers.get("traceparent", "")
    if not trace or not is_traceparent(trace):
        trace = new_traceparent()
    return [tenant, source, ("traceparent", trace.encode()), _GENERATION]
