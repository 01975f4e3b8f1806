"""A provider's key may be used only for messages that its endpoint received.

The tests cover every path by which a file is fetched.
"""

from typing import Any

import pytest

from connectors.console.queries import Announced
from connectors.providers import catalogue
from connectors.providers.downloads import DownloadCandidate
from schemas.codec import decode
from schemas.fetching import FileGone
from schemas.keys import TenantId
from schemas.origins import DIRECT, UNRECORDED
from schemas.outcomes import Duplicate, Forward
from schemas.records import EnrichedMessage, Enrichment, MediaJob, RawMessage
from schemas.settings import Settings
from schemas.tenants import Endpoint
from streams.apps.store_media import MediaClients
from streams.roles.console import original_candidates
from streams.settings import read_settings
from streams.stages.dedupe import dedupe
from tests.unit.receiving import ACME, TOKENS, Application
from tests.unit.records import NOW, arrival, body, message, payload

BASE = "https://api.ycloud.com"
CONTACTS = f"{BASE}/v2/contact/contacts?limit=100"
MEDIA = f"{BASE}/v2/whatsapp/media/download/1187236149911342"
KEY = {"X-API-Key": "yk"}
WRITTEN_UNDER_SCHEMA_6 = bytes.fromhex(
    "00000000060861636d652661636d653a79636c6f75643a77616d69642e310c79636c6f75640e77616d69642e312e31"
    "343135353535303132337e313230323535353031343702020200427b2270726f7669646572223a7b226576656e745f"
    "6964223a226576745f31227d7d040280ace8efeaa3ab0680ace8efeaa3ab0680ace8efeaa3ab06000000187261772d"
    "6d6573736167657306520000"
)


class Directory:
    """A directory with the tenant's YCloud endpoint and its key."""

    def is_removed(self, tenant_id: TenantId) -> bool:
        return False

    def endpoint_by_id(self, endpoint_id: str) -> Endpoint | None:
        return ENDPOINT if endpoint_id == ENDPOINT.endpoint_id else None

    def provider_key(self, tenant_id: TenantId, provider: str) -> str | None:
        return "yk" if (tenant_id, provider) == (ACME, "ycloud") else None


ENDPOINT = Endpoint(
    endpoint_id="ep_ycloud",
    token=TOKENS["ycloud"],
    tenant_id=ACME,
    provider="ycloud",
    api_key="yk",
)


@pytest.fixture
def settings() -> Settings:
    return read_settings({"SENSORIUM_SECRETS__KEY": "0" * 43 + "="})


@pytest.fixture
async def world(settings: Settings) -> MediaClients:
    made = MediaClients(settings)
    made.directory = Directory()  # type: ignore[assignment]
    return made


async def received(**fields: Any) -> RawMessage:
    """The raw record of a `POST /chat`."""
    application = Application()
    answer = await application.chat(
        {
            "provider": "ycloud",
            "provider_message_id": "42",
            "conversation_id": "c",
            "sender": {"id": "1"},
            **fields,
        }
    )
    assert answer.status == 202, answer.body
    (raw,) = application.log.records
    return raw


async def delivered() -> RawMessage:
    """The raw record of a signed YCloud delivery with a picture."""
    application = Application()
    event = body(payload("ycloud", "image_link_without_signature.json"))
    assert (await application.deliver("ycloud", event)).status == 200
    (raw,) = application.log.records
    return raw


def forwarded(raw: RawMessage, generation: int = 0) -> tuple[EnrichedMessage, list[MediaJob]]:
    became = dedupe(
        arrival(raw, generation=generation), claimed=set(), read=catalogue.read, now=NOW
    )
    assert isinstance(became, Forward), became
    records = [output.record for output in became.outputs]
    opened = [
        decode(EnrichedMessage, one.snapshot) for one in records if isinstance(one, Enrichment)
    ]
    found = [one for one in records if isinstance(one, EnrichedMessage)]
    assert opened == (found or opened) and len(found) == (0 if generation else 1)
    return opened[0], [one for one in records if isinstance(one, MediaJob)]


