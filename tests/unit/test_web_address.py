import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.web_address import NotAnAddress, web_address

CANONICAL = [
    ("https://files.test", "https://files.test/"),
    ("https://files.test/Foto de perfil.jpg", "https://files.test/Foto%20de%20perfil.jpg"),
    ("https://files.test/Menú año.jpg", "https://files.test/Men%C3%BA%20a%C3%B1o.jpg"),
    ("https://files.test/plano.jpg?nombre=José", "https://files.test/plano.jpg?nombre=Jos%C3%A9"),
    ("https://files.test/a%20b%C3%B1%2F%zz%", "https://files.test/a%20b%C3%B1%2F%zz%"),
    ("https://files.test/a;v=1/b;c?d;e", "https://files.test/a;v=1/b;c?d;e"),
    ("https://files.test/a|b[c]", "https://files.test/a|b[c]"),
    ('https://files.test/"<>`{}', "https://files.test/%22%3C%3E%60%7B%7D"),
    ("https://files.test/a#b?c", "https://files.test/a"),
    ("https://files.test\\a\\b", "https://files.test/a/b"),
    ("https://files.test/a\r\n\tb", "https://files.test/ab"),
    ("\n https://files.test/a \t", "https://files.test/a"),
    ("https://files.test/a/../b/%2e%2E/c/./d", "https://files.test/c/d"),
    ("https://files.test?a", "https://files.test/?a"),
    ("HTTPS://FILES.test:443/A", "https://files.test/A"),
    ("http://files.test:80/", "http://files.test/"),
    ("https://ñandú.test/", "https://xn--and-6ma2c.test/"),
    ("https://ｆｉｌｅｓ。test/", "https://files.test/"),
    ("https://0x7f.1/", "https://127.0.0.1/"),
    ("https://2130706433/", "https://127.0.0.1/"),
    ("https://[::FFFF:127.0.0.1]:8443/", "https://[::ffff:7f00:1]:8443/"),
    ("https://files.test/😀", "https://files.test/%F0%9F%98%80"),
]


@pytest.mark.parametrize(("text", "href"), CANONICAL)
def test_an_address_is_read_as_a_browser_reads_it(text: str, href: str) -> None:
    assert web_address(text).href == href


@pytest.mark.parametrize("href", [href for _, href in CANONICAL])
def test_a_canonical_address_is_not_encoded_twice(href: str) -> None:
    assert web_address(href).href == href


@pytest.mark.parametrize(
    "text",
    [
        "", "files.test/a", "//files.test/a", "https://", "https://[::1/", "https://files.test:x/", "https://files.test:99999/", "https://a b/",
        "https://a%00b/", "https://a%2fb/", "https://[1.2.3.4]/", "https://1.2.3.4.5/", "ftp://files.test/", "file:///etc/passwd", "javascript:alert(1)",
        "data:,x", "mailto:a@files.test", "https://files.test/\ud800",
    ],
)  # fmt: skip
def test_what_no_browser_would_ask_over_http_is_not_an_address(text: str) -> None:
    with pytest.raises(NotAnAddress):
        web_address(text)


def test_the_parts_of_an_address_are_what_is_dialled_and_asked_for() -> None:
    address = web_address("https://[::FFFF:1.2.3.4]:8443/a b?c=ñ#d")
    assert (address.scheme, address.host, address.port, address.target, address.authority) == (
        "https",
        "::ffff:102:304",
        8443,
        "/a%20b?c=%C3%B1",
        "[::ffff:102:304]:8443",
    )
    assert web_address("https://files.test/").authority == "files.test"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://evil.test\\@api.ycloud.com/f", "evil.test"),
        ("https://evil.test#@api.ycloud.com/f", "evil.test"),
        ("https://evil.test?@api.ycloud.com/f", "evil.test"),
        ("https://api.ycloud.com\\.evil.test/f", "api.ycloud.com"),
        ("https://api.ycloud.com@evil.test/f", "evil.test"),
        ("https:evil.test/f", "evil.test"),
    ],
)
def test_a_host_that_looks_like_another_is_the_one_a_browser_would_dial(
    text: str, host: str
) -> None:
    assert web_address(text).host == host


@pytest.mark.parametrize(
    ("location", "href"),
    [
        ("/b", "https://files.test/b"),
        ("b c", "https://files.test/x/b%20c"),
        ("?d", "https://files.test/x/y?d"),
        ("../../b", "https://files.test/b"),
        ("//other.test/b", "https://other.test/b"),
        ("\\\\other.test\\b", "https://other.test/b"),
        ("https:b", "https://files.test/x/b"),
        ("", "https://files.test/x/y?a"),
    ],
)
def test_a_redirect_leads_where_a_browser_would_go(location: str, href: str) -> None:
    assert web_address(location, web_address("https://files.test/x/y?a")).href == href


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda text: f"https://files.test/{text}"))
def test_whatever_the_text_the_request_line_is_one_line_of_ascii(text: str) -> None:
    try:
        address = web_address(text)
    except NotAnAddress:
        return
    line = address.target + address.authority
    assert line.isascii() and line.isprintable() and " " not in line
    assert web_address(address.href) == address
