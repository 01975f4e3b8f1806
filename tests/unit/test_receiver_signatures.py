import base64
import json
from typing import Any

import pytest

from connectors.providers.catalogue import PROVIDERS, check_signature, sign
from schemas.signatures import Claim, Examined, SignatureVerdict
from tests.unit.records import PAYLOADS

NOW = 1_784_023_600
DAY = 86_400.0
BODY = b'{"text":"\\u003c \xc3\xb1 \xff"}'
OF_VECTORS = {
    "none": "valid",
    "wrong-secret": "mismatch",
    "stale-timestamp": "expired",
    "future-timestamp": "ahead",
    "tampered-body": "mismatch",
    "json-reserialized": "mismatch",
    "trailing-delimiter": "mismatch",
    "malformed-header": "malformed",
}


def vectors(provider: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (PAYLOADS / provider / "signature_vectors.json").read_bytes()
    )
    return document


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def check(provider: str, claim: Claim, secrets: tuple[str, ...], *, age_seconds: float) -> Examined:
    found = check_signature(provider, claim, secrets, age_seconds)
    assert found is not None
    return found


def verdict(
    provider: str,
    *,
    sent_at: int = NOW,
    now: float = NOW,
    secrets: tuple[str, ...] = ("s1",),
    signed_with: str = "s1",
    **headers: str,
) -> SignatureVerdict:
    signed = lower(sign(provider, signed_with, BODY, sent_at)) | headers
    return check(provider, Claim(signed, BODY, now), secrets, age_seconds=DAY).verdict


@pytest.mark.parametrize("vector", vectors("ycloud")["vectors"], ids=lambda v: v["id"])
def test_the_official_vectors_of_ycloud(vector: dict[str, Any]) -> None:
    claim = Claim(
        {"ycloud-signature": vector["header"]},
        base64.b64decode(vector["raw_body_base64"]),
        vector["now_unix_seconds"],
    )
    found = check(
        "ycloud",
        claim,
        tuple(vector["candidate_secrets"]),
        age_seconds=vectors("ycloud")["tolerance_seconds"],
    ).verdict
    assert found == OF_VECTORS[vector["failure_kind"]]
    assert (found == "valid") == vector["expected_valid"]


@pytest.mark.parametrize("vector", vectors("chatwoot")["vectors"], ids=lambda v: v["id"])
def test_the_vectors_of_chatwoot(vector: dict[str, Any]) -> None:
    headers = lower(vector["headers"])
    claim = Claim(
        headers,
        base64.b64decode(vector["raw_body_base64"]),
        float(headers.get("x-chatwoot-timestamp", NOW)) + 2,
    )
    expected = {True: "valid", False: "mismatch", None: "missing"}[vector["expected_valid"]]
    assert check("chatwoot", claim, (vector["secret"],), age_seconds=DAY).verdict == expected


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_live_secret_fits_and_no_other(provider: str) -> None:
    assert [
        verdict(provider, secrets=("s1", "s2", "s3"), signed_with=secret)
        for secret in ("s1", "s2", "s3", "s4")
    ] == ["valid"] * 3 + ["mismatch"]
    assert verdict(provider, secrets=()) == "mismatch"


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (-301, "ahead"),
        (-300, "valid"),
        (0, "valid"),
        (300, "valid"),
        (301, "valid_old"),
        (20_160, "valid_old"),
        (86_400, "valid_old"),
        (86_401, "expired"),
    ],
)
def test_a_ycloud_signature_may_be_a_day_old_and_300_seconds_ahead(age: int, expected: str) -> None:
    assert verdict("ycloud", sent_at=NOW - age) == expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [(-301, "ahead"), (-300, "valid"), (300, "valid"), (301, "expired")],
)
def test_a_chatwoot_signature_is_within_300_seconds_whatever_the_setting(
    age: int, expected: str
) -> None:
    assert verdict("chatwoot", sent_at=NOW - age) == expected


def test_a_wrong_signature_is_a_mismatch_before_its_time_is_looked_at() -> None:
    assert verdict("ycloud", sent_at=NOW - 200_000, signed_with="s2") == "mismatch"


HEX = "ab" * 32


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1,s=",
        f"s={HEX}",
        f"t=,s={HEX}",
        f"t=1,s={HEX[:-1]}",
        f"t=1,s={HEX}0",
        f"t=1,s={HEX.upper()}",
        f"t=1, s={HEX}",
        f" t=1,s={HEX}",
        f"t=1,s={HEX}\n",
        f"s={HEX},t=1",
        f"t=-1,s={HEX}",
        f"t=1.5,s={HEX}",
        f"t=1_0,s={HEX}",
        f"t=\u0661,s={HEX}",
        f"t=\u00b9,s={HEX}",
        f"t={'9' * 13},s={HEX}",
        f"t=1,s={HEX},s={HEX}",
        f"v=1,t=1,s={HEX}",
    ],
)
def test_a_malformed_ycloud_header(header: str) -> None:
    assert (
        check(
            "ycloud", Claim({"ycloud-signature": header}, BODY, NOW), ("s1",), age_seconds=DAY
        ).verdict
        == "malformed"
    )


@pytest.mark.parametrize(
    "signature",
    [
        "",
        HEX,
        f"sha256={HEX.upper()}",
        f"sha256={HEX[:-1]}",
        f"sha1={HEX}",
        f"SHA256={HEX}",
        f"sha256={HEX}\n",
    ],
)
def test_a_malformed_chatwoot_signature(signature: str) -> None:
    assert verdict("chatwoot", **{"x-chatwoot-signature": signature}) == "malformed"


@pytest.mark.parametrize(
    "stamp", ["", "-1", "1.0", "1e9", "0x10", " 1", "\u0661", "\u00b2", "9" * 13]
)
def test_a_malformed_chatwoot_time(stamp: str) -> None:
    assert verdict("chatwoot", **{"x-chatwoot-timestamp": stamp}) == "malformed"


def test_a_missing_header_is_missing() -> None:
    assert check("ycloud", Claim({}, BODY, NOW), ("s1",), age_seconds=DAY).verdict == "missing"
    for name in ("x-chatwoot-signature", "x-chatwoot-timestamp"):
        headers = lower(sign("chatwoot", "s1", BODY, NOW))
        del headers[name]
        assert (
            check("chatwoot", Claim(headers, BODY, NOW), ("s1",), age_seconds=DAY).verdict
            == "missing"
        )


@pytest.mark.parametrize("provider", PROVIDERS)
def test_it_is_said_which_secret_fits_and_how_old_the_signature_is(provider: str) -> None:
    def examined(signed_with: str, sent_at: int = NOW) -> Examined:
        signed = lower(sign(provider, signed_with, BODY, sent_at))
        return check(provider, Claim(signed, BODY, NOW), ("s1", "s2"), age_seconds=DAY)

    assert examined("s1", NOW - 10) == Examined("valid", "s1", 10)
    assert examined("s2", NOW + 400) == Examined("ahead", "s2", -400)
    assert examined("s3", NOW - 10) == Examined("mismatch", None, 10)
