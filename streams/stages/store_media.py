"""store_media: fetches one file, keeps it, and says which job follows."""

import builtins
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import BinaryIO, Literal, Protocol

import structlog

from schemas.media import is_binary, is_office, plain_type
from schemas.outcomes import Forward, Output, Unavailable
from schemas.reasons import AttachmentReason
from schemas.records import (
    Attachment,
    AttachmentType,
    AudioJob,
    EnrichedMessage,
    Enrichment,
    MediaJob,
    Next,
    Source,
    VisionJob,
)
from schemas.settings import Media
from schemas.tenants import TenantSettings
from streams.errors import StreamsError

log = structlog.get_logger()

KIND_BYTES: Mapping[AttachmentType, int] = {
    "image": 20_000_000,
    "sticker": 5_000_000,
    "audio": 25_000_000,
}
"""Caps below the general one, where the models that would see the file refuse more."""
_VISION_TYPES = frozenset({"image", "sticker", "document", "other"})
_NEVER_TEXT = frozenset({"image", "sticker", "audio", "video"})
_FAMILY_OF: Mapping[AttachmentType, str] = {
    "image": "image",
    "sticker": "image",
    "audio": "audio",
    "video": "video",
}


class Fetched(Protocol):
    """A file in the spool. The caller discards it."""

    @property
    def file(self) -> BinaryIO: ...
    @property
    def bytes(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def head(self) -> builtins.bytes: ...
    def discard(self) -> None: ...


class ContentType(Protocol):
    """What the content is, not what its name says.

    `family` web_page is an error page where a file was announced; office_page is a page that an office
    program opens as its document.
    """

    @property
    def mime(self) -> str: ...
    @property
    def extension(self) -> str: ...
    @property
    def family(self) -> str: ...


class CandidateRequest(Protocol):
    """One request that may give the file. Headers may hold credentials of the provider."""

    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def lifetime_seconds(self) -> float | None: ...


class FileGone(StreamsError):
    """Will not get better: `reason` says why, `cause` what the server said last.

    `try_next_way`: another request may still give it (401, 403).
    """

    def __init__(
        self, reason: AttachmentReason, try_next_way: bool = False, cause: str = ""
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.try_next_way = try_next_way
        self.cause = cause


class FileNotThere(StreamsError):
    """404: it may not be there yet."""


class MediaPorts(Protocol):
    """What the stage needs of the world. Trouble of the world is Unavailable."""

    def ways(self, job: MediaJob) -> Sequence[CandidateRequest]:
        """The requests to try, in order. Raises FileGone where none may be made."""
        ...

    def held(self, job: MediaJob) -> Fetched | None:
        """The file of this job, if an earlier try fetched it and handed it to `hold`."""
        ...

    def hold(self, job: MediaJob, fetched: Fetched) -> None:
        """Takes over a file that could not be kept, for the next try. May discard it instead."""
        ...

    async def stored_before(self, job: MediaJob) -> Fetched | None:
        """The file of this attachment, if an earlier generation stored it and the store has it still. Must not give another tenant's."""
        ...

    async def fetch(self, way: CandidateRequest, max_bytes: int) -> Fetched:
        """Raises FileGone, FileNotThere, Unavailable. Must never reach inside the network."""
        ...

    async def sniff(self, fetched: Fetched, announced: str | None) -> ContentType: ...

    async def keep(self, job: MediaJob, fetched: Fetched, kept: ContentType) -> str:
        """Puts the file into the store and returns its object key: the same for the same bytes of the same attachment."""
        ...

    def public_path(self, object_key: str) -> str: ...


async def store_media(
    job: MediaJob,
    *,
    ports: MediaPorts,
    limits: Media,
    tenant: TenantSettings,
    source: Source,
    waited_seconds: float,
    now: datetime,
) -> Forward:
    """One job in; one enrichment out, with the vision or audio job where one follows. Raises Unavailable to be asked again.

    `waited_seconds` since the job's first try decides when to give up.
    """
    try:
        age_seconds = max(waited_seconds, (now - job.received_at).total_seconds())
        found = (
            await _seen(job, ports, ports.held(job))
            or await _from_the_store(job, ports)
            or await _downloaded(job, ports, limits, tenant, waited_seconds, age_seconds)
        )
    except FileGone as gone:
        log.info(
            "media_failed",
            tenant=job.tenant_id,
            message_key=job.message_key,
            stage="store_media",
            reason=gone.reason,
        )
        failed = _enrichment(job, source, now, kind="failed", reason=gone.reason)
        return _forward(job, failed, gone)
    fetched, kept = found
    object_key = await _kept(job, ports, fetched, kept)
    following, reason = _next(job, kept, tenant)
    log.info(
        "media_stored",
        tenant=job.tenant_id,
        message_key=job.message_key,
        stage="store_media",
        bytes=fetched.bytes,
        mime=kept.mime,
        next=following,
    )
    stored = _enrichment(
        job,
        source,
        now,
        kind="stored",
        reason=reason,
        next=following,
        object_key=object_key,
        url=ports.public_path(object_key),
        mime_type=kept.mime,
        bytes=fetched.bytes,
        sha256=fetched.sha256,
    )
    return _forward(job, stored)


async def _kept(job: MediaJob, ports: MediaPorts, fetched: Fetched, kept: ContentType) -> str:
    """The object key. While the store is away the file is held: its link may not live that long."""
    try:
        object_key = await ports.keep(job, fetched, kept)
    except Unavailable:
        ports.hold(job, fetched)
        raise
    except BaseException:
        fetched.discard()
        raise
    fetched.discard()
    return object_key


async def _from_the_store(job: MediaJob, ports: MediaPorts) -> tuple[Fetched, ContentType] | None:
    """A replay first looks there: links expire, and what is stored never changes."""
    return await _seen(job, ports, await ports.stored_before(job) if job.generation else None)


async def _seen(
    job: MediaJob, ports: MediaPorts, before: Fetched | None
) -> tuple[Fetched, ContentType] | None:
    """A file of an earlier try or generation; what it is, is looked at again."""
    kept = await _accepted(job, ports, before) if before is not None else None
    return (before, kept) if before is not None and kept is not None else None


async def _downloaded(
    job: MediaJob,
    ports: MediaPorts,
    limits: Media,
    tenant: TenantSettings,
    waited_seconds: float,
    age_seconds: float,
) -> tuple[Fetched, ContentType]:
    fetched = await _fetch(job, ports, limits, tenant, waited_seconds, age_seconds)
    kept = await _accepted(job, ports, fetched)
    if kept is None:
        raise FileGone("media_wrong_content")
    return fetched, kept


async def _accepted(job: MediaJob, ports: MediaPorts, fetched: Fetched) -> ContentType | None:
    """What the file is; None, and it is discarded, for an error body.

    Bytes of the digest that was announced are what the sender sent, whatever they look like.
    """
    try:
        kept = await ports.sniff(fetched, _announced(job))
    except BaseException:
        fetched.discard()
        raise
    if job.declared_sha256 != fetched.sha256 and _is_error_body(job, kept):
        fetched.discard()
        return None
    return kept


def _announced(job: MediaJob) -> str | None:
    """The declared type; where it does not fit what the provider calls the attachment, that: voice notes are declared as film."""
    family = _FAMILY_OF.get(job.type)
    return (
        job.mime_type
        if family is None or plain_type(job.mime_type).startswith(f"{family}/")
        else f"{family}/*"
    )


def _is_error_body(job: MediaJob, kept: ContentType) -> bool:
    """A page, a JSON body or a line of text where a file was announced.

    Servers say "expired" and "log in" with 200. Banks and accounting systems send tables as pages.
    """
    is_page = kept.family in ("web_page", "office_page")
    if is_page and job.type == "document":
        is_export = kept.family == "office_page" and is_office(job.mime_type, job.filename)
        return is_binary(job.mime_type, job.filename) and not is_export
    if is_page:
        return True
    return job.type in _NEVER_TEXT and kept.mime.startswith("text/")


async def _fetch(
    job: MediaJob,
    ports: MediaPorts,
    limits: Media,
    tenant: TenantSettings,
    waited_seconds: float,
    age_seconds: float,
) -> Fetched:
    """The file by the first way that gives it. Gives up (FileGone) when waiting longer cannot help: a link's life counts from its message."""
    max_bytes = min(
        tenant.max_bytes or limits.max_bytes, KIND_BYTES.get(job.type, limits.max_bytes)
    )
    ways = ports.ways(job)
    last: Exception = FileGone("media_unavailable")
    lifetime = min(
        (way.lifetime_seconds for way in ways if way.lifetime_seconds is not None), default=math.inf
    )
    for way in ways:
        try:
            return await ports.fetch(way, max_bytes)
        except FileGone as gone:
            if not gone.try_next_way or (isinstance(last, FileGone) and last.try_next_way):
                raise  # refused with the key and without it: no third form of the request is anything else
            last = gone
        except FileNotThere as missing:
            last = missing
        except Unavailable as trouble:
            if trouble.what != "media":
                raise  # our disk, not their server: it waits as long as it takes
            last = trouble
            break
    match last:
        case FileNotThere() if waited_seconds < limits.not_found_seconds:
            left = limits.not_found_seconds - waited_seconds
            raise Unavailable("media", retry_after=2.0, detail="404", at_most=left)
        case FileNotThere():
            raise FileGone("media_not_found", cause="404")
        case Unavailable() if waited_seconds < limits.retry_seconds and age_seconds < lifetime:
            last.at_most = min(limits.retry_seconds - waited_seconds, lifetime - age_seconds)
            raise last
        case Unavailable():
            raise FileGone("media_timeout", cause=last.detail)
        case _:
            raise last


def _next(job: MediaJob, kept: ContentType, tenant: TenantSettings) -> tuple[Next, str | None]:
    """Which model sees the file, or none; the reason stands only where one would have."""
    following: Next = "none"
    if job.type == "audio" or kept.family == "audio":
        following = "audio"
    elif _is_image(job, kept) and job.type in _VISION_TYPES:
        following = "vision"
    if following == "none" or job.unpaid_reason is None:
        return following, None
    asked = (job.unpaid_reason == "outgoing" and tenant.describe_outgoing) or (
        job.unpaid_reason in ("old", "history") and tenant.describe_old
    )
    return (following, None) if asked else ("none", job.unpaid_reason)


def _is_image(job: MediaJob, kept: ContentType) -> bool:
    """By content. Of bytes that say nothing, announced as a picture, the decoder has the word: it knows more formats."""
    announced = _FAMILY_OF.get(job.type) == "image" or plain_type(job.mime_type).startswith(
        "image/"
    )
    return kept.family == "image" or (kept.family == "unknown" and announced)


def _forward(job: MediaJob, enrichment: Enrichment, gone: FileGone | None = None) -> Forward:
    outputs = [Output("enrichments", job.message_key, enrichment, job.generation)]
    if enrichment.next == "vision" or enrichment.next == "audio":
        outputs.append(
            model_job(
                enrichment.next,
                job,
                enrichment,
                generation=job.generation,
                index=job.index,
                filename=job.filename,
            )
        )
    if gone is None:
        return Forward(tuple(outputs))
    return Forward(tuple(outputs), failure=gone.reason, cause=gone.cause)


def model_job(
    following: Literal["vision", "audio"],
    of: MediaJob | EnrichedMessage,
    stored: Enrichment | Attachment,
    *,
    generation: int,
    index: int,
    filename: str | None,
) -> Output:
    """The job that shows a stored file of a message to a model."""
    kind = VisionJob if following == "vision" else AudioJob
    job = kind(
        tenant_id=of.tenant_id,
        message_key=of.message_key,
        provider=of.provider,
        generation=generation,
        index=index,
        object_key=stored.object_key or "",
        sha256=stored.sha256 or "",
        mime_type=stored.mime_type or "",
        bytes=stored.bytes or 0,
        filename=filename,
    )
    return Output(following, of.message_key, job, generation)


def _enrichment(job: MediaJob, source: Source, now: datetime, **fields: object) -> Enrichment:
    return Enrichment(
        tenant_id=job.tenant_id,
        message_key=job.message_key,
        provider=job.provider,
        generation=job.generation,
        index=job.index,
        stage="store_media",
        source=source,
        at=now,
        **fields,  # type: ignore[arg-type]
    )
