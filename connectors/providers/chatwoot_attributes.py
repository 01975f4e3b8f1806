"""The attributes of a Chatwoot message, as docs/message-attributes.md describes them."""

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

WEB_PAGES = frozenset({"fallback", "embed"})
"""The types of attachments that are links to web pages."""
_FLAGS = ("external_echo", "deleted", "is_unsupported")


def is_private(event: Document) -> bool:
    """True if the message is an internal note, or if that is not certain.

    A note must reach no customer and no model.
    """
    return is_set(event.get("private"))


def attributes_of(event: Document, talk: Document, files: list[Document]) -> dict[str, Any]:
    """The attributes of a message, from a list of allowed fields.

    Chatwoot also sends tokens, addresses of people and configuration, which are left out.
    All text is storable, because the functions that read it make it so.
    """
    content, additional = part(event, "content_attributes"), part(event, "additional_attributes")
    attributes = around(event, talk)
    if content:
        attributes |= _of_answer(content)
    if additional:
        attributes |= _of_send(additional)
    if content:
        attributes |= _of_content(content)
    if call := _call(event):
        attributes["call"] = call
    if error := text(content, "external_error", 300):
        attributes["external_error"] = error
    if is_set(content.get("is_reaction")):
        attributes["reaction"] = reaction(_replied(content), text(event, "content", 64))
    if files:
        attributes |= _of_files(files)
    return attributes


def _replied(content: Document) -> str | None:
    """The message that is answered or reacted to."""
    external = name_of(content, "in_reply_to_external_id")
    return external or identifier(content.get("in_reply_to"))


def _of_answer(content: Document) -> dict[str, Any]:
    """The attributes about the message that is answered, and the message's own flags."""
    replied = identifier(content.get("in_reply_to"))
    external = name_of(content, "in_reply_to_external_id")
    return present(
        in_reply_to=replied,
        in_reply_to_external_id=external,
        quoted=quoted(replied, external_id=external),
        **{flag: is_set(content.get(flag)) or None for flag in _FLAGS},
        story_id=name_of(content, "story_id"),
        story_url=link(content, "story_url"),
        image_type=name_of(content, "image_type"),
    )


def _of_send(additional: Document) -> dict[str, Any]:
    """The attributes about the campaign or template of the message."""
    return present(
        campaign_id=identifier(additional.get("campaign_id")),
        template=texts(part(additional, "template_params"), 256, "name", "category", "language"),
    )


def _of_content(content: Document) -> dict[str, Any]:
    """The attributes that belong to the text: choices, translations, subject, referral."""
    return present(
        automation_rule_id=identifier(content.get("automation_rule_id")),
        items=choices(content, "items"),
        translations=answers(content.get("translations")),
        email=texts(part(content, "email"), 1_000, "subject"),
        referral=referral(part(content, "referral")),
    )


def _of_files(files: list[Document]) -> dict[str, Any]:
    """The attributes from attachments: places, cards, page titles and transcripts."""
    forms = [(one, name_of(one, "file_type")) for one in files]
    pages = (name_of(one, "fallback_title") for one, form in forms if form in WEB_PAGES)
    return present(
        locations=[_place(one) for one, form in forms if form == "location"],
        contacts=[_card(one) for one, form in forms if form == "contact"],
        page_titles=[title for title in pages if title],
        chatwoot_transcripts=[
            transcript for one in files if (transcript := text(one, "transcribed_text", 20_000))
        ],
    )


def around(event: Document, talk: Document) -> dict[str, Any]:
    """The attributes about the message's event, inbox and conversation."""
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
    """The facts about a voice call. Its speech is not part of the message."""
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
    """A contact card, whose names have one of two spellings, depending on the channel."""
    names = texts(part(one, "meta"), 256, "firstName", "lastName", "first_name", "last_name")
    number = name_of(one, "fallback_title")
    return present(phone=number, **names) | named_card(number, *dict.fromkeys(names.values()))
