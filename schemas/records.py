"""The records of the topics, as Python values.

The fields are documented in avro/*.avsc; a test keeps both equal.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec

from schemas.keys import MessageKey, TenantId

AttachmentType = Literal[
    "UNKNOWN", "image", "audio", "video", "document", "sticker", "location", "contact", "other"
]
AttachmentStatus = Literal[
    "UNKNOWN", "pending", "stored", "described", "transcribed", "skipped", "failed"
]
Direction = Literal["UNKNOWN", "inbound", "outbound"]
MessageRole = Literal["UNKNOWN", "user", "assistant", "agent", "system"]
MessageKind = Literal[
    "UNKNOWN", "text", "image", "audio", "video", "document", "sticker", "location", "contact",
    "interactive", "reaction", "order", "note", "system", "unsupported", "mixed",
]  # fmt: skip
MessageStatus = Literal["UNKNOWN", "pending", "complete", "degraded"]
EnrichmentKind = Literal[
    "UNKNOWN", "opened", "stored", "described", "transcribed", "failed", "skipped"
]
Next = Literal["UNKNOWN", "none", "vision", "audio"]

GENERATION_STEPS = 1000
"""`version = generation × GENERATION_STEPS + step`."""


class Value(msgspec.Struct, frozen=True, gc=False):
    """The base class of the values here: immutable and compared by content.

    The garbage collector does not track them. A value refers only to objects that
    existed before it, so it cannot be part of a cycle.
    """


class Source(Value, frozen=True, kw_only=True):
    topic: str
    partition: int
    offset: int


class RawMessage(Value, frozen=True, kw_only=True):
    tenant_id: TenantId
    provider: str
    message_key: MessageKey
    endpoint_id: str = ""
    received_at: datetime
    position: int = 0
    headers: dict[str, str] = {}
    body: bytes


class MediaJob(Value, frozen=True, kw_only=True):
    tenant_id: TenantId
    message_key: MessageKey
    provider: str
    generation: int = 0
    endpoint_id: str = ""
    index: int
    type: AttachmentType
    url: str
    media_id: str | None = None
    mime_type: str | None = None
    filename: str | None = None
    declared_sha256: str | None = None
    unpaid_reason: str | None = None
    occurred_at: datetime
    received_at: datetime


class StoredJob(Value, frozen=True, kw_only=True):
    """The fields of VisionJob and AudioJob: a stored file to describe or transcribe."""

    tenant_id: TenantId
    message_key: MessageKey
    provider: str
    generation: int = 0
    index: int
    object_key: str
    sha256: str
    mime_type: str
    bytes: int
    filename: str | None = None


class VisionJob(StoredJob, frozen=True, kw_only=True):
    pass


class AudioJob(StoredJob, frozen=True, kw_only=True):
    pass


class Enrichment(Value, frozen=True, kw_only=True):
    tenant_id: TenantId
    message_key: MessageKey
    provider: str
    generation: int = 0
    kind: EnrichmentKind
    index: int | None = None
    stage: str
    source: Source
    at: datetime
    snapshot: bytes | None = None
    next: Next = "none"
    reason: str | None = None
    object_key: str | None = None
    url: str | None = None
    mime_type: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    text: str | None = None
    model: str | None = None
    recipe: str | None = None
    prompt_version: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    price_microusd: int | None = None
    latency_ms: int = 0
    cached: bool = False


class Attachment(Value, frozen=True, kw_only=True):
    index: int
    type: AttachmentType
    status: AttachmentStatus
    reason: str | None = None
    url: str | None = None
    original_url: str | None = None
    mime_type: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    filename: str | None = None
    object_key: str | None = None
    description: str | None = None
    transcript: str | None = None
    model: str | None = None
    recipe: str | None = None
    prompt_version: str | None = None


class Step(Value, frozen=True, kw_only=True):
    stage: str
    outcome: str
    topic: str
    partition: int
    offset: int
    at: datetime


class EnrichedMessage(Value, frozen=True, kw_only=True):
    tenant_id: TenantId
    message_key: MessageKey
    provider: str
    provider_message_id: str
    conversation_id: str
    role: MessageRole
    direction: Direction
    kind: MessageKind
    content: str | None
    content_attributes: str
    status: MessageStatus
    version: int
    occurred_at: datetime
    received_at: datetime
    enriched_at: datetime
    sender_id: str | None = None
    sender_name: str | None = None
    attachments: tuple[Attachment, ...] = ()
    endpoint_id: str | None = None
    source: Source
    aliases: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


class Quarantined(Value, frozen=True, kw_only=True):
    tenant_id: TenantId
    stage: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    key: bytes | None = None
    headers: dict[str, bytes] = {}
    value: bytes | None = None
    program_version: str
    created_at: datetime


class Verdict(Value, frozen=True, kw_only=True):
    outcome: str
    reason: str = ""
    generation: int = 0


class Receipt(Value, frozen=True, kw_only=True):
    stage: str
    topic: str
    partition: int
    first_offset: int
    next_offset: int
    at: datetime
    verdicts: tuple[Verdict, ...] = ()
    given: bytes = b""
    offsets: tuple[int, ...] = ()
    received_ms: tuple[int, ...] = ()
    keys: tuple[bytes, ...] = ()


TenantRecord = (
    RawMessage | MediaJob | VisionJob | AudioJob | Enrichment | EnrichedMessage | Quarantined
)
"""Records that belong to one tenant. A receipt covers records of many."""
Record = TenantRecord | Receipt


class FoundAttachment(Value, frozen=True, kw_only=True):
    """An attachment as a provider announces it.

    With neither `url` nor `media_id` there is no file (a location, a contact card, a
    failed download). `reason` is set if the file will never be fetched (`no_file`,
    `web_page`, `media_unavailable`). `attachment_id` is the provider's id for it, the
    same in every delivery of its message.
    """

    type: AttachmentType
    url: str | None = None
    media_id: str | None = None
    mime_type: str | None = None
    filename: str | None = None
    declared_sha256: str | None = None
    reason: str | None = None
    attachment_id: str | None = None

    @property
    def has_file(self) -> bool:
        """True if there is a file to fetch."""
        return self.reason is None and (self.url is not None or self.media_id is not None)


class ChatMessage(Value, frozen=True, kw_only=True):
    """The message that a provider adapter read from one raw record.

    `content` is the text exactly as sent, never empty. `attributes` becomes
    `content_attributes.provider`. `is_update` is True if it came as an update of a message
    that should be known already, `is_history` if it was imported, and `is_deleted` if its
    sender deleted it.
    """

    provider_message_id: str
    conversation_id: str
    role: MessageRole
    direction: Direction
    kind: MessageKind
    content: str | None
    occurred_at: datetime | None
    sender_id: str | None = None
    sender_name: str | None = None
    aliases: tuple[str, ...] = ()
    attachments: tuple[FoundAttachment, ...] = ()
    attributes: dict[str, Any] = {}
    is_update: bool = False
    is_history: bool = False
    is_deleted: bool = False
