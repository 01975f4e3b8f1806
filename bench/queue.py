"""Measures the queue of a job stage without Kafka.

It measures memory per entry, opening a lane, and one decision while tenants are held.

`python -m bench.queue open COUNT` and `python -m bench.queue decide TENANTS` do one run
each and print its figures.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench.figures import Figure, Table
from bench.rig import Rig
from schemas.headers import Routing, new_traceparent
from schemas.keys import TenantId
from streams.lanes.entries import Entry
from streams.lanes.in_flight import InFlightRecord
from streams.lanes.job_entries import JobEntries
from streams.lanes.jobs import JobIntake, Jobs, Waiting

ENTRIES = (10_000, 100_000)
HELD = (10, 1_000, 10_000)
ROUNDS = 3
DECISIONS = 2_000
LOOK_SECONDS = 0.001


def run(rig: Rig) -> list[Table]:
    settings = rig.fresh()

    def figures(words: str, counts: tuple[int, ...], noun: str, name: str) -> list[Figure]:
        return [
            Figure(
                name=f"{count:,} {noun}",
                runs=[
                    rig.result(settings, "bench.queue", words, str(count))[name]
                    for _ in range(ROUNDS)
                ],
            )
            for count in counts
        ]

    titles = {
        "bytes": ("memory of a job that waits without its body", "bytes"),
        "load": ("loading a lane's jobs, in its thread", "s"),
        "stall": (
            "longest stall of the event loop while they are scheduled, in its own CPU time",
            "ms",
        ),
    }
    opening = [
        Table(
            bench="queue",
            title=f"queue: {title}",
            unit=unit,
            figures=figures("open", ENTRIES, "jobs", name),
        )
        for name, (title, unit) in titles.items()
    ]
    deciding = Table(
        bench="queue",
        title="queue: one decision, with so many tenants held",
        unit="µs",
        figures=figures("decide", HELD, "tenants", "decision"),
    )
    return [*opening, deciding]


class _ChangelogRecord:
    __slots__ = ("_key", "_value")

    def __init__(self, key: bytes, value: bytes | None) -> None:
        self._key, self._value = key, value

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes | None:
        return self._value


def _changelog(count: int) -> Iterator[list[Any]]:
    packer = JobEntries()
    for start in range(0, count, 10_000):
        batch = []
        for offset in range(start, min(count, start + 10_000)):
            tenant = f"tenant-{offset % 1_000}"
            routing = Routing(
                tenant_id=TenantId(tenant), provider="ycloud", traceparent=new_traceparent()
            )
            key = f"{tenant}:ycloud:wamid.{offset:040}".encode()
            entry = Entry(tenant, key, routing.to_headers(), None, 1e9)
            batch.append(_ChangelogRecord(*packer.put(offset, entry)))
            packer.remove(offset)
        yield batch


async def opening(count: int) -> dict[str, float]:
    """Opens a lane with `count` stubs."""
    batches = list(_changelog(count))
    state, memory = JobEntries(), _resident()
    began = time.monotonic()
    await asyncio.to_thread(state.load, iter(batches))
    loaded = time.monotonic() - began
    packed = sum(len(value) + 33 for value in state.packed.values())
    # The packed bytes belong to the records, which existed before. The rest of the records is
    # freed, so that it does not disturb the collector.
    batches.clear()
    memory -= packed
    desk: Any = SimpleNamespace(hand_out=lambda job: None)
    lane: Any = _Lane(state)
    intake = JobIntake(Jobs(desk, 64, 16), lambda *_: None, None, InFlightRecord())  # type: ignore[arg-type]
    seen: list[float] = []

    async def look() -> None:
        while True:
            seen.append(time.thread_time())
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await asyncio.sleep(LOOK_SECONDS)
    await intake._admit_loaded(lane, state)
    looking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await looking
    stall = max(after - before for before, after in pairwise(seen))
    return {
        "bytes": (_resident() - memory) / count,
        "load": loaded,
        "stall": stall * 1e3,
    }


class _Lane:
    partition, stopping = 0, False

    def __init__(self, state: JobEntries) -> None:
        self.state = state


def decide(tenants: int) -> dict[str, float]:
    """Times decisions while all tenants but one are held, each with a job that is due."""
    schedule = Jobs(SimpleNamespace(hand_out=lambda job: None), 64, 16).schedule  # type: ignore[arg-type]
    lane: Any = None
    for number in range(tenants):
        schedule.add(Waiting(lane, number, f"tenant-{number}"), 0.0)
        schedule.hold(f"tenant-{number}", 1e9 + number)
    assert schedule.take(1.0, 64) is None
    began = time.monotonic()
    for number in range(DECISIONS):
        schedule.add(Waiting(lane, number, "well"), 1.0)
        assert schedule.take(1.0, 64) is not None
        schedule.done("well")
        schedule.next_wake(1.0)
    return {"decision": (time.monotonic() - began) / DECISIONS * 1e6}


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


if __name__ == "__main__":
    what, amount = sys.argv[1], int(sys.argv[2])
    print(json.dumps(asyncio.run(opening(amount)) if what == "open" else decide(amount)))
