"""The exception for a file that cannot be prepared for a model."""

from connectors.errors import ConnectorsError
from connectors.media.frames import UnfitReason


class NotFit(ConnectorsError):
    """The file cannot be prepared, because of `reason`.

    `detail` is for the operator's log.
    """

    def __init__(self, reason: UnfitReason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason: UnfitReason = reason
        self.detail = detail[:200]
