"""The gate before a commit, shut when the breaker trips and reopened by a person.

If only one of several tenants has failing records, that tenant is held instead. Its
refused records then go to quarantine unchanged, and no longer count for the breaker. The
other tenants' records pass.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from schemas import metrics
from schemas.pipeline import Stage
from schemas.receipts import Line
from storage.waiting import BackOff
from streams.lanes.breaker import EARNED_BY_THE_BODY, Breaker, Trouble

log = structlog.get_logger()
ASK_SECONDS = 1.0
ASK_SECONDS_AT_MOST = 10.0
"""The longest pause between two polls while Postgres does not answer.

It is below the 30 s after which `standing_stops` considers a polling process dead.
"""
LOOK_SECONDS = 0.1
TENANTS_SECONDS = 2.0
"""The limit for asking how many tenants there are, while all tenants wait."""


class Stops(Protocol):
    """Stores a stop for people to see, and reads their answer.

    The methods may raise anything, because the gate retries.
    """

    async def quiet(self, stage: Stage) -> float:
        """The seconds for which the stage must not stop again, because it was resumed.

        0 if it may stop.
        """
        ...

    async def tenants(self) -> int:
        """The number of tenants of the installation."""
        ...

    async def stopped(self, stage: Stage, detail: str) -> object:
        """Stores the stop and returns the value to pass to `resumed`."""
        ...

    async def resumed(self, stage: Stage, stop: object, detail: str) -> float | None:
        """The seconds for which the stage must not stop again, or None if not resumed yet.

        Stores the stop again if it was lost.
        """
        ...


def _log_failure(asking: "asyncio.Task[None]") -> None:
    """Logs why the gate stays shut after an unexpected error.

    A shut gate is safe, and the stage is not ready, but only this log says why.
    """
    if not asking.cancelled() and (error := asking.exception()) is not None:
        log.error("stage_gate_failed", error=type(error).__name__, exc_info=error)


class Gate:
    """Lets receipt lines pass, or makes them and all later ones wait.

    Waiting lines are not committed, so their records stay in the source.
    """

    def __init__(self, stage: Stage, breaker: Breaker, stops: Stops) -> None:
        self._stage = stage
        self._breaker = breaker
        self._stops = stops
        self._quiet_until = 0.0
        self._asking: asyncio.Task[None] | None = None
        self._held: set[bytes | int] = set()
        metrics.STAGE_TENANTS_HELD.labels(stage).set(0)
        metrics.STAGE_STOPPED.labels(stage).set(0)

    @property
    def is_shut(self) -> bool:
        return self._asking is not None

    async def judge(self, lines: Sequence[Line], given_up: Callable[[], bool]) -> bool:
        """Waits until the lines may be committed, and returns True.

        Returns False if `given_up` returns True while they wait.
        """
        await self.wait(given_up)
        now = time.monotonic()
        is_any_refused = False
        for line in lines:
            is_refused = line.outcome == "quarantined"
            if line.outcome == "admitted" or (is_refused and line.reason in EARNED_BY_THE_BODY):
                continue
            self._breaker.add(line.key.partition(b":")[0], is_refused, now)
            is_any_refused |= is_refused
        self._release()
        if is_any_refused and now >= self._quiet_until:
            trouble = self._breaker.trouble(now)
            if trouble is not None and trouble.tenant not in self._held and self._asking is None:
                self._asking = asyncio.create_task(self._until_resumed(trouble), name="gate")
                self._asking.add_done_callback(_log_failure)
        return await self.wait(given_up)

    async def wait(self, given_up: Callable[[], bool]) -> bool:
        """Waits until the gate is open (True) or `given_up` returns True (False)."""
        while self.is_shut:
            if given_up():
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return not given_up()

    async def _until_resumed(self, trouble: Trouble) -> None:
        if trouble.tenant is not None and await self._are_other_tenants():
            self._hold(trouble.tenant, trouble.detail)
            self._asking = None
            return
        quiet_seconds = await self._quiet()
        if not quiet_seconds:
            log.error(
                "stage_stopped",
                stage=self._stage,
                detail=trouble.detail,
                resume=f"sensorium resume {self._stage}",
            )
            metrics.STAGE_STOPPED.labels(self._stage).set(1)
            quiet_seconds = await self._answer(trouble.detail)
            log.info("stage_resumed", stage=self._stage, quiet_seconds=quiet_seconds)
            metrics.STAGE_STOPPED.labels(self._stage).set(0)
        self._breaker.forget()
        self._quiet_until = time.monotonic() + quiet_seconds
        self._asking = None

    async def _are_other_tenants(self) -> bool:
        """True if a stop would also affect other tenants, or if Postgres does not answer.

        Quarantined records can be replayed later, but the time lost by a stop cannot be
        recovered.
        """
        try:
            async with asyncio.timeout(TENANTS_SECONDS):
                return await self._stops.tenants() > 1
        except Exception as error:
            self._log_not_stored(error)
            return True

    def _hold(self, tenant: bytes | int, detail: str) -> None:
        self._held.add(tenant)
        metrics.STAGE_TENANTS_HELD.labels(self._stage).set(len(self._held))
        log.error(
            "tenant_held",
            stage=self._stage,
            tenant=tenant.decode(errors="replace") if isinstance(tenant, bytes) else None,
            detail=detail,
            replay=f"sensorium quarantine replay --all --stage {self._stage}",
        )

    def _release(self) -> None:
        """Ends the hold of tenants whose records pass again."""
        passing = {tenant for tenant in self._held if not self._breaker.fails(tenant)}
        if passing:
            self._held -= passing
            metrics.STAGE_TENANTS_HELD.labels(self._stage).set(len(self._held))

    async def _quiet(self) -> float:
        """The seconds left in which the stage must not stop, or 0 if Postgres fails.

        They may have been granted to another process of the stage, or to this one before
        its restart.
        """
        try:
            return await self._stops.quiet(self._stage)
        except Exception as error:
            self._log_not_stored(error)
            return 0.0

    async def _answer(self, trouble: str) -> float:
        """Stores the stop and polls until a person has resumed the stage.

        It returns in no other case and catches every exception: an exception here would
        shut the gate permanently, because no code awaits this task.
        """
        stop: object = None
        pauses = BackOff(ASK_SECONDS, ASK_SECONDS_AT_MOST)
        while True:
            try:
                if stop is None:
                    stop = await self._stops.stopped(self._stage, trouble)
                quiet_seconds = await self._stops.resumed(self._stage, stop, trouble)
                if quiet_seconds is not None:
                    return quiet_seconds
                pauses.reset()
            except Exception as error:
                self._log_not_stored(error)
            await asyncio.sleep(pauses.pause())

    def _log_not_stored(self, error: Exception) -> None:
        log.warning(
            "stage_stop_not_stored", stage=self._stage, detail=f"{type(error).__name__}: {error}"
        )
