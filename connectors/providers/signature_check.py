"""Runs a pasted delivery through the receiver's checks and says which one fails.

Pure.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from connectors.providers.catalogue import check_signature, identify, sign
from schemas.signatures import Claim, Examined
from schemas.tenants import Endpoint, secret_id

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ANY_TIME = 1_234_567_890
SHOWN_DIGITS = 8
"""The number of digits of a digest that are shown.

They show a difference, but do not allow signing.
"""


@dataclass(frozen=True, slots=True)
class CheckedStep:
    """The result of one check. `word` is its key in the message catalogue, filled with `values`."""

    is_good: bool
    word: str
    values: dict[str, object]


@dataclass(frozen=True, slots=True)
class Pasted:
    """A delivery as a person pasted it. HTML forms turn each line end into CR LF."""

    headers: dict[str, str]
    body: str

    def bodies(self) -> Iterator[tuple[str, bytes]]:
        """Yields the bodies that may have been pasted, each with a word for the difference."""
        plain = self.body.replace("\r\n", "\n")
        yield "as_pasted", plain.encode()
        yield "without_last_line_end", plain.rstrip("\n").encode()
        yield "with_line_end", (plain.rstrip("\n") + "\n").encode()
        yield "with_crlf", self.body.encode()


def pasted(headers: str, body: str) -> Pasted:
    """Reads header lines `Name: value`, as tools print them, and skips other lines."""
    found = dict[str, str]()
    for line in headers.splitlines():
        name, separator, value = line.strip().lstrip("<> ").partition(":")
        if separator and name.strip():
            found.setdefault(name.strip().strip('"').lower(), value.strip().strip('",'))
    return Pasted(found, body)


def checked(
    endpoint: Endpoint, delivery: Pasted, *, now: float, age_seconds: float
) -> list[CheckedStep]:
    """The results in the receiver's order, without checks that depend on one that failed."""
    steps = list(_headers(endpoint.provider, delivery))
    if not endpoint.secrets:
        steps.append(CheckedStep(False, "check.no_secret", {}))
    elif all(one.is_good for one in steps):
        steps.extend(_signature(endpoint, delivery, now, age_seconds))
    return [*steps, *_body(endpoint.provider, delivery)]


def _headers(provider: str, delivery: Pasted) -> Iterator[CheckedStep]:
    for name in _names(sign(provider, "", b"", 0)):
        is_there = name in delivery.headers
        yield CheckedStep(
            is_there, "check.header" if is_there else "check.no_header", {"name": name}
        )


def _signature(
    endpoint: Endpoint, delivery: Pasted, now: float, age_seconds: float
) -> Iterator[CheckedStep]:
    provider, secrets = endpoint.provider, endpoint.secrets
    found: list[tuple[str, Examined]] = []
    for how, body in delivery.bodies():
        claim = Claim(delivery.headers, body, now)
        examined = check_signature(provider, claim, secrets, age_seconds)
        assert examined is not None, "an endpoint with secrets is of a provider that signs"
        found.append((how, examined))
    how, examined = next((one for one in found if one[1].secret is not None), found[0])
    if examined.verdict == "malformed":
        yield CheckedStep(False, "check.malformed", {"form": _form_of(provider)})
        return
    age = examined.age_seconds or 0.0
    if examined.verdict in ("expired", "ahead"):
        yield CheckedStep(False, f"check.{examined.verdict}", {"age": round(abs(age))})
    else:
        yield CheckedStep(True, "check.age", {"age": round(age)})
    if examined.secret is not None:
        which = secret_id(endpoint.endpoint_id, examined.secret)
        yield CheckedStep(True, "check.fits", {"secret": which})
        if how != "as_pasted":
            yield CheckedStep(True, f"check.body_{how}", {})
        return
    yield from _mismatches(endpoint, delivery)


def _mismatches(endpoint: Endpoint, delivery: Pasted) -> Iterator[CheckedStep]:
    _, body = next(delivery.bodies())
    for secret in endpoint.secrets:
        stamp, claimed_digest = _claimed(endpoint.provider, delivery)
        made = "".join(sign(endpoint.provider, secret, body, stamp).values())
        digest = _DIGEST.search(made)
        assert digest is not None, "a signature that was judged has a digest"
        yield CheckedStep(
            False,
            "check.mismatch",
            {
                "secret": secret_id(endpoint.endpoint_id, secret),
                "made": digest[0][:SHOWN_DIGITS],
                "given": claimed_digest[:SHOWN_DIGITS],
            },
        )


def _claimed(provider: str, delivery: Pasted) -> tuple[int, str]:
    """The time and the digest in a signature that has the provider's form."""
    stamp, digest = 0, ""
    for name, form in sign(provider, "", b"", _ANY_TIME).items():
        pattern = _DIGEST.sub("(?P<digest>[0-9a-f]{64})", re.escape(form))
        pattern = pattern.replace(str(_ANY_TIME), "(?P<stamp>[0-9]{1,12})")
        match = re.fullmatch(pattern, delivery.headers[name.lower()])
        found = match.groupdict() if match is not None else {}
        stamp, digest = int(found.get("stamp", stamp)), found.get("digest", digest)
    return stamp, digest


def _names(headers: dict[str, str]) -> list[str]:
    return [name.lower() for name in headers]


def _form_of(provider: str) -> str:
    """The form of the header with the digest, with … for time and digest."""
    forms = sign(provider, "", b"", _ANY_TIME).values()
    form = next((one for one in forms if _DIGEST.search(one)), "")
    return _DIGEST.sub("…", form).replace(str(_ANY_TIME), "…")


def _body(provider: str, delivery: Pasted) -> Iterator[CheckedStep]:
    _, body = next(delivery.bodies())
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        yield CheckedStep(False, "check.not_json", {"why": str(error)[:120]})
        return
    if not isinstance(document, dict):
        yield CheckedStep(False, "check.not_an_object", {})
        return
    yield CheckedStep(True, "check.json", {"bytes": len(body)})
    names = identify(provider, body)
    is_named = not any(name.startswith("sha256-") for name in names)
    word = "check.ids" if is_named else "check.no_id"
    yield CheckedStep(is_named, word, {"ids": ", ".join(name[:80] for name in names[:5])})
