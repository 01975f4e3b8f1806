"""The answers as OpenAPI describes them.

Only a description: a test holds the real answers to it.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Responses = dict[int | str, dict[str, Any]]


class Attachment(BaseModel):
    """A file, location or contact card of a message. What is not known is left out."""

    model_config = ConfigDict(extra="forbid")

    index: int
    type: str
    status: str = Field(description="pending, stored, described, transcribed, skipped or failed")
    reason: str | None = Field(None, description="why it was skipped or failed")
    url: str | None = Field(None, description="path of the stored file on this console")
    signed_url: str | None = Field(None, description="the same, opened for a while by a signature")
    original_url: str | None = None
    mime_type: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    filename: str | None = None
    description: str | None = None
    transcript: str | None = None
    model: str | None = None
    prompt_version: str | None = None


class Location(BaseModel):
    model_config = ConfigDict(extra="forbid")

    latitude: float | str | None = None
    longitude: float | str | None = None
    name: str | None = None
    address: str | None = None
    url: str | None = None


class Contact(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    phones: list[str] | None = None
    emails: list[str] | None = None
    organization: str | None = None


class OrderItem(BaseModel):
    model_config = ConfigDict(extra="forbid")

    product_id: str | None = None
    name: str | None = None
    quantity: float | str | None = None
    price: float | str | None = Field(None, description="of one piece")
    currency: str | None = None


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    catalog_id: str | None = None
    text: str | None = Field(None, description="what the customer wrote with the order")
    items: list[OrderItem] | None = None


class Choice(BaseModel):
    """The answer to buttons, a list or a form."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, description="the id that the bot gave the button or list row")
    payload: str | None = Field(None, description="of a template's button")
    title: str | None = None
    description: str | None = None
    name: str | None = None
    form: dict[str, Any] | str | None = Field(None, description="field → answer")


class Quoted(BaseModel):
    """The message that is answered or reacted to."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, description="as its provider names it")
    message_key: str | None = Field(None, description="its key here, where that is known")


class QuotedMessage(Quoted):
    text: str | None = Field(None, description="only where the provider sends it along")


class Reaction(Quoted):
    emoji: str | None = None
    removed: bool | None = None


class MessageData(BaseModel):
    """What a message says without words, in one form for all providers.

    What is not known is left out.
    """

    model_config = ConfigDict(extra="forbid")

    locations: list[Location] | None = None
    contacts: list[Contact] | None = None
    order: Order | None = None
    choice: Choice | None = None
    quoted: QuotedMessage | None = None
    reaction: Reaction | None = None
    product: dict[str, str] | None = Field(None, description="the product that is asked about")
    referral: dict[str, str] | None = Field(None, description="the advertisement that led here")


class ContextMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")

    message_key: str
    role: str = Field(description="user, assistant, agent or system")
    kind: str
    content: str | None = Field(
        description="what a bot should read: text and transcripts; for a place, a contact card,"
        " an order or a choice without text, the data in words. A very long content is cut, and"
        " says so at its end"
    )
    occurred_at: datetime
    attachments: list[Attachment]
    data: MessageData | None = Field(None, description="left out where there is none")


class Context(BaseModel):
    model_config = ConfigDict(extra="forbid")

    conversation_id: str
    visual_context: str = Field(
        description="one line per image of the last 5 minutes, oldest first, whatever"
        " within_seconds is; nothing else is to be trusted as a marker. Text between « and » was"
        " read in the picture"
    )
    visual_context_nonce: str | None = Field(
        None,
        description="only if the tenant's context-text has {nonce}: the word that the lines of this"
        " answer, and nothing else, have in its place",
    )
    messages: list[ContextMessage] = Field(
        description="oldest first by arrival; the latest 500, and of those as many as fit into"
        " CONSOLE__CONTEXT_BYTES"
    )
    pending: list[str] = Field(
        description="keys of unfinished messages, and those of wait_for that are not there"
    )


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid")

    message_key: str
    provider: str
    conversation_id: str
    role: str
    direction: str
    kind: str
    content: str | None
    content_attributes: dict[str, Any] = Field(
        description="attachments, description, transcript, and the provider's own fields"
    )
    status: str = Field(description="pending, complete or degraded")
    version: int
    occurred_at: datetime
    received_at: datetime
    enriched_at: datetime
    sender_id: str | None
    sender_name: str | None


class Step(BaseModel):
    model_config = ConfigDict(extra="forbid")

    stage: str
    outcome: str
    topic: str
    partition: int
    offset: int
    at: datetime


class Timeline(BaseModel):
    model_config = ConfigDict(extra="forbid")

    message_key: str
    steps: list[Step]


class ProblemDetails(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[str] | None = None


class Schema(BaseModel):
    schema_: str = Field(alias="schema", description="the Avro schema as text")


class SubjectVersion(Schema):
    subject: str
    version: int
    id: int


class RegistryError(BaseModel):
    error_code: int
    message: str


_WHY = {
    401: "no key, or an unknown one",
    403: "a key of another scope, or a link that is bad or over",
    404: "it is not there, or another tenant's",
    413: "the request has a body",
    416: "the file is not that long",
    422: "a parameter is missing or wrong",
    429: "this tenant has too many requests under way: try again after Retry-After",
    502: "the provider does not give the file",
    503: "a part of the system is away: try again after Retry-After",
}


def problems(*statuses: int) -> Responses:
    """Errors of a route."""
    shown = {"application/problem+json": {"schema": ProblemDetails.model_json_schema()}}
    return {status: {"description": _WHY[status], "content": shown} for status in statuses}


_BYTES: dict[str, Any] = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
FILE: Responses = {
    200: {"description": "the file", **_BYTES},
    206: {"description": "the part that Range asks for", **_BYTES},
    304: {"description": "the file that If-None-Match names"},
}
