"""How a fetch ends when there is no file.

What may get better is schemas.outcomes.Unavailable.
"""

from connectors.errors import ConnectorsError
from schemas.reasons import AttachmentReason


class Refused(ConnectorsError):
    """The file will not come, however often it is asked for.

    `status` is set if a server answered.
    """

    def __init__(self, reason: AttachmentReason, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class NotFound(ConnectorsError):
    """The server answered 404.

    The caller knows for how long a file may still be on its way.
    """
