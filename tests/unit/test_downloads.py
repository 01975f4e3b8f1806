import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.catalogue import download_candidates
from connectors.providers.downloads import (
    META_CDN_SECONDS,
    SENDER,
    Authority,
    DownloadCandidate,
    ForeignHost,
    authority,
    origin,
)
from connectors.providers.ycloud_links import KEYED_SECONDS, UNKEYED_SECONDS
from schemas.keys import TenantId
from schemas.origins import DIRECT, UNRECORDED, origin_of
from schemas.settings import Providers, Ycloud
from schemas.tenants import Endpoint
from schemas.web_address import web_address

BASE = "https://api.ycloud.com"
LINK = f"{BASE}/v2/whatsapp/media/download/1?sig=x"
KEY = {"X-API-Key": "k-1"}


def ways(
    url: str,
    media_id: str | None = None,
    *,
    provider: str | None = "ycloud",
    api_key: str | None = "k-1",
    base: str = BASE,
    exempt: set[tuple[str, int]] = set(),  # noqa: B006  it is only read
) -> tuple[DownloadCandidate, ...]:
    return download_candidates(
        url, media_id, Authority(provider, api_key), Providers(ycloud=Ycloud(api_base=base)), exempt
    )


def test_a_ycloud_file_is_asked_for_with_the_key_without_it_and_by_its_id() -> None:
    assert ways(LINK, "9", base=f"{BASE}/") == (
        DownloadCandidate(LINK, KEY, KEYED_SECONDS),
        DownloadCandidate(LINK),
        DownloadCandidate(f"{BASE}/v2/whatsapp/media/download/9", KEY, KEYED_SECONDS),
    )


def test_the_id_in_a_link_serves_where_none_was_kept() -> None:
    assert ways(LINK)[2:] == (
        DownloadCandidate(f"{BASE}/v2/whatsapp/media/download/1", KEY, KEYED_SECONDS),
    )


def test_a_link_that_is_the_durable_form_is_asked_once_with_the_key() -> None:
    durable = f"{BASE}/v2/whatsapp/media/download/9"
    for media_id in ("9", None):
        assert ways(durable, media_id) == (
            DownloadCandidate(durable, KEY, KEYED_SECONDS),
            DownloadCandidate(durable),
        )


@pytest.mark.parametrize(("api_key", "count"), [("k-1", 1), (None, 0)])
def test_a_file_without_a_link_is_asked_for_by_its_id_which_needs_the_key(
    api_key: str | None, count: int
) -> None:
    durable = (DownloadCandidate(f"{BASE}/v2/whatsapp/media/download/9", KEY, KEYED_SECONDS),)
    assert ways("", "9", api_key=api_key) == durable[:count]


def test_without_a_key_the_link_is_known_to_die_soon() -> None:
    assert ways(LINK, "9", api_key=None) == (DownloadCandidate(LINK, {}, UNKEYED_SECONDS),)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.ycloud.com/v2/whatsapp/media/download/1",
        "https://api.ycloud.com:8443/v2/whatsapp/media/download/1",
        "https://ycloud.com/f",
        "https://files.ycloud.com/v2/whatsapp/media/download/1",
    ],
)
def test_the_key_goes_to_no_other_origin(url: str) -> None:
    assert ways(url) == (DownloadCandidate(url),)


MEDIA = "/v2/whatsapp/media/download/"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/files/1?sig=x",
        "/v2/contact/contacts?limit=100",
        "/v2/whatsapp/media/upload",
        "/v2/whatsapp/media/downloads/1",
        "/v2/whatsapp/messages/1",
        f"{MEDIA}",
        f"{MEDIA}1/2",
        f"{MEDIA}../../../contact/contacts",
        f"{MEDIA}..",
        f"{MEDIA}.",
        f"{MEDIA}%2e%2e/%2e%2e/contact/contacts",
        f"{MEDIA}..%2F..%2Fcontact",
        f"{MEDIA}1%2F..%2F..%2Fcontact",
        f"{MEDIA}1%5c..%5ccontact",
        f"{MEDIA}1\\..\\contact",
        f"{MEDIA}1;x=/../contact",
        f"{MEDIA}1\t",
        f"{MEDIA}1\n/../../contact",
        f"{MEDIA}ñ",
        "/v2//whatsapp/media/download/1",
        f"/x/..{MEDIA}1",
        "//v2/whatsapp/media/download/1",
        "/V2/WhatsApp/media/download/1",
        f"{MEDIA}1#/../contact",
    ],
)
def test_no_other_path_of_the_api_is_asked_with_the_key(path: str) -> None:
    assert [way.headers for way in ways(f"{BASE}{path}")] == [{}]


