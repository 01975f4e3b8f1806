"""The one-line preview of a message in the list of conversations. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from connectors.console.facts import message_data, short_text
from connectors.console.pages.bubbles import reported
from connectors.console.pages.words import Words

_OF_WORDS = frozenset({"text", "note", "mixed", "UNKNOWN"})
"""Kinds whose name says nothing about the content; a masked message of these shows no text."""


def preview(row: Mapping[str, Any], words: Words, *, is_masked: bool) -> str:
    """Returns a preview of the message, empty if its text is hidden.

    It uses the first of these that applies: the deletion, the report about an earlier
    message, the reaction, the text or caption, the description or transcript, the
    structured data, the file name, the kind.
    """
    provider = json.loads(row["provider_data"] or "{}")
    if provider.get("deleted"):
        return words("chat.deleted")
    if reports := reported(provider):
        return words(f"list.reports_{reports}")
    kind = words.known(f"kind.{row['kind']}", row["kind"])
    if is_masked:
        return "" if row["kind"] in _OF_WORDS else kind
    data = message_data(provider, row["message_key"])
    if "reaction" in data:
        return _reaction(data["reaction"], words)
    content = row["content"] or row["description"] or row["transcript"]
    text = content or short_text(data, words.language) or row["filename"] or ""
    return " ".join(text.split()) or kind


def _reaction(reaction: Mapping[str, Any], words: Words) -> str:
    if reaction.get("removed") or not reaction.get("emoji"):
        return words("list.reaction_removed")
    return words("list.reacted", emoji=reaction["emoji"])
