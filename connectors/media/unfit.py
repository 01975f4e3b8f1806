"""Why a file cannot be shown to a model."""

from connectors.errors import ConnectorsError
from connectors.media.frames import UnfitReason


class NotFit(ConnectorsError):
    """`detail` is for the operator's log."""

    def __init__(self, reason: UnfitReason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason: UnfitReason = reason
        self.detail = detail[:200]
