"""What store_media needs of the world, and how a fetch ends without a file."""

import builtins
from collections.abc import Sequence
from typing import BinaryIO, Protocol

from schemas.reasons import AttachmentReason
from schemas.records import MediaJob
from streams.errors import StreamsError


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

    `family` web_page is an error page where a file was announced;
    office_page is a page that an office program opens as its document.
    """

    @property
    def mime(self) -> str: ...
    @property
    def extension(self) -> str: ...
    @property
    def family(self) -> str: ...


class CandidateRequest(Protocol):
    """One request that may give the file.

    Headers may hold credentials of the provider.
    """

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
        """Takes over a file that could not be kept, for the next try.

        May discard it instead.
        """
        ...

    async def stored_before(self, job: MediaJob) -> Fetched | None:
        """The file of this attachment, if an earlier generation stored it and the store has it
        still. Must not give another tenant's.
        """
        ...

    async def fetch(self, way: CandidateRequest, max_bytes: int) -> Fetched:
        """Raises FileGone, FileNotThere, Unavailable.

        Must never reach inside the network.
        """
        ...

    async def sniff(self, fetched: Fetched, announced: str | None) -> ContentType: ...

    async def keep(self, job: MediaJob, fetched: Fetched, kept: ContentType) -> str:
        """Puts the file into the store and returns its object key: the same for the same bytes of
        the same attachment.
        """
        ...

    def public_path(self, object_key: str) -> str: ...
