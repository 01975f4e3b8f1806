"""Signatures of providers, checked on the raw bytes in constant time. Pure."""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

AHEAD_SECONDS = 300
FRESH_SECONDS = 300
_YCLOUD = re.compile(r"t=([0-9]{1,12}),s=([0-9a-f]{64})")
_CHATWOOT = re.compile(r"sha256=([0-9a-f]{64})")

Verdict = Literal["valid", "valid_old", "missing", "malformed", "mismatch", "outside_window"]
"""valid_old: the signature is right, its time lies further back than 300 s but within the window: counted."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request brings: headers with lower-case names, the raw body, and our clock."""

    headers: Mapping[str, str]
    body: bytes
    now: float


def ycloud(claim: Claim, secrets: tuple[str, ...], *, age_seconds: float) -> Verdict:
    """`YCloud-Signature: t=<unix>,s=<hex>` over `t.body`, keyed with the secret as it is, `whsec_` included.

    Whether a retry bears a fresh t is not documented, so the window reaches back `age_seconds`.
    """
    given = claim.headers.get("ycloud-signature")
    if given is None:
        return "missing"
    match = _YCLOUD.fullmatch(given)
    if match is None:
        return "malformed"
    return _judge(claim, match[1], match[2], secrets, age_seconds)


def chatwoot(
    claim: Claim, secrets: tuple[str, ...], *, age_seconds: float = FRESH_SECONDS
) -> Verdict:
    """`X-Chatwoot-Signature: sha256=<hex>` over `X-Chatwoot-Timestamp.body`; the time is fresh at each attempt."""
    given, stamp = (
        claim.headers.get("x-chatwoot-signature"),
        claim.headers.get("x-chatwoot-timestamp"),
    )
    if given is None or stamp is None:
        return "missing"
    match = _CHATWOOT.fullmatch(given)
    if match is None or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        return "malformed"
    return _judge(claim, stamp, match[1], secrets, FRESH_SECONDS)


def _judge(
    claim: Claim, stamp: str, signature: str, secrets: tuple[str, ...], age_seconds: float
) -> Verdict:
    signed = stamp.encode() + b"." + claim.body
    # Every secret is tried, whichever fits: the time taken tells nothing.
    fits = [
        hmac.compare_digest(
            hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest(), signature
        )
        for secret in secrets
    ]
    if not any(fits):
        return "mismatch"
    age = claim.now - int(stamp)
    if age < -AHEAD_SECONDS or age > age_seconds:
        return "outside_window"
    return "valid" if age <= FRESH_SECONDS else "valid_old"


Check = Callable[..., Verdict]
CHECKS: dict[str, Check] = {"ycloud": ycloud, "chatwoot": chatwoot}
"""Provider → how its signature is checked. A provider that is not here can only have unsigned endpoints."""


def sign(provider: str, secret: str, body: bytes, now: int) -> dict[str, str]:
    """The headers a provider would send: for sample traffic and tests."""
    signature = hmac.new(
        secret.encode(), str(now).encode() + b"." + body, hashlib.sha256
    ).hexdigest()
    if provider == "chatwoot":
        return {"X-Chatwoot-Timestamp": str(now), "X-Chatwoot-Signature": f"sha256={signature}"}
    return {"YCloud-Signature": f"t={now},s={signature}"}