@pytest.mark.parametrize("generation", [0, 3], ids=["live", "replay raw"])
@pytest.mark.parametrize("url", [CONTACTS, MEDIA])
async def test_a_chat_that_names_ycloud_is_fetched_without_the_tenants_key(
    url: str, generation: int, world: MediaClients
) -> None:
    raw = await received(media=[{"type": "document", "url": url}])
    found, (job,) = forwarded(raw, generation)
    assert (found.endpoint_id, found.provider, job.endpoint_id) == (DIRECT, "ycloud", "")
    assert list(world.candidates(job)) == [DownloadCandidate(url)]


@pytest.mark.parametrize("generation", [0, 3], ids=["live", "replay raw"])
async def test_a_ycloud_delivery_is_fetched_with_the_key_of_its_endpoint(
    generation: int, world: MediaClients
) -> None:
    found, (job,) = forwarded(await delivered(), generation)
    assert (found.endpoint_id, job.endpoint_id) == ("ep_ycloud", "ep_ycloud")
    ways = world.candidates(job)
    assert (ways[0].url, ways[0].headers) == (MEDIA, KEY)


@pytest.mark.parametrize(
    ("origin", "url", "headers"),
    [
        ("ep_ycloud", MEDIA, KEY),
        ("ep_removed", MEDIA, KEY),
        (UNRECORDED, MEDIA, KEY),
        (DIRECT, MEDIA, {}),
        (DIRECT, CONTACTS, {}),
        ("ep_ycloud", CONTACTS, {}),
        (UNRECORDED, CONTACTS, {}),
    ],
)
def test_the_consoles_proxy_asks_in_the_name_of_the_recorded_endpoint(
    origin: str, url: str, headers: dict[str, str], settings: Settings
) -> None:
    ways = original_candidates(Directory(), settings, ACME, Announced("ycloud", origin), url)
    assert (ways[0].url, ways[0].headers) == (url, headers)


def test_the_proxy_gives_no_key_of_another_tenant(settings: Settings) -> None:
    announced = Announced("ycloud", "ep_ycloud")
    (way,) = original_candidates(Directory(), settings, TenantId("other"), announced, MEDIA)
    assert way == DownloadCandidate(MEDIA)


def test_honest_files_of_a_chat_that_names_a_provider_may_lie_anywhere(settings: Settings) -> None:
    url = "https://files.example.com/1.jpg"
    assert original_candidates(Directory(), settings, ACME, Announced("ycloud", DIRECT), url) == (
        DownloadCandidate(url),
    )
    with pytest.raises(FileGone, match="media_refused_address"):
        original_candidates(Directory(), settings, ACME, Announced("ycloud", "ep_ycloud"), url)


async def test_a_chat_with_a_known_wamid_does_not_claim_the_providers_message() -> None:
    real = await delivered()
    wamid = real.message_key.split(":", 2)[2]
    forged = await received(provider_message_id=wamid, text="hola")
    assert forged.message_key == f"acme:ycloud:direct/{wamid}" != real.message_key


def test_a_message_of_the_earlier_schema_has_no_endpoint() -> None:
    assert decode(EnrichedMessage, WRITTEN_UNDER_SCHEMA_6) == message()


async def test_a_chat_that_names_chatwoot_cannot_open_its_message_again() -> None:
    first = await received(provider="chatwoot", text="hola")
    claimed = set(_forward(first).claims)
    again = await received(
        provider="chatwoot", text="hola", media=[{"type": "image", "url": "https://a.example/1"}]
    )
    assert isinstance(
        dedupe(arrival(again), claimed=claimed, read=catalogue.read, now=NOW), Duplicate
    )


def _forward(raw: RawMessage) -> Forward:
    became = dedupe(arrival(raw), claimed=set(), read=catalogue.read, now=NOW)
    assert isinstance(became, Forward)
    return became
