"""Response models for the OpenAPI document.

They only describe the answers; a test compares the real answers with them.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.problems import MEDIA_TYPE

ShownStatus = Literal["pending", "complete", "degraded"]
FEED = (
    "Every message is shown again whenever it changes, in its newest version; private notes are"
    " left out. `version` tells a change from a repetition, and a message whose `message_key` was"
    " not seen before is new. The order is the order of the changes and the same for every reader;"
    " within a conversation sort by `received_at`. A cursor survives restarts of every part and"
    " holds for this tenant only."
)
CONTEXT = (
    "The messages of a conversation, oldest first by arrival (`received_at`), at most 500. Without"
    " `within_seconds`, `limit` and `before`: those of the last 5 minutes. An unknown conversation"
    " is empty. With `wait_seconds` the answer comes as soon as what is asked for is there, at the"
    " latest after that time with what there is; `pending` names what was not finished."
)

Responses = dict[int | str, dict[str, Any]]


class MessageAttachment(BaseModel):
    """A file, location or contact card of a message. Fields that are not known are left out."""

    model_config = ConfigDict(extra="forbid")

    index: int
    type: str
    status: str = Field(description="pending, stored, described, transcribed, skipped or failed")
    reason: str | None = Field(None, description="why it was skipped or failed")
    url: str | None = Field(None, description="path of the stored file on this console")
    signed_url: str | None = Field(
        None, description="the same with a signature, which for some minutes replaces a key"
    )
    original_url: str | None = None
    mime_type: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    filename: str | None = None
    description: str | None = None
    transcript: str | None = None
    model: str | None = Field(
        None,
        description="the model that described or transcribed it, as its server names it. It tells"
        " answers of a stand-in or of a small local model from others",
    )
    prompt_version: str | None = Field(None, description="which prompt the model was given")


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
    """The structured content of a message, in one form for all providers.

    Fields that are not known are left out.
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

    message_key: str = Field(description="tenant:provider:provider_message_id")
    role: str = Field(description="user, assistant, agent or system")
    direction: str = Field(description="inbound or outbound")
    kind: str = Field(
        description="text, image, audio, video, document, sticker, location, contact, interactive,"
        " reaction, order, system, unsupported or mixed"
    )
    status: ShownStatus = Field(
        description="pending (an attachment is still being processed), complete, or degraded (an"
        " attachment failed: see its reason)"
    )
    version: int = Field(description="rises with every change of the message")
    content: str | None = Field(
        description="what a bot should read: text and transcripts; for a place, a contact card,"
        " an order or a choice without text, the data in words. A very long content is cut, and"
        " says so at its end"
    )
    occurred_at: datetime = Field(description="the provider's time")
    attachments: list[MessageAttachment]
    data: MessageData | None = Field(None, description="left out where there is none")


class FeedMessage(ContextMessage):
    """A message in its current version, with its origin."""

    conversation_id: str
    provider: str
    sender_id: str | None
    sender_name: str | None
    received_at: datetime = Field(
        description="when it was accepted: the order within a conversation"
    )
    changed_at: datetime = Field(description="when this version was written")
    generation: int = Field(
        description="0 for live traffic, otherwise the number of the repair run that redid the"
        " message"
    )
    visual_context: str = Field(
        description="one trusted line per image of the message, as in a context"
    )


class Feed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    messages: list[FeedMessage] = Field(description="oldest change first; empty if there is none")
    cursor: str = Field(description="send it as `after` to continue; it stays valid")
    more: bool = Field(description="true: ask again at once, even if messages is empty")
    visual_context_nonce: str | None = Field(
        None, description="as in a context, for the lines of all messages of this answer"
    )


class Conversation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    conversation_id: str
    aliases: list[str] = Field(description="its other ids, at most 16")
    providers: list[str]
    messages: int = Field(description="without private notes")
    pending: int
    degraded: int
    first_received_at: datetime | None
    last_received_at: datetime | None
    last_inbound_at: datetime | None
    last_outbound_at: datetime | None


class Conversations(BaseModel):
    model_config = ConfigDict(extra="forbid")

    conversations: list[Conversation] = Field(description="in the order of their ids")
    next: str | None = Field(description="send it as `after` for the next ones; null at the end")


class Context(BaseModel):
    model_config = ConfigDict(extra="forbid")

    conversation_id: str
    visual_context: str = Field(
        description="one line per image of the last 5 minutes, oldest first, whatever time window"
        " was requested, and one per file that failed. Trust no other text as a marker. Text"
        " between « and » was read in the picture"
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
        description="keys of unfinished messages, and keys of wait_for that have no message yet"
    )
    as_of: str = Field(description="the moment of this answer, for newer_than")
    in_order: bool | None = Field(
        None,
        description="only with `in_order` or `wait_for`: true if every message that was accepted"
        " before the request is there; false if one that is older than those shown may be missing",
    )
    earlier: str | None = Field(
        None, description="for before: the messages before these; left out where there are none"
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


class TimelineStep(BaseModel):
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
    steps: list[TimelineStep]


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


_COMPONENTS = "#/components/schemas/"
_WHY = {
    401: "the key is missing or unknown: `detail` says which",
    403: "the key has another scope, or the link is invalid or has expired",
    404: "not found, or it belongs to another tenant",
    410: "the cursor is ahead of the database, which was restored or copied: `detail` says how to"
    " continue",
    409: "it has ended, another one is running, or nobody would read what it writes",
    413: "the request has a body",
    416: "the requested range begins after the end of the file",
    422: "a parameter is missing or wrong",
    429: "this tenant has too many requests in progress: try again after Retry-After",
    502: "the file could not be fetched from the provider",
    503: "a part of the system is unavailable: try again after Retry-After",
}


def problems(*statuses: int) -> Responses:
    """Describes the error answers of a route."""
    shown = {MEDIA_TYPE: {"schema": {"$ref": f"{_COMPONENTS}ProblemDetails"}}}
    return {status: {"description": _WHY[status], "content": shown} for status in statuses}


def describe_problems(document: dict[str, Any]) -> dict[str, Any]:
    """Adds the schema that the error answers refer to to the OpenAPI document."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["ProblemDetails"] = ProblemDetails.model_json_schema()
    return document


_BYTES: dict[str, Any] = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
FILE: Responses = {
    200: {"description": "the file", **_BYTES},
    206: {"description": "the part that Range asks for", **_BYTES},
    304: {"description": "the file that If-None-Match names"},
}
