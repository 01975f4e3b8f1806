"""Counts the outcomes of deliveries in memory, per endpoint and reason.

`delivery_log` writes the counts to Postgres. Nothing here waits, and everything is bounded:
there is one count per day, known endpoint, reason and live secret, and there are few counts
for unknown tokens.
"""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from schemas import metrics
from schemas.keys import MessageKey, log_digest
from schemas.reasons import DeliveryReason
from schemas.signatures import Examined
from schemas.tenants import EndedToken, Endpoint, secret_id

NEW_STRANGERS_PER_MINUTE = 20
"""The unknown tokens per minute that get separate counts.

Others are counted together.
"""
MOST_STRANGERS = 500
"""The most counts of unknown tokens that wait while Postgres cannot be reached."""
OTHER_STRANGERS = "token_others"
REPEAT_SECONDS = 10.0
"""The shortest time between two writes of the same count."""
_MAX_WRITTEN = 100_000
USER_AGENT_CHARS = 80

_id_of_secret = lru_cache(8192)(secret_id)


@dataclass(slots=True)
class Attempt:
    """The facts known about one delivery.

    `path_provider` is the provider in the path, or `other` for an unknown one.
    """

    path_provider: str
    token: str
    user_agent: str
    endpoint: Endpoint | None = None
    ended: EndedToken | None = None
    body_bytes: int | None = None
    message_key: MessageKey | None = None
    examined: Examined | None = None


class DeliveryBucket(NamedTuple):
    """The key of a count: deliveries with equal values are counted together.

    An empty tenant id stands for an unknown token.
    """

    tenant_id: str
    endpoint_id: str
    day: int
    reason: DeliveryReason
    secret_id: str


@dataclass(slots=True)
class Count:
    """The deliveries of one bucket, and the last one of them.

    Times are Unix seconds.
    """

    deliveries: int
    first_at: float
    last_at: float
    status: int
    last: Attempt

    @property
    def facts(self) -> dict[str, Any]:
        """Facts about the last delivery that help a person to find the cause.

        They are computed when the count is written, not at each delivery.
        """
        return _facts(self.last)


@lru_cache(8192)
def _bucket(
    tenant_id: str, endpoint_id: str, day: int, reason: DeliveryReason, secret: str | None
) -> DeliveryBucket:
    by = secret_id(endpoint_id, secret) if secret else ""
    return DeliveryBucket(tenant_id, endpoint_id, day, reason, by)


class Deliveries:
    """The counts that were not written yet."""

    def __init__(self) -> None:
        self._waiting: dict[DeliveryBucket, Count] = {}
        self._written_at: dict[DeliveryBucket, float] = {}
        self._strangers: set[str] = set()
        self._strangers_waiting = 0
        self._minute = -1

    def note(self, attempt: Attempt, reason: DeliveryReason, status: int) -> None:
        """Counts one delivery. Never waits, and raises for nothing that a sender can send."""
        now = time.time()
        if reason != "accepted":
            metrics.RECEIVER_REFUSED.labels(attempt.path_provider, reason).inc()
        place = self._place(attempt, reason, now)
        attempt.token = ""  # not needed any more, and may be as long as a URL
        count = self._waiting.get(place)
        if count is None:
            self._hold(place, Count(1, now, now, status, attempt))
            return
        count.deliveries += 1
        count.last_at = max(now, count.last_at)
        count.status = status
        count.last = attempt

    def due(self, most: int, *, at_once: bool = False) -> list[tuple[DeliveryBucket, Count]]:
        """Removes and returns up to `most` counts that may be written now.

        With `at_once` these include buckets that were written less than REPEAT_SECONDS ago.
        """
        now = time.monotonic()
        since = now if at_once else now - REPEAT_SECONDS
        found: list[tuple[DeliveryBucket, Count]] = []
        for place in list(self._waiting):
            if len(found) == most:
                break
            if self._written_at.get(place, -REPEAT_SECONDS) <= since:
                found.append((place, self._waiting.pop(place)))
                self._strangers_waiting -= not place.tenant_id
        return found

    def written(self, counts: Iterable[tuple[DeliveryBucket, Count]]) -> None:
        """Notes that these counts were written.

        So their buckets are not written again soon.
        """
        now = time.monotonic()
        if len(self._written_at) > _MAX_WRITTEN:
            self._written_at.clear()
        self._written_at.update((place, now) for place, _ in counts)

    def put_back(self, counts: Iterable[tuple[DeliveryBucket, Count]]) -> None:
        """Takes back counts that could not be written."""
        for place, before in counts:
            later = self._waiting.get(place)
            if later is None:
                self._hold(place, before)
            else:
                later.deliveries += before.deliveries
                later.first_at = min(before.first_at, later.first_at)

    def _hold(self, place: DeliveryBucket, count: Count) -> None:
        self._waiting[place] = count
        self._strangers_waiting += not place.tenant_id

    def _place(self, attempt: Attempt, reason: DeliveryReason, now: float) -> DeliveryBucket:
        day, endpoint = int(now // 86_400), attempt.endpoint
        if endpoint is not None:
            fits = attempt.examined.secret if attempt.examined is not None else None
            secret = fits if reason == "accepted" else None
            return _bucket(endpoint.tenant_id, endpoint.endpoint_id, day, reason, secret)
        if (ended := attempt.ended) is not None:
            return DeliveryBucket(ended.tenant_id, ended.endpoint_id, day, reason, "")
        return DeliveryBucket("", self._stranger(attempt.token, now), day, reason, "")

    def _stranger(self, token: str, now: float) -> str:
        """The name under which an unknown token is counted, or OTHER_STRANGERS."""
        name = stranger_name(token)
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self._strangers = minute, set()
        if name not in self._strangers:
            is_full = self._strangers_waiting >= MOST_STRANGERS
            if is_full or len(self._strangers) >= NEW_STRANGERS_PER_MINUTE:
                return OTHER_STRANGERS
            self._strangers.add(name)
        return name


def stranger_name(token: str) -> str:
    """The name of an unknown token: a part of its digest, which does not reveal the token."""
    digest = hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
    return f"token_{digest[:12]}"


def _facts(attempt: Attempt) -> dict[str, Any]:
    """The facts about a delivery, without any text of the body, secret or token.

    A message is identified by a digest of its key, as in logs.
    """
    facts: dict[str, Any] = {"path_provider": attempt.path_provider}
    if attempt.user_agent:
        shown = (one if one.isprintable() else "?" for one in attempt.user_agent)
        facts["user_agent"] = "".join(shown)
    if attempt.body_bytes is not None:
        facts["body_bytes"] = attempt.body_bytes
    if attempt.message_key is not None:
        facts["message"] = log_digest(attempt.message_key)
    examined, endpoint = attempt.examined, attempt.endpoint
    if examined is None or endpoint is None:
        return facts
    if examined.age_seconds is not None:
        facts["signature_age_seconds"] = round(examined.age_seconds)
    if examined.secret is not None:
        facts["signed_with"] = _id_of_secret(endpoint.endpoint_id, examined.secret)
    elif examined.verdict == "mismatch":
        facts["secrets_tried"] = [
            _id_of_secret(endpoint.endpoint_id, secret) for secret in endpoint.secrets
        ]
    return facts
