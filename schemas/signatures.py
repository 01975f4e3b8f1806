"""Signatures of webhooks, judged on the raw bytes in constant time. Pure.

What a provider's headers look like is in its file of connectors/providers.
"""

import hmac
from collections.abc import Mapping
from typing import Literal

import msgspec

AHEAD_SECONDS = 300
FRESH_SECONDS = 300

Verdict = Literal["valid", "valid_old", "missing", "malformed", "mismatch", "expired", "ahead"]
"""valid_old: the signature is right, its time lies
further back than 300 s but within the window: counted.

expired, ahead: the signature is right, its time is too far back or ahead.
"""


class Claim(msgspec.Struct, frozen=True):
    """What a request brings: headers with
    lower-case names, the raw body, and our clock.
    """

    headers: Mapping[str, str]
    body: bytes
    now: float


class Examined(msgspec.Struct, frozen=True):
    """What was found.

    `secret` is the one that fits; the age is that of a signature that could be read.
    """

    verdict: Verdict
    secret: str | None = None
    age_seconds: float | None = None


ClaimedSignature = tuple[str, str] | Verdict
"""The time and the signature that a request claims, or why they cannot be read."""


def timed_signature(secret: str, body: bytes, stamp: str) -> str:
    """HMAC-SHA256 over `<unix time>.<body>` as
    hexadecimal digits, which several providers use.
    """
    return hmac.digest(secret.encode(), stamp.encode() + b"." + body, "sha256").hex()


def judge_timed(
    claim: Claim, claimed: ClaimedSignature, secrets: tuple[str, ...], age_seconds: float
) -> Examined:
    """Judges a `timed_signature` that may be `age_seconds` old."""
    if isinstance(claimed, str):
        return Examined(claimed)
    stamp, signature = claimed
    age = claim.now - int(stamp)
    # Every secret is tried, whichever fits: the time taken tells nothing.
    fits = [
        hmac.compare_digest(timed_signature(secret, claim.body, stamp), signature)
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
