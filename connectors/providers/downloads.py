"""Which requests may give a file, by provider. Credentials go to the provider's own origin and nowhere else."""

import re
from collections.abc import Set
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from schemas.records import MediaJob
from schemas.web_address import NotAnAddress, web_address

YCLOUD_KEYED_SECONDS = 30 * 86_400.0
YCLOUD_UNKEYED_SECONDS = 600.0
META_CDN_SECONDS = 3_600.0
_META_CDN = (".fbsbx.com", ".fbcdn.net", ".cdninstagram.com")
_DIRECT = "direct"
_DOWNLOADS = "/v2/whatsapp/media/download/"
_MEDIA_ID = re.compile(re.escape(_DOWNLOADS) + r"([^/]+)/?")


class ForeignHost(Exception):
    """The link leads to a host that is none of its provider's: it is not asked for anything."""


@dataclass(frozen=True, slots=True)
class Way:
    """One request. `lifetime_seconds`: how long the link is known to work after the message; None: no end is known."""

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    lifetime_seconds: float | None = None


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port. Raises NotAnAddress."""
    return web_address(url).origin


def ways(
    job: MediaJob,
    *,
    api_key: str | None,
    ycloud_api_base: str,
    exempt: Set[tuple[str, int]] = frozenset(),
) -> tuple[Way, ...]:
    """The requests to try for a job, in order. Raises ForeignHost.

    What came by `POST /chat` is nobody's endpoint: its links are its sender's, whatever provider it names.
    """
    return ways_to(
        job.provider if job.endpoint_id else _DIRECT,
        job.url,
        job.media_id,
        api_key,
        ycloud_api_base,
        exempt,
    )


def ways_to(
    provider: str,
    url: str,
    media_id: str | None,
    api_key: str | None,
    ycloud_api_base: str,
    exempt: Set[tuple[str, int]] = frozenset(),
) -> tuple[Way, ...]:
    """The requests to try, in order. `exempt`: (host, port) pairs a person allowed, whosever they are. Raises ForeignHost.

    YCloud: the link with the key, once without it (a keyed request was seen refused where a plain one passed), then the
    durable form by media id, which outlives the link and serves without one. Chatwoot stands on a host of the tenant's
    own and hands on links of others; what comes by `POST /chat` may come from anywhere: neither has a list.
    """
    try:
        # in its canonical form, so that what is decided here is decided about what will be asked for
        url = web_address(url).href if url else ""
    except NotAnAddress:
        return ()
    if provider == "ycloud":
        return _ycloud(url, media_id, api_key, ycloud_api_base, exempt)
    if not url:
        return ()
    host = origin(url)[1]
    return (Way(url, lifetime_seconds=META_CDN_SECONDS if host.endswith(_META_CDN) else None),)


def _ycloud(
    url: str, media_id: str | None, api_key: str | None, api_base: str, exempt: Set[tuple[str, int]]
) -> tuple[Way, ...]:
    base = origin(api_base)
    durable = _durable(media_id or _media_id_in(url, base), api_key, api_base)
    if not url:
        return durable
    here = origin(url)
    if here == base:
        if api_key is None:
            return (Way(url, lifetime_seconds=YCLOUD_UNKEYED_SECONDS),)
        return (
            Way(url, {"X-API-Key": api_key}, YCLOUD_KEYED_SECONDS),
            Way(url),
            *(way for way in durable if way.url != url),
        )
    if (
        here[1] not in ("ycloud.com", base[1])
        and not here[1].endswith(".ycloud.com")
        and here[1:] not in exempt
    ):
        raise ForeignHost
    return (Way(url),)


def _media_id_in(url: str, base: tuple[str, str, int]) -> str | None:
    """A link holds its file's id: what is left to ask by when nothing else was kept of it."""
    if not url or origin(url) != base:
        return None
    found = _MEDIA_ID.fullmatch(web_address(url).path)
    return unquote(found[1]) if found else None


def _durable(media_id: str | None, api_key: str | None, api_base: str) -> tuple[Way, ...]:
    if media_id is None or api_key is None:
        return ()
    return (
        Way(
            f"{api_base.rstrip('/')}{_DOWNLOADS}{quote(media_id, safe='')}",
            {"X-API-Key": api_key},
            YCLOUD_KEYED_SECONDS,
        ),
    )
