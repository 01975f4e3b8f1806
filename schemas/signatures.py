"""Verifies webhook signatures over the raw bytes in constant time.

Pure: the time is an argument. Each provider's file in connectors/providers reads its headers.
"""

import hmac
from collections.abc import Mapping
from typing import Literal

import msgspec

AHEAD_SECONDS = 300
FRESH_SECONDS = 300

SignatureVerdict = Literal[
    "valid", "valid_old", "missing", "malformed", "mismatch", "expired", "ahead"
]
"""The result of checking a signature.

`valid_old` is valid and more than 300 s old, but within the window; it is counted. With
`expired` and `ahead` the signature matches, but its time is too long ago or too far in
the future.
"""


class Claim(msgspec.Struct, frozen=True):
    """A request to check: headers with lower-case names, raw body, current time."""

    headers: Mapping[str, str]
    body: bytes
    now: float


class Examined(msgspec.Struct, frozen=True):
    """The result of a check.

    `secret` is the one that matched; the age is known if the signature could be read.
    """

    verdict: SignatureVerdict
    secret: str | None = None
    age_seconds: float | None = None


ClaimedSignature = tuple[str, str] | SignatureVerdict
"""The time and the signature in a request, or the verdict if they cannot be read."""


def timed_signature(secret: str, body: bytes, stamp: str) -> str:
    """HMAC-SHA256 over `<unix time>.<body>` in hexadecimal, as some providers use."""
    return hmac.digest(secret.encode(), stamp.encode() + b"." + body, "sha256").hex()


def judge_timed(
    claim: Claim, claimed: ClaimedSignature, secrets: tuple[str, ...], age_seconds: float
) -> Examined:
    """Verifies a `timed_signature`, which may be up to `age_seconds` old."""
    if isinstance(claimed, str):
        return Examined(claimed)
    stamp, signature = claimed
    age = claim.now - int(stamp)
    # Try every secret, even after a match, so that the time taken reveals nothing.
    fits = [
        hmac.compare_digest(timed_signature(secret, claim.body, stamp), signature)
        for secret in secrets
    ]
    if not any(fits):
        return Examined("mismatch", None, age)
    verdict: SignatureVerdict = "valid" if age <= FRESH_SECONDS else "valid_old"
    if age < -AHEAD_SECONDS:
        verdict = "ahead"
    elif age > age_seconds:
        verdict = "expired"
    return Examined(verdict, secrets[fits.index(True)], age)
