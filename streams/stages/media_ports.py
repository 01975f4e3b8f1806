"""The ports of store_media, and the errors of a fetch that returns no file."""

import builtins
from collections.abc import Sequence
from typing import BinaryIO, Protocol

from schemas.records import MediaJob


class Fetched(Protocol):
    """A file in the spool, which the caller discards."""

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
    """The type of the content, whatever its name says.

    The family `web_page` is an error page instead of the announced file; `office_page`
    is an HTML page that an office program opens as its document.
    """

    @property
    def mime(self) -> str: ...
    @property
    def extension(self) -> str: ...
    @property
    def family(self) -> str: ...


class CandidateRequest(Protocol):
    """One request that may return the file.

    Its headers may contain credentials of the provider.
    """

    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def lifetime_seconds(self) -> float | None: ...


class MediaPorts(Protocol):
    """Everything store_media needs from outside.

    Implementations raise Unavailable if a server or the disk is in trouble.
    """

    def candidates(self, job: MediaJob) -> Sequence[CandidateRequest]:
        """Returns the candidate requests in order.

        Raises FileGone if none may be made.
        """
        ...

    def held(self, job: MediaJob) -> Fetched | None:
        """Returns the file of this job if an earlier try fetched it and handed it to `hold`."""
        ...

    def hold(self, job: MediaJob, fetched: Fetched) -> None:
        """Takes over a file that could not be stored, for the next try.

        May discard it instead.
        """
        ...

    async def stored_before(self, job: MediaJob) -> Fetched | None:
        """Returns the file of this attachment if an earlier generation stored it.

        The store must still have it. Must not return another tenant's file.
        """
        ...

    async def fetch(self, candidate: CandidateRequest, max_bytes: int) -> Fetched:
        """Fetches the file. Raises FileGone, FileNotThere or Unavailable.

        Must never connect to an address inside the network.
        """
        ...

    async def sniff(self, fetched: Fetched, announced: str | None) -> ContentType: ...

    async def keep(self, job: MediaJob, fetched: Fetched, content: ContentType) -> str:
        """Stores the file and returns its object key.

        The key is the same for the same bytes of the same attachment.
        """
        ...

    def public_path(self, object_key: str) -> str: ...
