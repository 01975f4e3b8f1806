"""The candidate requests for a file of YCloud.

The key is sent only to the media path on the origin of YCloud's API.
"""

import re
from urllib.parse import parse_qsl

from connectors.providers.downloads import DownloadCandidate, FileLink, ForeignHost, origin
from schemas.web_address import web_address

KEYED_SECONDS = 30 * 86_400.0
UNKEYED_SECONDS = 600.0
_DOWNLOADS = "/v2/whatsapp/media/download/"
_MEDIA_ID = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9_=.-]{0,255}")
"""A media id that remains one segment of a path, however a server decodes the path."""
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(/[^?#]*)(?:\?([^#]*))?")
_QUERY = re.compile(r"[A-Za-z0-9%._~+/=&-]*")
_SIGNATURE_PARAMETERS = frozenset({"sig", "payload"})


def candidates(link: FileLink) -> tuple[DownloadCandidate, ...]:
    """The requests to try, in order. Raises ForeignHost.

    First the link with the key, then the link without it, because a request with the key
    was once refused where one without it succeeded. Last the address by media id, which
    works longer than the link and also if there is no link.
    """
    found, is_media_link = _media_link(link.url, link.api_base)
    durable = _durable(link.media_id or found, link.api_key, link.api_base)
    if not link.address:
        return durable
    url, base, here = link.address, origin(link.api_base), origin(link.address)
    if here == base:
        if link.api_key is None:
            return (DownloadCandidate(url, lifetime_seconds=UNKEYED_SECONDS),)
        keyed = (
            (DownloadCandidate(url, {"X-API-Key": link.api_key}, KEYED_SECONDS),)
            if is_media_link
            else ()
        )
        return (*keyed, DownloadCandidate(url), *(other for other in durable if other.url != url))
    if (
        here[1] not in ("ycloud.com", base[1])
        and not here[1].endswith(".ycloud.com")
        and here[1:] not in link.exempt
    ):
        raise ForeignHost
    return (DownloadCandidate(url),)


def _media_link(url: str, api_base: str) -> tuple[str | None, bool]:
    """The file's id in a link to the media path, and whether the link may be given the key.

    The text is matched as the sender wrote it. Dot segments, encoded slashes, user names,
    control characters and parameters that media links do not have must not reach the API
    with the tenant's key.
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
            KEYED_SECONDS,
        ),
    )