@pytest.mark.parametrize(
    "query",
    ["?limit=100", "?sig=x&_method=DELETE", "?sig=x;path=/v2/contact", "?sig=\\", "?sig=x y"],
)
def test_a_media_link_with_a_strange_query_is_asked_without_the_key_and_its_id_with_it(
    query: str,
) -> None:
    durable = f"{BASE}{MEDIA}1"
    assert ways(durable + query) == (
        DownloadCandidate(web_address(durable + query).href),
        DownloadCandidate(durable, KEY, KEYED_SECONDS),
    )


@pytest.mark.parametrize(
    "media_id", ["9/9", "..", ".", "a/../b", "9%2F9", "a\\b", "ñ", "1?x", "1#x"]
)
def test_an_id_that_may_be_read_as_a_path_is_not_asked_for(media_id: str) -> None:
    assert ways("", media_id) == ()


@pytest.mark.parametrize(
    "url",
    [
        "https://api.ycloud.com.evil.example/f",
        "https://evil.example/api.ycloud.com",
        "https://api.ycloud.com@evil.example/f",
        "https://evil.example\\@api.ycloud.com/f",
        "https://evil.example#@api.ycloud.com/",
        "https://API.YCLOUD.COM.evil.example/f",
        "https://notycloud.com/f",
        "https://93.184.216.34/f",
        "http://127.0.0.1:9000/f",
    ],
)
def test_another_host_is_asked_for_nothing(url: str) -> None:
    with pytest.raises(ForeignHost):
        ways(url, "9")


def test_a_host_that_a_person_allowed_is_asked_at_its_port_and_without_the_key() -> None:
    url = "http://127.0.0.1:9000/v2/whatsapp/media/download/1"
    assert ways(url, exempt={("127.0.0.1", 9000)}) == (DownloadCandidate(url),)
    with pytest.raises(ForeignHost):
        ways(url, exempt={("127.0.0.1", 9001)})


def test_what_has_its_senders_authority_may_lie_anywhere_and_is_given_no_key() -> None:
    for url in ("https://files.example.com/f", LINK, f"{BASE}/v2/contact/contacts?limit=100"):
        assert download_candidates(url, "9", SENDER, Providers()) == (DownloadCandidate(url),)


def test_an_api_elsewhere_is_the_providers_own() -> None:
    for base in ("http://127.0.0.1:9000", "https://proxy.example.com/ycloud/"):
        url = f"{base.rstrip('/')}{MEDIA}1"
        assert ways(url, base=base) == (
            DownloadCandidate(url, KEY, KEYED_SECONDS),
            DownloadCandidate(url),
        )


@pytest.mark.parametrize("host", ["https://API.ycloud.com", "https://api.ycloud.com:443"])
def test_the_same_origin_in_other_words_is_given_the_key(host: str) -> None:
    assert ways(f"{host}{MEDIA}1")[0].headers == KEY


def test_a_user_name_in_the_address_costs_the_key() -> None:
    url = f"https://user@api.ycloud.com{MEDIA}1"
    assert [way.headers for way in ways(url)] == [{}]


def test_what_is_asked_for_is_what_was_looked_at() -> None:
    url = f"{BASE}/v2/whatsapp/media/download/%2e%2E/..\\..\\contacts?limit=1#x"
    assert {way.url for way in ways(url)} == {f"{BASE}/v2/contacts?limit=1"}


@pytest.mark.parametrize("provider", ["chatwoot", "vetchat"])
def test_another_providers_file_is_never_given_the_key(provider: str) -> None:
    assert ways(LINK, "9", provider=provider) == (DownloadCandidate(LINK),)


@pytest.mark.parametrize(
    ("url", "lifetime_seconds"),
    [
        ("https://lookaside.fbsbx.com/ig?asset_id=1", META_CDN_SECONDS),
        ("https://scontent.xx.fbcdn.net/v/1", META_CDN_SECONDS),
        ("https://scontent.cdninstagram.com/v/1", META_CDN_SECONDS),
        ("https://notfbcdn.net/v/1", None),
        ("https://chat.example.com/rails/active_storage/x", None),
    ],
)
def test_a_link_into_metas_cdn_does_not_last(url: str, lifetime_seconds: float | None) -> None:
    assert ways(url, provider="chatwoot") == (DownloadCandidate(url, {}, lifetime_seconds),)


