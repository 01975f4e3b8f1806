"""Follows docs/extending.md: a provider that only the tests know, through receiver and dedupe.

tests/integration/test_toy_provider.py does the same with processes, servers and the
sink.
"""

import json
from pathlib import Path

import pytest

from connectors.providers import catalogue
from connectors.providers.samples import SampleMessage
from schemas.arrival import Arrival
from schemas.outcomes import Duplicate, Forward, Quarantine, Skip
from schemas.providers import PROVIDERS
from schemas.records import EnrichedMessage
from schemas.signatures import Claim
from storage.postgres.sql import QUERIES_DIR
from streams.stages.dedupe import dedupe
from tests.unit import receiving
from tests.unit.receiving import Application
from tests.unit.records import NOW
from tests.unit.toy_provider import TELEGRAPH, Telegraph

BODY = json.dumps({"id": "1", "from": "Ana", "line": "7", "said": "hello"}).encode()
TOKEN = "token-T"


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Application:
    monkeypatch.setitem(catalogue.PROVIDERS, "telegraph", Telegraph())
    monkeypatch.setitem(PROVIDERS, "telegraph", TELEGRAPH)
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
    _, key, value, headers = application.log.sent[number]
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


def test_each_provider_has_a_row_of_traits_and_a_file_of_behaviour() -> None:
    assert sorted(catalogue.PROVIDERS) == sorted(PROVIDERS)
    for name, provider in catalogue.PROVIDERS.items():
        assert (PROVIDERS[name].name, provider.name) == (name, name)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_each_provider_reads_the_sample_that_it_signs(name: str) -> None:
    provider, secret = catalogue.PROVIDERS[name], PROVIDERS[name].secret_prefix + "s"
    sample = provider.sample(SampleMessage("hello"))
    assert sample is not None and sample.provider == name
    signed = {
        header.lower(): value
        for header, value in provider.sign(secret, sample.body, int(NOW.timestamp())).items()
    }
    claim = Claim(signed, sample.body, NOW.timestamp())
    examined = provider.check_signature(claim, (secret,), age_seconds=60)
    assert examined is not None and examined.verdict == "valid"
    assert provider.identify(sample.body) == (sample.provider_message_id,)


def test_the_page_shows_the_example_that_is_tested() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "extending.md").read_text()
    assert "tests/unit/toy_provider.py" in page and "tests/unit/test_extending.py" in page


def test_no_statement_names_a_provider() -> None:
    """A statement gets the names from the traits, so that it is also right for a new provider."""
    texts = {file.name: file.read_text().lower() for file in QUERIES_DIR.glob("*.sql")}
    assert [
        (file, name) for file, text in texts.items() for name in PROVIDERS if name in text
    ] == []
