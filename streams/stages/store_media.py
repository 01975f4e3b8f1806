"""store_media: fetches one file, stores it, and decides which job follows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog

from schemas.fetching import FileGone, FileNotThere
from schemas.media import is_binary, is_office, plain_type
from schemas.outcomes import Forward, Output, Unavailable
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
from streams.stages.media_ports import CandidateRequest as CandidateRequest
from streams.stages.media_ports import ContentType as ContentType
from streams.stages.media_ports import Fetched as Fetched
from streams.stages.media_ports import MediaPorts as MediaPorts

log = structlog.get_logger()

KIND_BYTES: Mapping[AttachmentType, int] = {
    "image": 20_000_000,
    "sticker": 5_000_000,
    "audio": 25_000_000,
}
"""Limits below the general one, for files of kinds whose models refuse larger ones."""
_VISION_TYPES = frozenset({"image", "sticker", "document", "other"})
_NEVER_TEXT = frozenset({"image", "sticker", "audio", "video"})
_FAMILY_OF: Mapping[AttachmentType, str] = {
    "image": "image",
    "sticker": "image",
    "audio": "audio",
    "video": "video",
}


@dataclass(frozen=True, slots=True)
class _Try:
    """One try of a job.

    `waited_seconds` have passed since its first try, and `age_seconds` since the
    message arrived.
    """

    job: MediaJob
    ports: MediaPorts
    limits: Media
    tenant: TenantSettings
    waited_seconds: float
    age_seconds: float


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
    """Turns one job into one enrichment, and the vision or audio job if one follows.

    Raises Unavailable if the job must be tried again. `waited_seconds`, the time since
    the job's first try, decides when to give up.
    """
    age_seconds = max(waited_seconds, (now - job.received_at).total_seconds())
    this = _Try(job, ports, limits, tenant, waited_seconds, age_seconds)
    try:
        fetched, content = await _obtain(this)
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
    object_key = await _store(job, ports, fetched, content)
    stored = _stored(this, fetched, content, object_key, source, now)
    return _forward(job, stored)


def _stored(
    this: "_Try",
    fetched: Fetched,
    content: ContentType,
    object_key: str,
    source: Source,
    now: datetime,
) -> Enrichment:
    """The enrichment with the file's object key and the model that is to see it."""
    job, (following, reason) = this.job, _next(this.job, content, this.tenant)
    log.info(
        "media_stored",
        tenant=job.tenant_id,
        message_key=job.message_key,
        stage="store_media",
        bytes=fetched.bytes,
        mime=content.mime,
        next=following,
    )
    return _enrichment(
        job,
        source,
        now,
        kind="stored",
        reason=reason,
        next=following,
        object_key=object_key,
        url=this.ports.public_path(object_key),
        mime_type=content.mime,
        bytes=fetched.bytes,
        sha256=fetched.sha256,
    )


async def _store(job: MediaJob, ports: MediaPorts, fetched: Fetched, content: ContentType) -> str:
    """Stores the file and returns its object key.

    If the store is unavailable, the file is held for the next try, because its link may
    have expired by then.
    """
    try:
        object_key = await ports.keep(job, fetched, content)
    except Unavailable:
        ports.hold(job, fetched)
        raise
    except BaseException:
        fetched.discard()
        raise
    fetched.discard()
    return object_key


async def _obtain(this: _Try) -> tuple[Fetched, ContentType]:
    """Returns the file and its content type.

    A replay first looks in the store, because links expire and stored files never
    change. A later delivery of a message looks there if its link fails: its row shows
    the file already and must keep it. Other live traffic only downloads.
    """
    job, ports = this.job, this.ports
    held = await _seen(job, ports, ports.held(job))
    if held is not None:
        return held
    if job.generation:
        return await _from_the_store(job, ports) or await _downloaded(this)
    try:
        return await _downloaded(this)
    except FileGone:
        stored = await _from_the_store(job, ports)
        if stored is None:
            raise
        return stored


async def _from_the_store(job: MediaJob, ports: MediaPorts) -> tuple[Fetched, ContentType] | None:
    return await _seen(job, ports, await ports.stored_before(job))


async def _seen(
    job: MediaJob, ports: MediaPorts, before: Fetched | None
) -> tuple[Fetched, ContentType] | None:
    """Returns a file of an earlier try or generation.

    Its content type is determined again.
    """
    content = await _accepted(job, ports, before) if before is not None else None
    return (before, content) if before is not None and content is not None else None


async def _downloaded(this: _Try) -> tuple[Fetched, ContentType]:
    fetched = await _fetch(this)
    content = await _accepted(this.job, this.ports, fetched)
    if content is None:
        raise FileGone("media_wrong_content")
    return fetched, content