@pytest.mark.parametrize("url", ["https://[", "https://h:port/", "ftp:", "https://"])
def test_what_is_not_an_address_cannot_be_fetched(url: str) -> None:
    assert ways(url) == ()


@given(
    st.text(max_size=40)
    | st.text(max_size=20).map(lambda text: f"https://{text}/f")
    | st.text(max_size=20).map(lambda text: f"{BASE}{MEDIA}{text}"),
    st.text(max_size=20),
)
def test_whatever_the_link_says_a_request_with_the_key_goes_to_the_providers_media_path(
    url: str, media_id: str
) -> None:
    try:
        found = ways(url, media_id)
    except ForeignHost:
        return
    for way in found:
        if way.headers:
            assert origin(way.url) == origin(BASE)
            path = way.url.partition("?")[0].lower().removeprefix(BASE)
            name = path.removeprefix(MEDIA)
            assert path.startswith(MEDIA) and name.isascii()
            assert not set(name.removesuffix("/")) & set("/\\%;#\t\n ") and not name.startswith(".")


def test_credentials_are_not_shown() -> None:
    assert "k-1" not in repr(DownloadCandidate(LINK, KEY)) + repr(Authority("ycloud", "k-1"))


# --- in whose name


ACME = TenantId("acme")


class Known:
    """Endpoints by id. The key of a provider is that of any of its tenant's endpoints."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self.by_id = {endpoint.endpoint_id: endpoint for endpoint in endpoints}

    def endpoint_by_id(self, endpoint_id: str) -> Endpoint | None:
        return self.by_id.get(endpoint_id)

    def provider_key(self, tenant_id: TenantId, provider: str) -> str | None:
        return next(
            (
                one.api_key
                for one in self.by_id.values()
                if (one.tenant_id, one.provider) == (tenant_id, provider) and one.api_key
            ),
            None,
        )


def endpoint(
    name: str, provider: str = "ycloud", tenant: str = "acme", key: str | None = None
) -> Endpoint:
    return Endpoint(
        endpoint_id=name, token=name, tenant_id=TenantId(tenant), provider=provider, api_key=key
    )


KNOWN = Known(
    endpoint("ep-1", key="k-1"),
    endpoint("ep-2"),
    endpoint("ep-3", provider="chatwoot"),
    endpoint("ep-4", tenant="other", key="k-4"),
)


@pytest.mark.parametrize(
    ("provider", "endpoint_id", "given_"),
    [
        ("ycloud", "ep-1", Authority("ycloud", "k-1")),
        ("ycloud", "ep-2", Authority("ycloud", "k-1")),
        ("ycloud", "ep-removed", Authority("ycloud", "k-1")),
        ("ycloud", UNRECORDED, Authority("ycloud", "k-1")),
        ("chatwoot", "ep-3", Authority("chatwoot", None)),
        ("ycloud", "", SENDER),
        ("ycloud", DIRECT, SENDER),
        ("ycloud", "ep-3", SENDER),
        ("ycloud", "ep-4", SENDER),
    ],
)
def test_the_endpoint_decides_in_whose_name_a_file_is_fetched(
    provider: str, endpoint_id: str, given_: Authority
) -> None:
    assert authority(KNOWN, ACME, provider, endpoint_id) == given_


@pytest.mark.parametrize(
    ("endpoint_id", "provider", "attributes", "origin_"),
    [
        ("ep-1", "ycloud", {}, "ep-1"),
        (DIRECT, "ycloud", {"event_type": "whatsapp.inbound_message.received"}, DIRECT),
        (None, "ycloud", {"event_type": "whatsapp.inbound_message.received"}, UNRECORDED),
        (None, "ycloud", {"conversation_id": "c"}, DIRECT),
        (None, "vetchat", {"event_type": "x"}, DIRECT),
        (None, "chatwoot", {"event": "message_created"}, DIRECT),
    ],
)
def test_a_row_without_an_endpoint_counts_as_direct_unless_it_holds_a_proof(
    endpoint_id: str | None, provider: str, attributes: dict[str, str], origin_: str
) -> None:
    assert origin_of(endpoint_id, provider, attributes) == origin_
