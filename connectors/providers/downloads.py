"""The authority with which a file is fetched, and the candidate requests for it."""

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
    """The link leads to a host that is not its provider's, so it is not requested."""


class Endpoints(Protocol):
    """The endpoints of all tenants, as the directory knows them."""

    def endpoint_by_id(self, endpoint_id: str) -> Endpoint | None: ...
    def provider_key(self, tenant_id: TenantId, provider: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority with which a file is fetched: that of a provider, or that of the sender.

    For a provider, the tenant's key may be sent. For the sender, `provider` is None, links
    are fetched as they are, and no key is sent.
    """

    provider: str | None = None
    api_key: str | None = field(default=None, repr=False)


SENDER = Authority()


def authority(
    endpoints: Endpoints, tenant_id: TenantId, provider: str, endpoint_id: str
) -> Authority:
    """The authority for the files of a message that `endpoint_id` received.

    The name of a provider alone gives no authority, because the sender of a `POST /chat`
    chooses it. If the endpoint was removed or has no key, another key of the tenant for the
    same provider is used.
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
    """A request that may return the file.

    `lifetime_seconds` is the time after the message for which the link works, or None if it
    is not known to expire.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    lifetime_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class FileLink:
    """The link to a message's file, and what may be used to fetch it.

    `url` is the text as the sender wrote it, and `address` its canonical form ("" without a
    link). `api_base` is the address of the provider's API. `exempt` are (host, port) pairs
    that the operator allowed, whichever host they name.
    """

    url: str
    address: str
    media_id: str | None = None
    api_key: str | None = field(default=None, repr=False)
    api_base: str = ""
    exempt: Set[tuple[str, int]] = frozenset()


def origin(url: str) -> tuple[str, str, int]:
    """The scheme, host and port of an address. Raises NotAnAddress."""
    return web_address(url).origin


def plain_link(link: FileLink) -> tuple[DownloadCandidate, ...]:
    """The link unchanged, to any host, with its lifetime if that is known for the host.

    There is no list of allowed hosts: a Chatwoot server has a host of the tenant's own and
    passes on links to others, and a message of `POST /chat` may have a link to any host.
    """
    if not link.address:
        return ()
    lifetime = META_CDN_SECONDS if origin(link.address)[1].endswith(_META_CDN) else None
    return (DownloadCandidate(link.address, lifetime_seconds=lifetime),)
