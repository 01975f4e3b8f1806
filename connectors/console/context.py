"""What a bot reads before its turn. Pure over rows."""

from collections.abc import Callable, Iterable
from typing import Any

from connectors.console.marker import Marker
from connectors.console.reading import ContextMessage

Sign = Callable[[str], str]
"""A path → the path with a signature that opens it for a while."""

_TOLD = ("description", "transcript")
_TOLD_OF_A_FILE = (*_TOLD, "filename")


def context(
    conversation_id: str,
    messages: list[ContextMessage],
    waited_for: Iterable[str],
    marker: Marker,
    sign: Sign,
) -> dict[str, Any]:
    """`{conversation_id, visual_context, messages, pending}`, oldest first. `waited_for`: keys asked for that are not finished rows."""
    lines = [
        marker.line(attachment["description"])
        for message in messages
        if message.is_recent
        for attachment in _attachments(message.attributes)
        if attachment.get("description")
    ]
    pending = [message.message_key for message in messages if message.status == "pending"]
    return {
        "conversation_id": conversation_id,
        "visual_context": "\n".join(lines),
        "messages": [
            {
                "message_key": message.message_key,
                "role": message.role,
                "kind": message.kind,
                "content": readable(message, marker),
                "occurred_at": message.occurred_at.isoformat(),
                "attachments": attachments(message.attributes, marker, sign),
            }
            for message in messages
        ],
        "pending": list(dict.fromkeys([*pending, *waited_for])),
    }


def readable(message: ContextMessage, marker: Marker) -> str | None:
    """Text and transcripts, once each, the marker defused."""
    transcript = message.attributes.get("transcript")
    parts = [message.content] if message.content else []
    if transcript and transcript != message.content:
        parts.append(transcript)
    return marker.defused("\n".join(parts)) if parts else None


def attachments(attributes: dict[str, Any], marker: Marker, sign: Sign) -> list[dict[str, Any]]:
    """As in the row, with a signed link, and defused: what foreign eyes and ears said, and the name a stranger gave."""
    return [_shown(attachment, marker, sign) for attachment in _attachments(attributes)]


def defused_attributes(attributes: dict[str, Any], marker: Marker, sign: Sign) -> dict[str, Any]:
    """The whole content_attributes for a message answer."""
    shown = attributes | {
        name: marker.defused(attributes[name]) for name in _TOLD if attributes.get(name)
    }
    if "attachments" in attributes:
        shown["attachments"] = attachments(attributes, marker, sign)
    return shown


def _attachments(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = attributes.get("attachments", [])
    return found


def _shown(attachment: dict[str, Any], marker: Marker, sign: Sign) -> dict[str, Any]:
    shown = attachment | {
        name: marker.defused(attachment[name]) for name in _TOLD_OF_A_FILE if attachment.get(name)
    }
    if attachment.get("url"):
        shown["signed_url"] = sign(attachment["url"])
    return shown
