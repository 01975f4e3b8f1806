import json

import pytest

from connectors.providers.catalogue import sign
from connectors.providers.signature_check import (
    SHOWN_DIGITS,
    CheckedStep,
    Pasted,
    checked,
    pasted,
)
from schemas.keys import TenantId
from schemas.tenants import Endpoint, secret_id
from streams.local.samples import chatwoot, ycloud

NOW = 1_800_000_000
AGE = 86_400.0
SECRET = "whsec_one"


def found_in(
    delivery: Pasted, live: tuple[str, ...] = (SECRET,), provider: str = "ycloud", now: float = NOW
) -> list[CheckedStep]:
    endpoint = Endpoint(
        endpoint_id="ep_1", token="t", tenant_id=TenantId("acme"), provider=provider, secrets=live
    )
    return checked(endpoint, delivery, now=now, age_seconds=AGE)


def steps(
    provider: str = "ycloud",
    *,
    body: str | None = None,
    at: int = NOW,
    secret: str = SECRET,
    live: tuple[str, ...] = ("whsec_two", SECRET),
    drop: str = "",
    shown: str | None = None,
) -> list[CheckedStep]:
    """The results for a sample that was signed at a moment. `shown` is pasted instead of the body."""
    make = chatwoot if provider == "chatwoot" else ycloud
    sent = body if body is not None else make("hi", None, what="x").body.decode()
    headers = sign(provider, secret, sent.encode(), at)
    lines = "\n".join(f"> {name}: {value}" for name, value in headers.items() if name != drop)
    delivery = pasted(lines, sent if shown is None else shown)
    return found_in(delivery, live, provider, NOW + 5)


def words(found: list[CheckedStep]) -> list[str]:
    return [("" if one.is_good else "-") + one.word.removeprefix("check.") for one in found]


@pytest.mark.parametrize("provider", ["ycloud", "chatwoot"])
def test_a_right_delivery_passes_every_step_and_names_its_secret(provider: str) -> None:
    found = steps(provider)
    headers = ["header", "header"] if provider == "chatwoot" else ["header"]
    assert words(found) == [*headers, "age", "fits", "json", "ids"]
    fits = next(one for one in found if one.word == "check.fits")
    assert fits.values == {"secret": secret_id("ep_1", SECRET)}


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"drop": "YCloud-Signature"}, "-no_header"),
        ({"at": NOW - 90_000}, "-expired"),
        ({"at": NOW + 900}, "-ahead"),
        ({"secret": "whsec_other"}, "-mismatch"),
        ({"live": ()}, "-no_secret"),
        ({"body": "[1]"}, "-not_an_object"),
        ({"body": "{"}, "-not_json"),
        ({"body": '{"type": "x"}'}, "-no_id"),
    ],
)
def test_the_step_that_fails_is_named(wrong: dict[str, object], word: str) -> None:
    assert word in words(steps(**wrong))  # type: ignore[arg-type]


def test_a_header_of_another_form_is_told_from_a_missing_one() -> None:
    delivery = pasted("YCloud-Signature: sha256=abc", "{}")
    found = found_in(delivery)
    assert words(found)[:2] == ["header", "-malformed"]


@pytest.mark.parametrize(
    ("sent", "shown", "word"),
    [
        ('{"id":"a"}', '{"id":"a"}\r\n', "body_without_last_line_end"),
        ('{"id":"a"}\n', '{"id":"a"}', "body_with_line_end"),
        ('{"id":\r\n"a"}', '{"id":\r\n"a"}', "body_with_crlf"),
        ('{"id":\n"a"}', '{"id":\r\n"a"}', "fits"),
    ],
)
def test_what_a_form_or_a_copy_did_to_the_ends_of_lines_is_seen_through(
    sent: str, shown: str, word: str
) -> None:
    assert word in words(steps(body=sent, shown=shown))


def test_a_mismatch_shows_the_beginning_of_the_digests_and_nothing_to_sign_with() -> None:
    found = [one for one in steps(secret="whsec_other") if one.word == "check.mismatch"]
    assert len(found) == 2  # one for each live secret
    for one in found:
        assert len(str(one.values["made"])) == len(str(one.values["given"])) == SHOWN_DIGITS
        assert SECRET not in str(one.values) and "whsec_two" not in str(one.values)


def test_headers_are_read_as_tools_print_them() -> None:
    text = '< YCloud-Signature: t=1,s=2\n"x-request-id": "7",\nnothing\nYCLOUD-SIGNATURE: later'
    assert pasted(text, "").headers == {"ycloud-signature": "t=1,s=2", "x-request-id": "7"}


def test_a_body_that_is_nested_too_deeply_does_not_crash() -> None:
    deep = "[" * 100_000
    found = found_in(pasted("", deep))
    assert "-not_json" in words(found)
    assert json.dumps(found[-1].values)
