"""Repairs at work: a portion at a time, at a bounded rate, from where the last portion ended."""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

import structlog

from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from storage.background import again_and_again
from storage.postgres.repairs import MOST_TRIES, HeldRepair, Repairs

log = structlog.get_logger()

PORTION = 25
SECONDS_PER_PORTION = 0.5
"""So at most 50 messages are tried again per second: live traffic comes first."""
LOOK_SECONDS = 2.0
MESSAGES_PER_SECOND = PORTION / SECONDS_PER_PORTION


class Redo(Protocol):
    """What opens messages again. The console does not know how; its role hands it in."""

    async def next_generation(self, detail: str) -> int:
        """Higher than all before."""

    async def again(
        self, tenant_id: TenantId, reason: str, keys: Sequence[str], generation: int
    ) -> int:
        """Has these messages' failed files redone, and says how many files that are.

        Raises Unavailable while Kafka or Postgres is away: then it is not known what was written,
        and the same may be asked again.
        """


class RepairWork:
    """Beside the requests of a console; several consoles share the work by taking turns."""

    def __init__(self, repairs: Repairs, redo: Redo) -> None:
        self._repairs = repairs
        self._redo = redo
        self._worked_at = 0.0
        self._wanted = asyncio.Event()

    def hurry(self) -> None:
        """A repair was applied: it is not waited for."""
        self._wanted.set()

    async def run(self) -> None:
        """Until it is cancelled; whatever goes wrong is logged, and tried again."""
        await again_and_again(self._look, self._failed, lambda: self._worked_at)

    async def _look(self) -> None:
        while True:
            held = await self._repairs.hold()
            self._worked_at = time.monotonic()
            if held is None:
                self._wanted.clear()
                try:
                    await asyncio.wait_for(self._wanted.wait(), LOOK_SECONDS)
                except TimeoutError:
                    continue
            else:
                await self.portion(held)
                await asyncio.sleep(SECONDS_PER_PORTION)

    async def portion(self, held: HeldRepair) -> None:
        """Tries the next messages again, or ends the repair when there are none."""
        seen = await self._repairs.following(held, PORTION)
        if not seen:
            await self._repairs.finish(held)
            return
        keys = [one.message_key for one in seen if one.tries < MOST_TRIES]
        try:
            redone = 0
            if keys:
                redone = await self._redo.again(held.tenant_id, held.reason, keys, held.generation)
                await self._repairs.note_tries(held, keys)
        except Unavailable as away:
            await self._repairs.trouble(held, away.what)
            return
        await self._repairs.move(held, seen, redone)

    def _failed(self, error: Exception) -> None:
        log.warning("repair_work_failed", what=type(error).__name__)
