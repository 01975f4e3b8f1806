"""What a Chatwoot message tells beside its words, as docs/message-attributes.md describes it."""

from typing import Any

from connectors.providers.adapter import (
    Document,
    identifier,
    link,
    name_of,
    part,
    present,
    text,
    texts,
)
from connectors.providers.attributes import (
    answers,
    choices,
    is_set,
    named_card,
    quoted,
    reaction,
    referral,
)
from schemas.text import storable_deep

WEB_PAGES = frozenset({"fallback", "embed"})
"""Attachments that are links to pages."""


def is_private(event: Document) -> bool:
    """Whether it is an internal note. In doubt it is: a note must reach no customer and no model."""
    return is_set(event.get("private"))


def attributes_of(event: Document, talk: Document, files: list[Document]) -> dict[str, Any]:
    """A white list. Tokens, addresses of people and provider configuration that Chatwoot sends
    along stay behind.
    """
    content = part(event, "content_attributes")
    flags = ("external_echo", "deleted", "is_unsupported")
    replied, external = (
        identifier(content.get("in_reply_to")),
        name_of(content, "in_reply_to_external_id"),
    )
    attributes = around(event, talk) | present(
        in_reply_to=replied,
        in_reply_to_external_id=external,
        quoted=quoted(replied, external_id=external),
        **{flag: is_set(content.get(flag)) or None for flag in flags},
        story_id=name_of(content, "story_id"),
        story_url=link(content, "story_url"),
        image_type=name_of(content, "image_type"),
        campaign_id=identifier(part(event, "additional_attributes").get("campaign_id")),
        template=texts(
            part(part(event, "additional_attributes"), "template_params"),
            256,
            "name",
            "category",
            "language",
        ),
        automation_rule_id=identifier(content.get("automation_rule_id")),
        items=choices(content, "items"),
        translations=answers(content.get("translations")),
        email=texts(part(content, "email"), 1_000, "subject"),
        referral=referral(part(content, "referral")),
        call=_call(event),
        external_error=text(content, "external_error", 300),
    )
    if is_set(content.get("is_reaction")):
        attributes["reaction"] = reaction(external or replied, text(event, "content", 64))
    titles = [
        title
        for one in files
        if name_of(one, "file_type") in WEB_PAGES and (title := name_of(one, "fallback_title"))
    ]
    heard = [said for one in files if (said := text(one, "transcribed_text", 20_000))]
    safe = storable_deep(
        attributes
        | present(
            locations=[_place(one) for one in files if name_of(one, "file_type") == "location"],
            contacts=[_card(one) for one in files if name_of(one, "file_type") == "contact"],
            page_titles=titles,
            chatwoot_transcripts=heard,
        )
    )
    assert isinstance(safe, dict)
    return safe


def around(event: Document, talk: Document) -> dict[str, Any]:
    """Where the message stands: its event, inbox and conversation."""
    inbox = part(event, "inbox")
    return present(
        event=name_of(event, "event"),
        source_id=name_of(event, "source_id"),
        content_type=name_of(event, "content_type"),
        inbox_id=identifier(inbox.get("id")),
        inbox_name=name_of(inbox, "name"),
        channel=name_of(talk, "channel"),
        conversation_status=name_of(talk, "status"),
        contact_source_id=name_of(part(talk, "contact_inbox"), "source_id"),
    )


def _call(event: Document) -> dict[str, str]:
    """What is known of a call by voice, which is no speech."""
    if name_of(event, "content_type") != "voice_call":
        return {}
    data = part(part(event, "content_attributes"), "data")
    return texts(data, 256, "status", "call_direction", "duration")


def _place(one: Document) -> dict[str, Any]:
    return present(
        latitude=text(one, "coordinates_lat", 40),
        longitude=text(one, "coordinates_long", 40),
        name=name_of(one, "fallback_title"),
        url=link(one, "data_url"),
    )


def _card(one: Document) -> dict[str, Any]:
    """The number, and the name in the two spellings of Chatwoot's channels."""
    names = texts(part(one, "meta"), 256, "firstName", "lastName", "first_name", "last_name")
    number = name_of(one, "fallback_title")
    return present(phone=number, **names) | named_card(number, *dict.fromkeys(names.values()))
