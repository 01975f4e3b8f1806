"""The Faust side of a lane's table.

Faust manages its name, its changelog topic and the ownership of its partitions. The lane
loads the contents and writes them in its transactions. Faust's own recovery never ends on
a transactional changelog (its last offset is a marker that is never delivered), so it is
disabled for these tables.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import faust
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP

from streams.lanes.state import PartitionState

S = TypeVar("S", bound=PartitionState)


class LaneTable(faust.Table[Any, Any], Generic[S]):
    """A Faust table whose contents belong to lanes.

    `partitions_held[p]` is the state of partition p while a lane of this process owns it.
    """

    def __init__(self, app: faust.App, *, new_state: Callable[[], S], **options: Any) -> None:
        super().__init__(app, **options)
        self.new_state = new_state
        self.partitions_held: dict[int, S] = {}

    def info(self) -> dict[str, Any]:
        return {**super().info(), "new_state": self.new_state}


class LaneRecovery(Recovery):
    """Neither reads nor waits for the changelog of a LaneTable."""

    def add_active(self, table: Any, tp: TP) -> None:
        if not isinstance(table, LaneTable):
            super().add_active(table, tp)

    def add_standby(self, table: Any, tp: TP) -> None:
        if not isinstance(table, LaneTable):
            super().add_standby(table, tp)


class LaneTableManager(TableManager):
    """A TableManager whose recovery is LaneRecovery."""

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = LaneRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