async def _accepted(job: MediaJob, ports: MediaPorts, fetched: Fetched) -> ContentType | None:
    """Returns the content type, or discards the file and returns None if it is an error body.

    A file with the announced digest is what the sender sent, so it is always accepted.
    """
    try:
        content = await ports.sniff(fetched, _announced(job))
    except BaseException:
        fetched.discard()
        raise
    if job.declared_sha256 != fetched.sha256 and _is_error_body(job, content):
        fetched.discard()
        return None
    return content


def _announced(job: MediaJob) -> str | None:
    """The declared content type, or the attachment's family if the two disagree.

    Voice notes are often declared as video.
    """
    family = _FAMILY_OF.get(job.type)
    return (
        job.mime_type
        if family is None or plain_type(job.mime_type).startswith(f"{family}/")
        else f"{family}/*"
    )


def _is_error_body(job: MediaJob, content: ContentType) -> bool:
    """True if the content is a web page, a JSON body or a line of text instead of the file.

    Servers answer "expired" and "log in" with status 200. But banks and accounting
    systems send tables as HTML pages.
    """
    is_page = content.family in ("web_page", "office_page")
    if is_page and job.type == "document":
        is_export = content.family == "office_page" and is_office(job.mime_type, job.filename)
        return is_binary(job.mime_type, job.filename) and not is_export
    if is_page:
        return True
    return job.type in _NEVER_TEXT and content.mime.startswith("text/")


async def _fetch(this: _Try) -> Fetched:
    """Returns the file from the first candidate request that gives it.

    Raises FileGone if waiting longer cannot help. A link's lifetime counts from its message.
    """
    job, limits = this.job, this.limits
    cap = KIND_BYTES.get(job.type, limits.max_bytes)
    max_bytes = min(this.tenant.max_bytes or limits.max_bytes, cap)
    candidates = this.ports.candidates(job)
    last: Exception = FileGone("media_unavailable")
    for candidate in candidates:
        try:
            return await this.ports.fetch(candidate, max_bytes)
        except FileGone as gone:
            # Refused with the key and without it: further candidates differ in nothing else.
            if not gone.try_next_candidate or (
                isinstance(last, FileGone) and last.try_next_candidate
            ):
                raise
            last = gone
        except FileNotThere as missing:
            last = missing
        except Unavailable as trouble:
            if trouble.what != "media":
                raise  # our disk, not their server: wait as long as it takes
            last = trouble
            break
    lifetimes = (one.lifetime_seconds for one in candidates if one.lifetime_seconds is not None)
    raise _no_file(this, last, min(lifetimes, default=math.inf))


def _no_file(this: _Try, last: Exception, lifetime: float) -> Exception:
    """Returns the exception to raise when no candidate gave the file.

    It is Unavailable if waiting can help, else FileGone.
    """
    waited, limits = this.waited_seconds, this.limits
    match last:
        case FileNotThere() if waited < limits.not_found_seconds:
            left = limits.not_found_seconds - waited
            return Unavailable("media", retry_after=2.0, detail="404", at_most=left)
        case FileNotThere():
            return FileGone("media_not_found", cause="404")
        case Unavailable() if waited < limits.retry_seconds and this.age_seconds < lifetime:
            last.at_most = min(limits.retry_seconds - waited, lifetime - this.age_seconds)
            return last
        case Unavailable():
            return FileGone("media_timeout", cause=last.detail)
        case _:
            return last


def _next(job: MediaJob, content: ContentType, tenant: TenantSettings) -> tuple[Next, str | None]:
    """Returns the model that is to see the file, or the reason why it must not see it.

    There is a reason only if a model would have seen the file otherwise.
    """
    following: Next = "none"
    if job.type == "audio" or content.family == "audio":
        following = "audio"
    elif _is_image(job, content) and job.type in _VISION_TYPES:
        following = "vision"
    if following == "none" or job.unpaid_reason is None:
        return following, None
    tenant_asks = (job.unpaid_reason == "outgoing" and tenant.describe_outgoing) or (
        job.unpaid_reason in ("old", "history") and tenant.describe_old
    )
    return (following, None) if tenant_asks else ("none", job.unpaid_reason)


def _is_image(job: MediaJob, content: ContentType) -> bool:
    """True if the content is an image.

    Unrecognised bytes announced as an image are left to the decoder, which knows more
    formats.
    """
    announced = _FAMILY_OF.get(job.type) == "image" or plain_type(job.mime_type).startswith(
        "image/"
    )
    return content.family == "image" or (content.family == "unknown" and announced)


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
    """The job that gives a message's stored file to a model."""
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
