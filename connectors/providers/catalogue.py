"""The catalogue of providers, and the calls that find a provider by its name.

A provider is one entry here and one row of schemas/providers.py.
"""

from collections.abc import Set

from connectors.providers.chatwoot import Chatwoot
from connectors.providers.direct import Direct
from connectors.providers.downloads import Authority, DownloadCandidate, FileLink, plain_link
from connectors.providers.provider import Adapter, Provider
from connectors.providers.ycloud import YCloud
from schemas.keys import body_id
from schemas.outcomes import Quarantine, Skip
from schemas.records import ChatMessage, RawMessage
from schemas.settings import Providers
from schemas.signatures import Claim, Examined
from schemas.web_address import NotAnAddress, web_address

PROVIDERS: dict[str, Provider] = {provider.name: provider for provider in (YCloud(), Chatwoot())}
DIRECT = Direct(reserved=PROVIDERS.keys())


def adapter_for(raw: RawMessage) -> Adapter | None:
    """The provider of the endpoint that received a record, or None if it is unknown.

    A record of `POST /chat` has the direct form, whatever provider it names.
    """
    return PROVIDERS.get(raw.provider) if raw.endpoint_id else DIRECT


def read(raw: RawMessage) -> ChatMessage | Skip | Quarantine:
    """The message in a raw record, or why there is none. Never raises."""
    adapter = adapter_for(raw)
    return (
        Quarantine("provider_unknown", raw.provider[:64]) if adapter is None else adapter.read(raw)
    )


def identify(provider: str, body: bytes) -> tuple[str, ...]:
    """The id part of the key of each event of a webhook's body. Never raises."""
    adapter = PROVIDERS.get(provider)
    return (body_id(body),) if adapter is None else adapter.identify(body)


def check_signature(
    provider: str, claim: Claim, secrets: tuple[str, ...], age_seconds: float
) -> Examined | None:
    """The result of checking a webhook's signature, or None if the provider does not sign."""
    adapter = PROVIDERS.get(provider)
    return (
        None
        if adapter is None
        else adapter.check_signature(claim, secrets, age_seconds=age_seconds)
    )


def sign(provider: str, secret: str, body: bytes, now: int) -> dict[str, str]:
    """The headers that the provider would send: for sample traffic and tests."""
    return PROVIDERS[provider].sign(secret, body, now)


def download_candidates(
    url: str,
    media_id: str | None,
    authority: Authority,
    settings: Providers,
    exempt: Set[tuple[str, int]] = frozenset(),
) -> tuple[DownloadCandidate, ...]:
    """The requests to try for a file, in order. Raises ForeignHost.

    `exempt` are (host, port) pairs that the operator allowed, whichever host they name.
    """
    try:
        # Decisions are made about the canonical form, because that form is requested.
        address = web_address(url).href if url else ""
    except NotAnAddress:
        return ()
    name = authority.provider or ""
    link = FileLink(url, address, media_id, authority.api_key, settings.api_base(name), exempt)
    provider = PROVIDERS.get(name)
    return plain_link(link) if provider is None else provider.candidates(link)
