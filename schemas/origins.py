"""By which way a message came in.

Authority over a provider's key follows from this alone.
"""

from collections.abc import Mapping
from typing import Any

DIRECT = "direct"
"""Stands where an endpoint's id stands, for a message of `POST /chat`."""
UNRECORDED = "unrecorded"
"""An endpoint of the message's provider received it, but its id was not recorded."""


def origin_of(endpoint_id: str | None, provider: str, attributes: Mapping[str, Any]) -> str:
    """The endpoint by which a row's message came in, or `direct`.

    Rows from before endpoints were recorded have none. `attributes` is what the adapter
    wrote about the message (`content_attributes.provider`): only the adapter of
    YCloud's webhooks ever wrote `event_type`, so it proves that an endpoint received
    the event. Everything else is direct.
    """
    if endpoint_id is not None:
        return endpoint_id
    return UNRECORDED if provider == "ycloud" and "event_type" in attributes else DIRECT
