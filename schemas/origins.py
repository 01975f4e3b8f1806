"""The way by which a message came in: an endpoint or `POST /chat`.

Only this decides whether a provider's key may be used for the message.
"""

from collections.abc import Mapping
from typing import Any

DIRECT = "direct"
"""The value in place of an endpoint id for a message of `POST /chat`."""
UNRECORDED = "unrecorded"
"""An endpoint of the message's provider received it; its id was not recorded."""


def origin_of(endpoint_id: str | None, provider: str, attributes: Mapping[str, Any]) -> str:
    """The id of the endpoint that received a row's message, or `direct`.

    Rows older than the recording of endpoints have no id. `attributes` is what the
    adapter wrote about the message (`content_attributes.provider`). Only the adapter of
    YCloud's webhooks ever wrote `event_type`, so that field proves that an endpoint
    received the event. Every other message is direct.
    """
    if endpoint_id is not None:
        return endpoint_id
    return UNRECORDED if provider == "ycloud" and "event_type" in attributes else DIRECT
