"""The example of docs/extending.md: a provider whose webhooks contain one text message each."""

import json
import uuid

from connectors.providers import catalogue
from connectors.providers.adapter import (
    Document,
    conversation,
    message_id,
    must_be_keyed,
    name_of,
    parse,
    text,
    whole,
)
from connectors.providers.provider import Provider
from connectors.providers.samples import Sample, SampleMessage
from schemas.outcomes import Quarantine, Skip
from schemas.providers import PROVIDERS, ProviderTraits
from schemas.records import ChatMessage, RawMessage
from schemas.signatures import Claim, Examined

TELEGRAPH = ProviderTraits("telegraph", "Telegraph", sends_updates=False)


class Telegraph(Provider):
    """Reads `{"id": "1", "from": "Ana", "line": "7", "said": "hello"}`."""

    name = "telegraph"

    def event_key(self, event: Document) -> str | None:
        return message_id(event.get("id"))

    def read_event(self, raw: RawMessage) -> ChatMessage | Skip | Quarantine:
        """The text message; a body without text is skipped, one without an id or a line is quarantined."""
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

    def check_signature(
        self, claim: Claim, secrets: tuple[str, ...], *, age_seconds: float
    ) -> Examined:
        """Checks `X-Telegraph-Key`, which contains the secret itself."""
        key = claim.headers.get("x-telegraph-key")
        if key is None:
            return Examined("missing")
        return Examined("valid", key) if key in secrets else Examined("mismatch")

    def sign(self, secret: str, body: bytes, now: int) -> dict[str, str]:
        return {"X-Telegraph-Key": secret}

    def sample(self, message: SampleMessage) -> Sample:
        found, line = uuid.uuid4().hex, message.conversation or "7"
        body = {"id": found, "from": message.customer or "Ana", "line": line, "said": message.text}
        return Sample(message.what, self.name, json.dumps(body).encode(), found, line)


def register() -> None:
    """Does what a row in each of the two tables does for a provider of the product."""
    PROVIDERS[TELEGRAPH.name] = TELEGRAPH
    catalogue.PROVIDERS[TELEGRAPH.name] = Telegraph()
