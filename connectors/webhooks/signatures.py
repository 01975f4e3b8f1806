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

Verdict = Literal["valid", "valid_old", "missing", "malformed", "mismatch", "expired", "ahead"]
"""valid_old: the signature is right, its time lies further back than 300 s but within the window: counted.

expired, ahead: the signature is right, its time is too far back or ahead.
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request brings: headers with lower-case names, the raw body, and our clock."""

    headers: Mapping[str, str]
    body: bytes
    now: float


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found. `secret` is the one that fits; the age is that of a signature that could be read."""

    verdict: Verdict
    secret: str | None = None
    age_seconds: float | None = None


Reading = tuple[str, str] | Verdict
"""The time and the signature that a request claims, or why they cannot be read."""


def _read_ycloud(claim: Claim) -> Reading:
    """`YCloud-Signature: t=<unix>,s=<hex>` over `t.body`, keyed with the secret as it is, `whsec_` included."""
    given = claim.headers.get("ycloud-signature")
    if given is None:
        return "missing"
    match = _YCLOUD.fullmatch(given)
    return "malformed" if match is None else (match[1], match[2])


def _read_chatwoot(claim: Claim) -> Reading:
    """`X-Chatwoot-Signature: sha256=<hex>` over `X-Chatwoot-Timestamp.body`."""
    given, stamp = (
        claim.headers.get("x-chatwoot-signature"),
        claim.headers.get("x-chatwoot-timestamp"),
    )
    if given is None or stamp is None:
        return "missing"
    match = _CHATWOOT.fullmatch(given)
    if match is None or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        return "malformed"
    return stamp, match[1]


def ycloud(claim: Claim, secrets: tuple[str, ...], *, age_seconds: float) -> Examined:
    """Whether a retry has a fresh time is not documented, so the window reaches back `age_seconds`."""
    return _judge(claim, _read_ycloud(claim), secrets, age_seconds)


def chatwoot(
    claim: Claim, secrets: tuple[str, ...], *, age_seconds: float = FRESH_SECONDS
) -> Examined:
    """The time is fresh at each attempt, so the window is short whatever `age_seconds` says."""
    return _judge(claim, _read_chatwoot(claim), secrets, FRESH_SECONDS)


def _judge(
    claim: Claim, reading: Reading, secrets: tuple[str, ...], age_seconds: float
) -> Examined:
    if isinstance(reading, str):
        return Examined(reading)
    stamp, signature = reading
    age = claim.now - int(stamp)
    signed = stamp.encode() + b"." + claim.body
    # Every secret is tried, whichever fits: the time taken tells nothing.
    fits = [
        hmac.compare_digest(
            hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest(), signature
        )
        for secret in secrets
    ]
    if not any(fits):
        return Examined("mismatch", None, age)
    verdict: Verdict = "valid" if age <= FRESH_SECONDS else "valid_old"
    if age < -AHEAD_SECONDS:
        verdict = "ahead"
    elif age > age_seconds:
        verdict = "expired"
    return Examined(verdict, secrets[fits.index(True)], age)


Check = Callable[..., Examined]
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
