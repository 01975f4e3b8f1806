"""Which adapter reads what."""

from connectors.providers.adapter import Provider
from connectors.providers.chatwoot import Chatwoot
from connectors.providers.direct import Direct
from connectors.providers.ycloud import YCloud
from schemas.keys import body_id
from schemas.outcomes import Quarantine, Skip
from schemas.records import ChatMessage, RawMessage

PROVIDERS: dict[str, Provider] = {adapter.name: adapter for adapter in (YCloud(), Chatwoot())}
DIRECT = Direct(reserved=PROVIDERS.keys())


def adapter_for(raw: RawMessage) -> Provider | None:
    """What came in by an endpoint is its provider's; what came by `POST /chat` has the direct form, whatever its provider is called."""
    return PROVIDERS.get(raw.provider) if raw.endpoint_id else DIRECT


def read(raw: RawMessage) -> ChatMessage | Skip | Quarantine:
    """What a raw record says. Never raises."""
    adapter = adapter_for(raw)
    return (
        Quarantine("provider_unknown", raw.provider[:64]) if adapter is None else adapter.read(raw)
    )


def identify(provider: str, body: bytes) -> tuple[str, ...]:
    """The id part of the key of each event of a webhook's body. Never raises."""
    adapter = PROVIDERS.get(provider)
    return (body_id(body),) if adapter is None else adapter.identify(body)
