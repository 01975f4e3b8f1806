"""Repairs by plan: counted, confirmed, applied a portion
at a time. One implementation for pages, API and commands.

A portion is written down in Postgres (its intent), written to Kafka in one transaction
together with its number, and settled in Postgres. Whoever continues after a crash asks
Kafka for the number of the last portion that was committed under the repair's
transactional id, which also stops whoever worked on it before: no portion is written
twice, and none is left out.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import structlog

from schemas.outcomes import Unavailable
from storage.background import retry_forever
from storage.postgres.repair_plans import Counted, HeldRepair, Intent, RepairLost, RepairRequest
from storage.postgres.repairs import Repairs
from streams.lanes.transactions import Write

log = structlog.get_logger()

LOOK_SECONDS = 2.0
AWAY_SECONDS = 5.0
"""So long a repair that found Kafka or Postgres away is left alone."""
MOST_AT_ONCE = 4
"""Repairs that one process works on at a time; others wait for their turn."""
MOST_RECORDS = 500
PORTIONS_PER_SECOND = 2.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A portion that is ready to be written.

    `intent` with what its preparation counted.
    """

    intent: Intent
    writes: Sequence[Write]


class Opened(Protocol):
    """The side of Kafka for one repair in this
    process's hands; whoever had it before is fenced.
    """

    async def committed(self) -> int:
        """The number of the last portion that was committed; 0: none."""

    async def following(self, most: int) -> Intent | None:
        """The next portion; None: nothing is left. Raises Unavailable."""

    async def prepared(self, intent: Intent) -> Prepared:
        """Reads what is to be written. Raises Unavailable."""

    async def write(self, portion: Prepared) -> None:
        """All of it, with its number, in one transaction.

        Raises Unavailable when nobody can say whether it is there.
        """


class Redo(Protocol):
    """What does work again."""

    async def next_generation(self, detail: str) -> int:
        """Higher than all before. Raises Unavailable."""

    async def count(self, asked: RepairRequest) -> Counted:
        """What a plan says. Raises Unavailable."""

    def opened(self, held: HeldRepair) -> AbstractAsyncContextManager[Opened]:
        """Raises Unavailable."""


def portion_of(rate: float) -> int:
    """How many records a portion has at this rate, so that several come per second."""
    return max(1, min(MOST_RECORDS, int(rate / PORTIONS_PER_SECOND))) if rate else MOST_RECORDS


Progress = Callable[[HeldRepair, Intent], None]
"""Is told each portion once it is settled."""


def _say_nothing(held: HeldRepair, intent: Intent) -> None:
    pass


class RepairWork:
    """Plans and applies.

    As a loop beside a console; several consoles share the work by taking turns.
    """

    def __init__(self, repairs: Repairs, redo: Redo) -> None:
        self._repairs = repairs
        self._redo = redo
        self.holder = secrets.token_hex(8)
        self._worked_at = 0.0
        self._wanted = asyncio.Event()

    async def plan(self, asked: RepairRequest) -> str:
        """Counts, and keeps the plan.

        Raises RepairError for nothing to do, Unavailable.
        """
        return await self._repairs.add(asked, await self._redo.count(asked))

    async def begin(
        self, asked: RepairRequest, repair_id: str, rate: float | None = None, *, here: bool = False
    ) -> None:
        """Applies a plan; with `here`, this process is the one that works on it.

        Raises RepairError, Unavailable.
        """
        detail = " ".join(filter(None, (asked.tenant_id, asked.choice.stage, asked.choice.reason)))
        generation = await self._redo.next_generation(f"{asked.kind}: {detail}")
        holder = self.holder if here else ""
        await self._repairs.apply(
            asked.tenant_id, repair_id, generation, asked.person, rate, holder
        )
        self._wanted.set()

    async def run(self) -> None:
        """Runs until it is cancelled; whatever
        goes wrong is logged, and tried again.
        """
        await retry_forever(self._look, self._failed, lambda: self._worked_at)

    async def _look(self) -> None:
        at_work: set[asyncio.Task[None]] = set()
        try:
            while True:
                at_work = {task for task in at_work if not task.done()}
                held = None
                if len(at_work) < MOST_AT_ONCE:
                    held = await self._repairs.hold(f"{self.holder}-{secrets.token_hex(4)}")
                self._worked_at = time.monotonic()
                if held is not None:
                    at_work.add(asyncio.create_task(self._whole(held), name="repair"))
                    continue
                self._wanted.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wanted.wait(), LOOK_SECONDS)
        finally:
            for task in at_work:
                task.cancel()
            await asyncio.gather(*at_work, return_exceptions=True)

    async def _whole(self, held: HeldRepair) -> None:
        try:
            await self.work(held)
        except (RepairLost, Unavailable) as passing:
            log.info("repair_waits", repair=held.repair_id, what=str(passing)[:200])
        except Exception as error:
            log.exception("repair_failed", repair=held.repair_id)
            with contextlib.suppress(Exception):
                await self._repairs.let_go(held, type(error).__name__, 12 * AWAY_SECONDS)

    async def work(
        self,
        held: HeldRepair,
        progress: Progress = _say_nothing,
    ) -> None:
        """Works on it until it is done or cancelled.

        Raises Unavailable and RepairLost: another may continue.
        """
        try:
            async with self._redo.opened(held) as opened:
                if held.intent is not None:
                    progress(held, await self._settle_left(held, held.intent, opened))
                while held.state == "running":
                    began = time.monotonic()
                    written = await self._portion(held, opened)
                    if written is None:
                        break
                    progress(held, written)
                    await _pace(held, began)
        except Unavailable as away:
            with contextlib.suppress(Unavailable):
                await self._repairs.let_go(held, away.what, AWAY_SECONDS)
            raise
        except asyncio.CancelledError:  # a restart: others need not wait until the hold is over
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._repairs.let_go(held), AWAY_SECONDS)
            raise

    async def _portion(self, held: HeldRepair, opened: Opened) -> Intent | None:
        """The next portion, settled; None: there was none.

        1. Choose the records, and read what is to be written.
        2. Write down in Postgres that this portion is at hand.
           It fails where the repair was cancelled or is lost.
        3. Write it to Kafka, its number in the same transaction.
        4. Settle it in Postgres.
        """
        following = await opened.following(portion_of(held.rate))  # 1
        if following is None:
            await self._repairs.finish(held)
            return None
        prepared = await opened.prepared(following)
        if not await self._repairs.intend(held, prepared.intent):  # 2
            held.state = "cancelled"
            return None
        await opened.write(prepared)  # 3
        await self._repairs.settle(held, prepared.intent)  # 4
        return prepared.intent

    async def _settle_left(self, held: HeldRepair, intent: Intent, opened: Opened) -> Intent:
        """A portion that was at hand when its worker ended:
        written, unless it is in Kafka or was cancelled.
        """
        if await opened.committed() < intent.number:
            if held.state == "cancelled":
                intent = Intent(intent.number, (), 0, held.done_at, held.done_key)
            else:
                prepared = await opened.prepared(intent)
                await opened.write(prepared)
                intent = prepared.intent  # it counts what is written now
        await self._repairs.settle(held, intent)
        return intent

    def _failed(self, error: Exception) -> None:
        log.warning("repair_work_failed", what=type(error).__name__)


async def _pace(held: HeldRepair, began: float) -> None:
    """Waits as long as the rate demands of a portion."""
    if held.rate and held.state == "running":
        wanted = portion_of(held.rate) / held.rate
        await asyncio.sleep(max(0.0, began + wanted - time.monotonic()))
