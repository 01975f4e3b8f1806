"""In whose name a file is fetched, and what a request that may give it is."""

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Protocol

from connectors.errors import ConnectorsError
from schemas.keys import TenantId
from schemas.origins import DIRECT
from schemas.tenants import Endpoint
from schemas.web_address import web_address

META_CDN_SECONDS = 3_600.0
_META_CDN = (".fbsbx.com", ".fbcdn.net", ".cdninstagram.com")


class ForeignHost(ConnectorsError):
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

    `provider` alone gives none, because `POST /chat` lets its sender choose that name.
    The key of a removed endpoint is replaced by another key that the tenant has for the
    same provider.
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
    """One request.

    `lifetime_seconds`: how long the link is known to work after the message; None: no end is known.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    lifetime_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class FileLink:
    """Where a message says its file is, and what may be used to fetch it.

    `url` is the text as the sender wrote it, `address` its canonical form ("" without a
    link). `api_base` is the address of the provider's API. `exempt` are (host, port)
    pairs that a person allowed, whosever they are.
    """

    url: str
    address: str
    media_id: str | None = None
    api_key: str | None = field(default=None, repr=False)
    api_base: str = ""
    exempt: Set[tuple[str, int]] = frozenset()


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port. Raises NotAnAddress."""
    return web_address(url).origin


def plain_link(link: FileLink) -> tuple[DownloadCandidate, ...]:
    """The link as it is, to whatever host it leads, with the lifetime where that host's is known.

    A Chatwoot server has a host of the tenant's own and hands on links of others, and
    what comes by `POST /chat` may come from anywhere: neither has a list of hosts.
    """
    if not link.address:
        return ()
    lifetime = META_CDN_SECONDS if origin(link.address)[1].endswith(_META_CDN) else None
    return (DownloadCandidate(link.address, lifetime_seconds=lifetime),)
