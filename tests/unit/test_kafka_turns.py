import asyncio
import contextlib

import pytest

from connectors.console.tenant_queue import (
    KAFKA_READS,
    KAFKA_SHARE,
    KAFKA_WAITING,
    Busy,
    KafkaTurns,
)
from schemas.keys import TenantId
from streams.repair.raw import OffsetRange, merged


class Reads:
    """Reads that last until they are told to end."""

    def __init__(self) -> None:
        self.turns, self.running, self.ends = KafkaTurns(), list[str](), asyncio.Event()

    async def read(self, tenant: str) -> None:
        async with self.turns.turn(TenantId(tenant)):
            self.running.append(tenant)
            await self.ends.wait()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_tenant_reads_kafka_within_its_share_and_others_beside_it() -> None:
    reads = Reads()
    tasks = [asyncio.create_task(reads.read("acme")) for _ in range(KAFKA_SHARE + KAFKA_WAITING)]
    await settled()
    assert reads.running == ["acme"] * KAFKA_SHARE
    with pytest.raises(Busy):
        await reads.read("acme")
    tasks += [asyncio.create_task(reads.read(f"t{number}")) for number in range(KAFKA_READS)]
    await settled()
    assert len(reads.running) == KAFKA_READS and "t0" in reads.running
    reads.ends.set()
    await asyncio.gather(*tasks)
    assert len(reads.running) == len(tasks)


async def test_a_read_that_is_given_up_leaves_its_place() -> None:
    reads = Reads()
    for _ in range(KAFKA_SHARE + KAFKA_WAITING + 1):
        task = asyncio.create_task(reads.read("acme"))
        await settled()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert len(reads.running) == KAFKA_SHARE + KAFKA_WAITING + 1


@pytest.mark.parametrize(
    ("spans", "once"),
    [
        ([], []),
        ([(0, 5, 9), (0, 1, 6)], [(0, 1, 9)]),
        ([(0, 1, 5), (0, 5, 9)], [(0, 1, 9)]),
        ([(0, 1, 9), (0, 2, 3), (0, 11, 12)], [(0, 1, 9), (0, 11, 12)]),
        ([(1, 1, 3), (0, 2, 4)], [(0, 2, 4), (1, 1, 3)]),
        ([(0, 4, 4), (0, 9, 2)], []),
    ],
)
def test_offsets_of_overlapping_spans_are_taken_once(
    spans: list[tuple[int, int, int]], once: list[tuple[int, int, int]]
) -> None:
    assert merged(OffsetRange(*one) for one in spans) == [OffsetRange(*one) for one in once]
