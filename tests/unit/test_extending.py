"""docs/extending.md, executed: a provider that only the tests know goes through receiver and dedupe."""

import json
from pathlib import Path

import pytest

from connectors.providers import catalogue
from connectors.webhooks import signatures
from connectors.webhooks.signatures import Claim, Examined
from schemas.outcomes import Duplicate, Forward, Quarantine, Skip
from schemas.records import EnrichedMessage
from streams.stages.arrival import Arrival
from streams.stages.dedupe import dedupe
from tests.unit import receiving
from tests.unit.receiving import Application
from tests.unit.records import NOW
from tests.unit.toy_provider import Telegraph

BODY = json.dumps({"id": "1", "from": "Ana", "line": "7", "said": "hello"}).encode()
TOKEN = "token-T"


def check_telegraph(claim: Claim, secrets: tuple[str, ...], *, age_seconds: float) -> Examined:
    """`X-Telegraph-Key` holds the secret itself."""
    given = claim.headers.get("x-telegraph-key")
    if given is None:
        return Examined("missing")
    return Examined("valid", given) if given in secrets else Examined("mismatch")


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Application:
    monkeypatch.setitem(catalogue.PROVIDERS, "telegraph", Telegraph())
    monkeypatch.setitem(signatures.CHECKS, "telegraph", check_telegraph)
    monkeypatch.setitem(receiving.TOKENS, "telegraph", TOKEN)
    made = Application()
    assert made.directory.endpoint(TOKEN) is not None
    return made


async def post(application: Application, body: bytes, secret: str = "whsec_one") -> int:
    answer = await application.request(
        "POST", f"/webhooks/telegraph/{TOKEN}", body, {"x-telegraph-key": secret}
    )
    return answer.status


def arrived(application: Application, number: int = -1) -> Arrival:
    _, key, value, headers, _ = application.log.sent[number]
    return Arrival("raw-messages", 0, len(application.log.sent), key, value, headers)


async def test_a_provider_that_is_registered_goes_through_receiver_and_dedupe(
    application: Application,
) -> None:
    assert await post(application, BODY) == 200
    arrival = arrived(application)
    assert arrival.key == b"acme:telegraph:1"
    became = dedupe(arrival, claimed=(), read=catalogue.read, now=NOW)
    assert isinstance(became, Forward)
    first = became.outputs[0].record
    assert isinstance(first, EnrichedMessage)
    assert (first.message_key, first.conversation_id, first.content, first.status) == (
        "acme:telegraph:1",
        "7",
        "hello",
        "complete",
    )
    again = dedupe(arrival, claimed=set(became.claims), read=catalogue.read, now=NOW)
    assert isinstance(again, Duplicate)


async def test_its_signature_is_checked(application: Application) -> None:
    assert await post(application, BODY, secret="wrong") == 401
    assert application.log.sent == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"not JSON", Quarantine),
        (b'{"line": "7", "said": "x"}', Quarantine),
        (b'{"id": "2", "said": "x"}', Quarantine),
        (b'{"id": "2", "line": "7"}', Skip),
    ],
)
async def test_what_it_cannot_read_is_a_verdict_and_never_an_error(
    application: Application, body: bytes, expected: type
) -> None:
    assert await post(application, body) == 200
    assert isinstance(
        dedupe(arrived(application), claimed=(), read=catalogue.read, now=NOW), expected
    )


def test_the_page_shows_the_example_that_is_tested() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "extending.md").read_text()
    assert "tests/unit/toy_provider.py" in page and "tests/unit/test_extending.py" in page
