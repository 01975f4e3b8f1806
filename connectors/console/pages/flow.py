"""The state of the pipeline per stage, computed from what its processes report every minute."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from schemas.metrics import DURATION_BOUNDS
from schemas.pipeline import STAGES
from storage.postgres.stage_minutes import StageMinutes

STATIONS = ("receive", *STAGES, "sink")
"""The names in the order of the flow."""
RECENT_MINUTES = 15
HISTORY_MINUTES, SPAN_MINUTES = 24 * 60, 15
FLOW_SECONDS = 2.0
HISTORY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Station:
    """The current state of a stage.

    `state` is running, stopped, silent (its processes have stopped reporting) or
    unseen. `outcomes` and `p99_seconds` cover the last 15 minutes.
    """

    name: str
    state: str
    members: int
    per_second: float
    waiting: int
    oldest_seconds: float
    p99_seconds: float | None
    outcomes: tuple[tuple[str, int], ...]
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Curves:
    """The values of one day, one per time span and stage, oldest first; None where
    nothing is known.
    """

    spans: tuple[datetime, ...]
    values: Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True, slots=True)
class DayOfFlow:
    """`rate` is in records per minute, `p99` in seconds."""

    rate: Curves
    waits: Curves
    p99: Curves


def p99(counts: Mapping[int, int]) -> float | None:
    """Estimates the 99th percentile from a histogram.

    `counts` maps the number of each bucket, from 1, to its count. Values are assumed to
    be spread evenly within a bucket.
    """
    total = sum(counts.values())
    if not total:
        return None
    rank, before = 0.99 * total, 0
    for place in sorted(counts):
        low = DURATION_BOUNDS[place - 2] if place > 1 else 0.0
        if before + counts[place] >= rank:
            high = DURATION_BOUNDS[place - 1] if place <= len(DURATION_BOUNDS) else low
            return low + (high - low) * (rank - before) / counts[place]
        before += counts[place]
    raise AssertionError("the ranks of all end with the last")


class Flow:
    """Queries Postgres once for all visitors who look at the same time. Raises Unavailable."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._minutes = StageMinutes(pool)
        self._lock = asyncio.Lock()
        self._now: tuple[float, list[Station]] | None = None
        self._day: tuple[float, DayOfFlow] | None = None

    async def now(self) -> list[Station]:
        """Returns every stage, in the order of the flow."""
        async with self._lock:
            if self._now is None or time.monotonic() - self._now[0] > FLOW_SECONDS:
                self._now = time.monotonic(), await self._stations()
            return self._now[1]

    async def day(self) -> DayOfFlow:
        """Returns the last 24 hours."""
        async with self._lock:
            if self._day is None or time.monotonic() - self._day[0] > HISTORY_SECONDS:
                self._day = time.monotonic(), await self._history()
            return self._day[1]

    async def _stations(self) -> list[Station]:
        rows = {row["stage"]: row for row in await self._minutes.now()}
        seen, stopped = await self._minutes.seen(), await self._minutes.stopped()
        outcomes: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for row in await self._minutes.outcomes(RECENT_MINUTES):
            outcomes[row["stage"]].append((row["outcome"], row["records"]))
        took = _by_stage(await self._minutes.took(RECENT_MINUTES, 24 * 60))
        return [
            Station(
                name,
                _state(name, rows, seen, stopped),
                rows[name]["members"] if name in rows else 0,
                rows[name]["per_second"] if name in rows else 0.0,
                rows[name]["unread"] + rows[name]["waiting"] if name in rows else 0,
                rows[name]["oldest_seconds"] if name in rows else 0.0,
                p99(took[name]),
                tuple(outcomes[name]),
                seen.get(name),
            )
            for name in STATIONS
        ]

    async def _history(self) -> DayOfFlow:
        rows = await self._minutes.history(HISTORY_MINUTES, SPAN_MINUTES)
        took: dict[tuple[str, datetime], dict[int, int]] = defaultdict(dict)
        for row in await self._minutes.took(HISTORY_MINUTES, SPAN_MINUTES):
            took[row["stage"], row["span"]][row["place"]] = row["count"]
        spans = tuple(sorted({row["span"] for row in rows}))
        rate = {(row["stage"], row["span"]): row["records"] / SPAN_MINUTES for row in rows}
        waits = {(row["stage"], row["span"]): float(row["waits"]) for row in rows}
        longest = {place: p99(counts) for place, counts in took.items()}
        return DayOfFlow(_curves(spans, rate), _curves(spans, waits), _curves(spans, longest))


def _state(
    name: str, rows: Mapping[str, Any], seen: Mapping[str, datetime], stopped: set[str]
) -> str:
    if name in stopped:
        return "stopped"
    if name in rows:
        return "running"
    return "silent" if name in seen else "unseen"


def _by_stage(rows: Sequence[Any]) -> dict[str, dict[int, int]]:
    """Sums the spans. Maps each stage to its buckets, and each bucket's number to its count."""
    found: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        found[row["stage"]][row["place"]] += row["count"]
    return found


def _curves(
    spans: tuple[datetime, ...], values: Mapping[tuple[str, datetime], float | None]
) -> Curves:
    return Curves(
        spans,
        {name: tuple(values.get((name, span)) for span in spans) for name in STATIONS},
    )
