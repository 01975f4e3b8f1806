"""The worked example of docs/extending.md: a provider whose webhooks hold one text message each."""

from connectors.providers.adapter import (
    Unreadable,
    conversation,
    identified,
    message_id,
    must_be_keyed,
    name_of,
    parse,
    text,
    whole,
)
from schemas.outcomes import Quarantine, Skip
from schemas.records import ChatMessage, RawMessage


class Telegraph:
    """Reads `{"id": "1", "from": "Ana", "line": "7", "said": "hello"}`."""

    name = "telegraph"

    def identify(self, body: bytes) -> tuple[str, ...]:
        """The id of the message, or the digest of a body without one."""
        try:
            return identified(body, message_id(parse(body).get("id")))
        except Unreadable:
            return identified(body, None)

    def read(self, raw: RawMessage) -> ChatMessage | Skip | Quarantine:
        """The text message; a body without text is skipped, one without an id or a line is quarantined."""
        try:
            document = parse(raw.body)
            found = message_id(document.get("id"))
            if found is None:
                return Quarantine("identifier_missing", "id")
            must_be_keyed(raw, found)
            said = text(document, "said")
            if said is None:
                return Skip("not_a_message")
            return ChatMessage(
                provider_message_id=found,
                conversation_id=conversation(whole(document, "line")),
                role="user",
                direction="inbound",
                kind="text",
                content=said,
                occurred_at=None,
                sender_name=name_of(document, "from"),
            )
        except Unreadable as unreadable:
            return unreadable.verdict
