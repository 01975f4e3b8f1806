"""The exceptions of a fetch that ends without a file, for connectors and stages.

A temporary failure raises schemas.outcomes.Unavailable instead.
"""

from schemas.errors import SchemasError
from schemas.reasons import AttachmentReason


class FileGone(SchemasError):
    """The file will not become available, and trying this request again would not help.

    `reason` says why. `status` is set if a server answered, and `cause` is the server's
    last answer.
    """

    def __init__(
        self, reason: AttachmentReason, status: int | None = None, cause: str = ""
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.cause = cause

    @property
    def try_next_candidate(self) -> bool:
        """True if another request, with or without the provider's key, may return the file."""
        return self.status in (401, 403)


class FileNotThere(SchemasError):
    """The server answered 404: the file may appear later.

    The caller decides how long a file may be missing before it counts as gone.
    """
