"""Decides what the sink may quarantine.

A program that refuses nearly every record is wrong itself and must not empty a topic.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from connectors.postgres.writer import Placed, RefusedRecords, tenant_of
from schemas.receipts import Line


class QuarantineGate(Protocol):
    """Closed when too many records would be quarantined, until a person opens it."""

    @property
    def is_shut(self) -> bool: ...

    async def judge(self, lines: Sequence[Line], given_up: Callable[[], bool]) -> bool:
        """True if the outcomes in the lines are allowed.

        Waits while the gate is closed, unless `given_up`.
        """
        ...


class Judging:
    """Asks the gate without ever waiting at it.

    The sink cannot wait there, because it has an open transaction and must stay a
    member of its group.
    """

    def __init__(self, gate: QuarantineGate | None) -> None:
        self._gate = gate

    @property
    def is_shut(self) -> bool:
        return self._gate is not None and self._gate.is_shut

    async def may_quarantine(self, placed: Sequence[Placed], refused: RefusedRecords) -> bool:
        """True if the refused ones of these records may be quarantined."""
        gate = self._gate
        if gate is None:
            return True
        if gate.is_shut:
            return False
        bad = {id(one) for one, _ in refused}
        lines = [_line(one) for one in placed if id(one) not in bad]
        lines += [_line(one, verdict.reason) for one, verdict in refused]
        return await gate.judge(lines, lambda: gate.is_shut)

    async def stored(self, placed: Sequence[Placed]) -> None:
        """Reports to the gate that all of these records were stored.

        One record per tenant tells it as much as all.
        """
        if self._gate is not None:
            one_each = {tenant_of(one.record): one for one in placed}
            await self._gate.judge([_line(one) for one in one_each.values()], lambda: True)


def _line(placed: Placed, reason: str = "") -> Line:
    outcome = "quarantined" if reason else "forwarded"
    return Line(placed.source.offset, placed.key, 0, outcome, reason, 0)
