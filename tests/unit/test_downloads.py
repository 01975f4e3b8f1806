import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.downloads import (
    META_CDN_SECONDS,
    YCLOUD_KEYED_SECONDS,
    YCLOUD_UNKEYED_SECONDS,
    ForeignHost,
    Way,
    origin,
    ways,
)
from tests.unit.records import media_job

BASE = "https://api.ycloud.com"
LINK = f"{BASE}/v2/whatsapp/media/download/1?sig=x"
KEY = {"X-API-Key": "k-1"}


def test_a_ycloud_file_is_asked_for_with_the_key_without_it_and_by_its_id() -> None:
    assert ways(media_job(url=LINK, media_id="9/9"), api_key="k-1", ycloud_api_base=f"{BASE}/") == (
        Way(LINK, KEY, YCLOUD_KEYED_SECONDS),
        Way(LINK),
        Way(f"{BASE}/v2/whatsapp/media/download/9%2F9", KEY, YCLOUD_KEYED_SECONDS),
    )


def test_without_a_media_id_there_is_no_third_way() -> None:
    link = f"{BASE}/files/1?sig=x"
    assert ways(media_job(url=link), api_key="k-1", ycloud_api_base=BASE) == (
        Way(link, KEY, YCLOUD_KEYED_SECONDS),
        Way(link),
    )


def test_the_id_in_a_link_serves_where_none_was_kept() -> None:
    assert ways(media_job(url=LINK), api_key="k-1", ycloud_api_base=BASE)[2:] == (
        Way(f"{BASE}/v2/whatsapp/media/download/1", KEY, YCLOUD_KEYED_SECONDS),
    )


def test_a_link_that_is_the_durable_form_is_asked_once_with_the_key() -> None:
    durable = f"{BASE}/v2/whatsapp/media/download/9"
    for media_id in ("9", None):
        found = ways(media_job(url=durable, media_id=media_id), api_key="k-1", ycloud_api_base=BASE)
        assert found == (Way(durable, KEY, YCLOUD_KEYED_SECONDS), Way(durable))


@pytest.mark.parametrize(("api_key", "count"), [("k-1", 1), (None, 0)])
def test_a_file_without_a_link_is_asked_for_by_its_id_which_needs_the_key(
    api_key: str | None, count: int
) -> None:
    durable = (Way(f"{BASE}/v2/whatsapp/media/download/9", KEY, YCLOUD_KEYED_SECONDS),)
    assert (
        ways(media_job(url="", media_id="9"), api_key=api_key, ycloud_api_base=BASE)
        == durable[:count]
    )


def test_without_a_key_the_link_is_known_to_die_soon() -> None:
    assert ways(media_job(url=LINK, media_id="9"), api_key=None, ycloud_api_base=BASE) == (
        Way(LINK, {}, YCLOUD_UNKEYED_SECONDS),
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://api.ycloud.com/f",
        "https://api.ycloud.com:8443/f",
        "https://ycloud.com/f",
        "https://files.ycloud.com/f",
    ],
)
def test_the_key_goes_to_no_other_origin(url: str) -> None:
    assert ways(media_job(url=url, media_id="9"), api_key="k-1", ycloud_api_base=BASE) == (
        Way(url),
    )


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
        ways(media_job(url=url, media_id="9"), api_key="k-1", ycloud_api_base=BASE)


def test_a_host_that_a_person_allowed_is_asked_at_its_port_and_without_the_key() -> None:
    url = "http://127.0.0.1:9000/f"
    assert ways(
        media_job(url=url), api_key="k-1", ycloud_api_base=BASE, exempt={("127.0.0.1", 9000)}
    ) == (Way(url),)
    with pytest.raises(ForeignHost):
        ways(media_job(url=url), api_key="k-1", ycloud_api_base=BASE, exempt={("127.0.0.1", 9001)})


def test_what_came_by_the_direct_way_may_lie_anywhere_whatever_provider_it_names() -> None:
    url = "https://files.example.com/f"
    assert ways(
        media_job(url=url, endpoint_id="", media_id="9"), api_key="k-1", ycloud_api_base=BASE
    ) == (Way(url),)


def test_an_api_elsewhere_is_the_providers_own() -> None:
    base = "http://127.0.0.1:9000"
    assert ways(media_job(url=f"{base}/f"), api_key="k-1", ycloud_api_base=base) == (
        Way(f"{base}/f", KEY, YCLOUD_KEYED_SECONDS),
        Way(f"{base}/f"),
    )


@pytest.mark.parametrize(
    "url",
    ["https://API.ycloud.com/f", "https://api.ycloud.com:443/f", "https://user@api.ycloud.com/f"],
)
def test_the_same_origin_in_other_words_is_given_the_key(url: str) -> None:
    assert ways(media_job(url=url), api_key="k-1", ycloud_api_base=BASE)[0].headers == KEY


def test_what_is_asked_for_is_what_was_looked_at() -> None:
    url = f"{BASE}/v2/whatsapp/media/download/%2e%2E/..\\..\\contacts?limit=1#x"
    found = ways(media_job(url=url), api_key="k-1", ycloud_api_base=BASE)
    assert {way.url for way in found} == {f"{BASE}/v2/contacts?limit=1"}


@pytest.mark.parametrize("provider", ["chatwoot", "vetchat"])
def test_another_providers_file_is_never_given_the_key(provider: str) -> None:
    assert ways(
        media_job(provider=provider, url=LINK, media_id="9"), api_key="k-1", ycloud_api_base=BASE
    ) == (Way(LINK),)


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
    assert ways(media_job(provider="chatwoot", url=url), api_key=None, ycloud_api_base=BASE) == (
        Way(url, {}, lifetime_seconds),
    )


@pytest.mark.parametrize("url", ["https://[", "https://h:port/", "ftp:", "https://"])
def test_what_is_no_address_cannot_be_fetched(url: str) -> None:
    assert ways(media_job(url=url), api_key="k-1", ycloud_api_base=BASE) == ()


@given(st.text(max_size=40) | st.text(max_size=20).map(lambda text: f"https://{text}/f"))
def test_whatever_the_link_says_a_request_with_the_key_goes_to_the_providers_origin(
    url: str,
) -> None:
    try:
        found = ways(media_job(url=url, media_id=url), api_key="k-1", ycloud_api_base=BASE)
    except ForeignHost:
        return
    for way in found:
        assert not way.headers or origin(way.url) == origin(BASE)


def test_a_way_does_not_show_its_credentials() -> None:
    assert "k-1" not in repr(Way(LINK, KEY))
