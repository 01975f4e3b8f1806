"""Repairs by plan: counted, confirmed, and applied in portions.

Pages, API and commands share this implementation. A portion is recorded in Postgres as
an intent, written to Kafka in one transaction together with its number, and settled in
Postgres. After a crash, the next worker asks Kafka for the number of the last portion
that was committed under the repair's transactional id. Opening that id also fences the
former worker. No portion is therefore written twice or left out.
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
from storage.kafka.counts import WrongCounts
from storage.postgres.repair_plans import (
    WRONG_COUNTS,
    Counted,
    HeldRepair,
    Intent,
    RepairError,
    RepairLost,
    RepairRequest,
)
from storage.postgres.repairs import Repairs
from streams.lanes.transactions import Write

log = structlog.get_logger()

LOOK_SECONDS = 2.0
AWAY_SECONDS = 5.0
"""A repair pauses for this long after Kafka or Postgres was unavailable."""
MOST_AT_ONCE = 4
"""Repairs that one process applies at a time. Others wait."""
MOST_RECORDS = 500
PORTIONS_PER_SECOND = 2.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A portion that is ready to be written.

    `intent` includes the counts of its preparation.
    """

    intent: Intent
    writes: Sequence[Write]


class Opened(Protocol):
    """The Kafka side of one repair in this process. Its former worker is fenced."""

    async def committed(self) -> int:
        """The number of the last committed portion, or 0."""

    async def following(self, most: int) -> Intent | None:
        """Returns the next portion, or None if nothing is left. Raises Unavailable."""

    async def prepared(self, intent: Intent) -> Prepared:
        """Reads what the portion will write. Raises Unavailable."""

    async def write(self, portion: Prepared) -> None:
        """Writes the whole portion and its number in one transaction.

        Raises Unavailable if it is unknown whether the transaction was committed.
        """


class Redo(Protocol):
    """Counts and reads the work that is to be done again."""

    async def next_generation(self, detail: str) -> int:
        """Returns a generation higher than all before. Raises Unavailable."""

    async def count(self, request: RepairRequest) -> Counted:
        """Returns the counts that a plan shows. Raises Unavailable, WrongCounts."""

    def opened(self, held: HeldRepair) -> AbstractAsyncContextManager[Opened]:
        """Opens the repair on Kafka. Raises Unavailable, WrongCounts."""


def portion_of(rate: float) -> int:
    """Returns the number of records of a portion at this rate.

    There are several portions per second.
    """
    return max(1, min(MOST_RECORDS, int(rate / PORTIONS_PER_SECOND))) if rate else MOST_RECORDS


Progress = Callable[[HeldRepair, Intent], None]
"""Called with each portion after it is settled."""


def _say_nothing(held: HeldRepair, intent: Intent) -> None:
    pass


class RepairWork:
    """Plans and applies repairs.

    `run` is a background loop of a console. Several consoles share the work, because
    each repair is held by one of them at a time.
    """

    def __init__(self, repairs: Repairs, redo: Redo) -> None:
        self._repairs = repairs
        self._redo = redo
        self.holder = secrets.token_hex(8)
        self._worked_at = 0.0
        self._has_work = asyncio.Event()

    async def plan(self, request: RepairRequest) -> str:
        """Counts, and stores the plan.

        Raises RepairError if there is nothing to do, or if Kafka's topics have other
        partition counts than the settings say; and Unavailable.
        """
        try:
            counted = await self._redo.count(request)
        except WrongCounts as wrong:
            log.error("partition_counts_wrong", detail=str(wrong))
            raise RepairError(f"repair.{WRONG_COUNTS}") from None
        return await self._repairs.add(request, counted)

    async def begin(
        self,
        request: RepairRequest,
        repair_id: str,
        rate: float | None = None,
        *,
        here: bool = False,
    ) -> None:
        """Starts to apply a plan. With `here`, this process will apply it.

        Raises RepairError and Unavailable.
        """
        detail = " ".join(
            filter(None, (request.tenant_id, request.choice.stage, request.choice.reason))
        )
        generation = await self._redo.next_generation(f"{request.kind}: {detail}")
        holder = self.holder if here else ""
        await self._repairs.apply(
            request.tenant_id, repair_id, generation, request.person, rate, holder
        )
        self._has_work.set()

    async def run(self) -> None:
        """Runs until it is cancelled. Every error is logged, and the loop continues."""
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
                self._has_work.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._has_work.wait(), LOOK_SECONDS)
        finally:
            for task in at_work:
                task.cancel()
            await asyncio.gather(*at_work, return_exceptions=True)

    async def _whole(self, held: HeldRepair) -> None:
        try:
            await self.work(held)
        except (RepairLost, Unavailable) as passing:
            log.info("repair_waits", repair=held.repair_id, what=str(passing)[:200])
        except WrongCounts as wrong:
            log.error("partition_counts_wrong", repair=held.repair_id, detail=str(wrong))
            with contextlib.suppress(Exception):
                await self._repairs.let_go(held, WRONG_COUNTS, 12 * AWAY_SECONDS)
        except Exception as error:
            log.exception("repair_failed", repair=held.repair_id)
            with contextlib.suppress(Exception):
                await self._repairs.let_go(held, type(error).__name__, 12 * AWAY_SECONDS)

    async def work(
        self,
        held: HeldRepair,
        progress: Progress = _say_nothing,
    ) -> None:
        """Applies the repair until it is done or cancelled.

        Raises Unavailable and RepairLost; then another process may continue.
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
                await self._repairs.let_go(held, away.name, AWAY_SECONDS)
            raise
        except asyncio.CancelledError:  # a restart: others need not wait for the hold to expire
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._repairs.let_go(held), AWAY_SECONDS)
            raise

    async def _portion(self, held: HeldRepair, opened: Opened) -> Intent | None:
        """Applies the next portion and returns it, or None if nothing is left.

        1. Choose the records, and read what is to be written.
        2. Record the portion in Postgres as begun. This fails if the repair was cancelled or
           another process has taken it over.
        3. Write it to Kafka, with its number in the same transaction.
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
        """Settles a portion that was begun when its worker ended.

        Writes it, unless Kafka has it or the repair was cancelled.
        """
        if await opened.committed() < intent.number:
            if held.state == "cancelled":
                intent = Intent(intent.number, (), 0, held.done_at, held.done_key)
            else:
                prepared = await opened.prepared(intent)
                await opened.write(prepared)
                intent = prepared.intent  # its counts are those of this write
        await self._repairs.settle(held, intent)
        return intent

    def _failed(self, error: Exception) -> None:
        log.warning("repair_work_failed", what=type(error).__name__)


async def _pace(held: HeldRepair, began: float) -> None:
    """Waits until the portion has taken as long as the rate demands."""
    if held.rate and held.state == "running":
        seconds = portion_of(held.rate) / held.rate
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
