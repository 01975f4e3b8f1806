from pathlib import Path

import pytest

from connectors.providers.adapter import link
from connectors.providers.direct import validate
from schemas.web_address import web_address

FIELD = Path(__file__).parents[1] / "field/addresses-with-spaces-and-accents/addresses.txt"
WRITTEN = [
    line.replace("{MEDIA}", "https://files.test")
    for line in FIELD.read_text().splitlines()
    if line.startswith("{MEDIA}")
]


@pytest.mark.parametrize(
    "url",
    [*WRITTEN, "HTTPS://files.test/a;b|c[d]#e", "https:\\\\files.test\\a", "http://ñandú.test/"],
)
def test_an_address_as_people_write_it_is_taken_and_stays_as_it_was_written(url: str) -> None:
    assert link({"url": url}, "url") == url
    assert link({"url": f" \t{url}\r\n"}, "url") == url
    assert web_address(url).href.isascii()
    body = {
        "provider": "crm",
        "provider_message_id": "1",
        "conversation_id": "c",
        "sender": {"id": "s"},
    }
    assert validate({**body, "media": [{"type": "image", "url": url}]}) == []


@pytest.mark.parametrize(
    "url", ["", "files.test/a", "//files.test/a", "ftp://files.test/", "javascript:alert(1)", "data:,x", "file:///x", "https://" + "x" * 9_000, 1, None, {}]
)  # fmt: skip
def test_what_does_not_begin_as_an_address_is_none(url: object) -> None:
    assert link({"url": url}, "url") is None
