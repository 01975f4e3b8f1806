"""Which requests may give a file, by provider. Credentials go to the provider's own origin and nowhere else."""

from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from schemas.records import MediaJob

YCLOUD_KEYED_SECONDS = 30 * 86_400.0
YCLOUD_UNKEYED_SECONDS = 600.0
META_CDN_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Way:
    """One request. `lifetime_seconds`: how long the link is known to work after the message; None: no end is known."""

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    lifetime_seconds: float | None = None


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port. Raises ValueError for what is no address."""
    split = urlsplit(url)
    return split.scheme, (split.hostname or "").lower(), split.port or {"https": 443, "http": 80}.get(split.scheme)


def ways(job: MediaJob, *, api_key: str | None, ycloud_api_base: str) -> tuple[Way, ...]:
    """The requests to try for a job, in order."""
    return ways_to(job.provider, job.url, job.media_id, api_key, ycloud_api_base)


def ways_to(provider: str, url: str, media_id: str | None, api_key: str | None, ycloud_api_base: str) -> tuple[Way, ...]:
    """The requests to try, in order.

    YCloud: the link with the key, once without it (a keyed request was seen refused where a plain one passed), then the
    durable form by media id, which outlives the link.
    """
    try:
        here = origin(url)
    except ValueError:
        return ()
    if provider != "ycloud":
        expires = here[1].endswith((".fbsbx.com", ".fbcdn.net", ".cdninstagram.com"))
        return (Way(url, lifetime_seconds=META_CDN_SECONDS if expires else None),)
    if here != origin(ycloud_api_base):
        return (Way(url),)
    if api_key is None:
        return (Way(url, lifetime_seconds=YCLOUD_UNKEYED_SECONDS),)
    key = {"X-API-Key": api_key}
    keyed = Way(url, key, YCLOUD_KEYED_SECONDS)
    plain = Way(url)
    if media_id is None:
        return keyed, plain
    durable = Way(f"{ycloud_api_base.rstrip('/')}/v2/whatsapp/media/download/{quote(media_id, safe='')}", key, YCLOUD_KEYED_SECONDS)
    return keyed, plain, durable
