"""The one parser of web addresses, which follows the URL Standard as browsers do.

If two parsers disagree about where the host ends, a stranger can choose which host is
checked and which one is requested. So every part of an address is taken from here.
https://url.spec.whatwg.org, implemented by Ada, the parser of Node.js.
"""

from dataclasses import dataclass

from ada_url import URL

from schemas.errors import SchemasError

_PORTS = {"https": 443, "http": 80}


class NotAnAddress(SchemasError, ValueError):
    """The text is not an http or https address."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """An address in its canonical form, in ASCII only.

    `host` is in lower case and has no brackets; a name in another script is in
    punycode, and an IPv4 address in any notation becomes four decimal numbers. `target`
    is the path and query to request: characters that are not allowed there are
    percent-encoded, and existing encodings stay unchanged.
    """

    href: str
    scheme: str
    host: str
    port: int
    path: str
    query: str
    has_userinfo: bool

    @property
    def target(self) -> str:
        return self.path + self.query

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


def web_address(text: str, base: WebAddress | None = None) -> WebAddress:
    """The address in `text`, resolved against `base` if that is set. Raises NotAnAddress.

    The fragment is removed, because it is never sent.
    """
    try:
        url = URL(text, base=base.href if base is not None else None)
        url.hash = ""
        scheme = url.protocol.removesuffix(":")
        port = int(url.port or _PORTS[scheme])
    except (
        ValueError,
        KeyError,
    ):  # a lone surrogate is a UnicodeEncodeError, which is a ValueError
        raise NotAnAddress(f"{len(text)} characters that are not an http address") from None
    return WebAddress(
        href=url.href,
        scheme=scheme,
        host=url.hostname.strip("[]"),
        port=port,
        path=url.pathname,
        query=url.search,
        has_userinfo=bool(url.username or url.password),
    )
