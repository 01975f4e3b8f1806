"""Which requests may give a file. A provider's key goes to its media path on its own origin only."""

import re
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl

from schemas.keys import TenantId
from schemas.origins import DIRECT
from schemas.tenants import Endpoint
from schemas.web_address import NotAnAddress, web_address

YCLOUD_KEYED_SECONDS = 30 * 86_400.0
YCLOUD_UNKEYED_SECONDS = 600.0
META_CDN_SECONDS = 3_600.0
_META_CDN = (".fbsbx.com", ".fbcdn.net", ".cdninstagram.com")
_DOWNLOADS = "/v2/whatsapp/media/download/"
_MEDIA_ID = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9_=.-]{0,255}")
"""An id that stays one segment of a path however a server decodes it."""
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(/[^?#]*)(?:\?([^#]*))?")
_QUERY = re.compile(r"[A-Za-z0-9%._~+/=&-]*")
_SIGNATURE_PARAMETERS = frozenset({"sig", "payload"})


class ForeignHost(Exception):
    """The link leads to a host that is not its provider's: it is not asked for anything."""


class Endpoints(Protocol):
    """The endpoints of all tenants, as the directory knows them."""

    def endpoint_by_id(self, endpoint_id: str) -> Endpoint | None: ...
    def provider_key(self, tenant_id: TenantId, provider: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Authority:
    """In whose name a file is fetched: a provider's, with the tenant's key for it, or the sender's.

    `provider` is None for the sender's. Then links are fetched as they are and no key is sent.
    """

    provider: str | None = None
    api_key: str | None = field(default=None, repr=False)


SENDER = Authority()


def authority(
    endpoints: Endpoints, tenant_id: TenantId, provider: str, endpoint_id: str
) -> Authority:
    """The authority over the files of a message that came in by `endpoint_id`.

    `provider` alone gives none, because `POST /chat` lets its sender choose that name. The key of a
    removed endpoint is replaced by another key that the tenant has for the same provider.
    """
    if endpoint_id in ("", DIRECT):
        return SENDER
    endpoint = endpoints.endpoint_by_id(endpoint_id)
    if endpoint is None:
        return Authority(provider, endpoints.provider_key(tenant_id, provider))
    if endpoint.tenant_id != tenant_id or endpoint.provider != provider:
        return SENDER
    return Authority(provider, endpoint.api_key or endpoints.provider_key(tenant_id, provider))


@dataclass(frozen=True, slots=True)
class DownloadCandidate:
    """One request. `lifetime_seconds`: how long the link is known to work after the message; None: no end is known."""

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    lifetime_seconds: float | None = None


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port. Raises NotAnAddress."""
    return web_address(url).origin


def ways_to(
    url: str,
    media_id: str | None,
    authority: Authority,
    ycloud_api_base: str,
    exempt: Set[tuple[str, int]] = frozenset(),
) -> tuple[DownloadCandidate, ...]:
    """The requests to try, in order. `exempt`: (host, port) pairs a person allowed, whosever they are. Raises ForeignHost.

    YCloud: the link with the key, once without it (a keyed request was seen refused where a plain
    one passed), then the durable form by media id, which outlives the link and serves without one.
    A Chatwoot server has a host of the tenant's own and hands on links of others, and what comes by
    `POST /chat` may come from anywhere: neither has a list of hosts.
    """
    try:
        # in its canonical form, so that what is decided here is decided about what will be asked for
        asked = web_address(url).href if url else ""
    except NotAnAddress:
        return ()
    if authority.provider == "ycloud":
        found, is_media_link = _media_link(url, ycloud_api_base)
        key = authority.api_key
        durable = _durable(media_id or found, key, ycloud_api_base)
        if not asked:
            return durable
        return _ycloud(asked, key, is_media_link, durable, ycloud_api_base, exempt)
    url = asked
    if not url:
        return ()
    host = origin(url)[1]
    return (
        DownloadCandidate(
            url, lifetime_seconds=META_CDN_SECONDS if host.endswith(_META_CDN) else None
        ),
    )


def _ycloud(
    url: str,
    api_key: str | None,
    is_media_link: bool,
    durable: tuple[DownloadCandidate, ...],
    api_base: str,
    exempt: Set[tuple[str, int]],
) -> tuple[DownloadCandidate, ...]:
    base = origin(api_base)
    here = origin(url)
    if here == base:
        if api_key is None:
            return (DownloadCandidate(url, lifetime_seconds=YCLOUD_UNKEYED_SECONDS),)
        keyed = (
            (DownloadCandidate(url, {"X-API-Key": api_key}, YCLOUD_KEYED_SECONDS),)
            if is_media_link
            else ()
        )
        return (*keyed, DownloadCandidate(url), *(way for way in durable if way.url != url))
    if (
        here[1] not in ("ycloud.com", base[1])
        and not here[1].endswith(".ycloud.com")
        and here[1:] not in exempt
    ):
        raise ForeignHost
    return (DownloadCandidate(url),)


def _media_link(url: str, api_base: str) -> tuple[str | None, bool]:
    """The file's id in a link to the media path, and whether the link may be given the key.

    The text is matched as the sender wrote it: dot segments, encoded slashes, user names, control
    characters and parameters that no media link has must not reach the API in the tenant's name.
    """
    address = _ADDRESS.fullmatch(url)
    if address is None or origin(url) != origin(api_base):
        return None, False
    path, query = address.groups(default="")
    prefix = web_address(api_base).path.rstrip("/") + _DOWNLOADS
    media_id = path.removeprefix(prefix).removesuffix("/")
    if not path.startswith(prefix) or not _MEDIA_ID.fullmatch(media_id):
        return None, False
    names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    return media_id, bool(_QUERY.fullmatch(query)) and names <= _SIGNATURE_PARAMETERS


def _durable(
    media_id: str | None, api_key: str | None, api_base: str
) -> tuple[DownloadCandidate, ...]:
    if media_id is None or api_key is None or not _MEDIA_ID.fullmatch(media_id):
        return ()
    return (
        DownloadCandidate(
            f"{api_base.rstrip('/')}{_DOWNLOADS}{media_id}",
            {"X-API-Key": api_key},
            YCLOUD_KEYED_SECONDS,
        ),
    )
