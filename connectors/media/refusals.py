"""The exceptions of a fetch that ends without a file.

A temporary failure raises schemas.outcomes.Unavailable instead.
"""

from connectors.errors import ConnectorsError
from schemas.reasons import AttachmentReason


class Refused(ConnectorsError):
    """The file cannot be fetched, and trying again would not help.

    `status` is set if a server answered.
    """

    def __init__(self, reason: AttachmentReason, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class NotFound(ConnectorsError):
    """The server answered 404.

    The caller decides how long a file may still be missing before it counts as gone.
    """
