"""The batch intake on the real broker. The tests act for the agent."""

import asyncio

import pytest
from confluent_kafka import Message
from lane_world import PACE, SECONDS, Desk, World, at_work, counted, lines, open_gate, until, write

from schemas.codec import decode
from schemas.receipts import lines_of
from schemas.records import Receipt
from streams.lanes.batches import Batch, BatchIntake
from streams.lanes.in_flight import InFlightRecord
from streams.lanes.kafka_errors import is_fenced
from streams.lanes.lane import Lane
from streams.lanes.pace import Pace
from streams.lanes.state import KeptValues


def batching(world: World, desk: Desk, pace: Pace = PACE) -> Lane:
    return world.lane(BatchIntake(desk, open_gate(), InFlightRecord()), pace=pace)  # type: ignore[arg-type]


def offsets(batch: Batch[KeptValues]) -> list[int | None]:
    return [message.offset() for message in batch.messages]


async def test_settling_commits_outputs_table_and_offset_and_then_says_so(world: World) -> None:
    desk, before = Desk(), counted("forwarded")
    world.produce("in", b"1", b"2", b"3")
    async with at_work(batching(world, desk)):
        batch: Batch[KeptValues] = await desk.next()
        assert offsets(batch) == [0, 1, 2]
        batch.settle(
            [write(world.topic("out"))], [batch.state.put(b"a", b"1")], lines(batch.messages)
        )
        assert counted("forwarded") == before
        await until(lambda: counted("forwarded") == before + 3, "it is committed and counted")
        assert (world.values("out"), world.values("log"), world.position()) == ([b"out"], [b"1"], 3)
        (receipt,) = [decode(Receipt, value) for value in world.values("receipts")]
        assert [(one.offset, one.key, one.outcome) for one in lines_of(receipt)] == [
            (n, b"k", "forwarded") for n in range(3)
        ]


async def test_a_batch_that_is_settled_with_nothing_still_moves_the_offset(world: World) -> None:
    desk = Desk()
    world.produce("in", b"1", b"2")
    async with at_work(batching(world, desk)) as task:
        batch = await desk.next()
        batch.settle([], [], lines(batch.messages))
        await until(lambda: world.position() == 2, "the offset moves")
        assert not task.done()


async def test_there_is_one_batch_of_a_lane_in_hand_at_a_time(world: World) -> None:
    desk, before = Desk(), counted("forwarded")
    world.produce("in", b"1")
    async with at_work(batching(world, desk)):
        first = await desk.next()
        world.produce("in", b"2")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(desk.items.get(), 0.6)  # longer than a fetch waits
        first.settle([], [], lines(first.messages))
        second = await desk.next()
        assert counted("forwarded") == before + 1
        assert offsets(second) == [1]
        second.settle([], [], lines(second.messages))


async def test_every_record_of_a_batch_needs_its_line(world: World) -> None:
    desk = Desk()
    world.produce("in", b"1", b"2")
    async with at_work(batching(world, desk)):
        batch = await desk.next()
        with pytest.raises(AssertionError):
            batch.settle([], [], lines(batch.messages[1:]))
        batch.discard()


async def test_discarding_ends_the_lane_and_moves_nothing(world: World) -> None:
    desk = Desk()
    world.produce("in", b"1")
    async with at_work(batching(world, desk)) as task:
        (await desk.next()).discard()
        await asyncio.wait([task], timeout=SECONDS)
        assert (task.done(), task.exception()) == (True, None)
    assert (world.position(), world.values("log")) == (-1001, [])


async def test_a_batch_of_a_lane_that_was_lost_meanwhile_must_not_move_the_offset(
    world: World,
) -> None:
    desk = Desk()
    world.produce("in", b"1")
    lane = batching(world, desk)
    async with at_work(lane) as task:
        batch = await desk.next()
        assert batch.current
        lane.stop()
        assert not batch.current
        batch.discard()
        await asyncio.wait([task], timeout=SECONDS)
    assert world.position() == -1001
    desk = Desk()
    async with at_work(batching(world, desk)):
        again = await desk.next()
        again.discard()
        assert offsets(again) == [0]


async def test_a_batch_that_was_settled_as_its_lane_was_lost_is_committed_whole_or_left_whole_to_the_next_owner(
    world: World,
) -> None:
    desk = Desk()
    world.produce("in", b"1")
    lane = batching(world, desk)
    async with at_work(lane) as task:
        batch = await desk.next()
        batch.settle([write(world.topic("out"))], [], lines(batch.messages))
        lane.stop()
        await asyncio.wait([task], timeout=SECONDS)
        assert (task.done(), task.exception()) == (True, None)
    seen = (world.position(), world.values("out"), len(world.values("receipts")))
    assert seen in ((1, [b"out"], 1), (-1001, [], 0))


async def test_a_batch_of_a_fenced_lane_is_neither_seen_nor_counted(world: World) -> None:
    desk, before = Desk(), counted("forwarded")
    world.produce("in", b"1")
    async with at_work(batching(world, desk)) as task:
        batch = await desk.next()
        world.transactions().open(KeptValues())
        batch.settle([write(world.topic("out"))], [(b"a", b"1")], lines(batch.messages))
        await asyncio.wait([task], timeout=SECONDS)
        error = task.exception()
        assert error is not None
        assert is_fenced(error)
    assert (
        world.values("out"),
        world.values("log"),
        world.values("receipts"),
        world.position(),
    ) == ([], [], [], -1001)
    assert counted("forwarded") == before


async def test_a_batch_has_no_more_records_than_the_pace_allows(world: World) -> None:
    desk = Desk()
    world.produce("in", *[b"x"] * 25)
    found: list[int | None] = []
    async with at_work(batching(world, desk, Pace(0.005, batch_records=10))):
        while len(found) < 25:
            batch = await desk.next()
            assert len(batch.messages) <= 10
            found += offsets(batch)
            batch.settle([], [], lines(batch.messages))
    assert found == list(range(25))


async def test_a_batch_weighs_no_more_than_the_pace_allows_and_what_is_over_comes_next(
    world: World,
) -> None:
    desk = Desk()
    world.produce("in", *[b"x" * n for n in (10, 40, 60, 60, 500, 10, 10)])

    def weigh(_: KeptValues, message: Message) -> int:
        return len(message.value() or b"")

    lane = world.lane(
        BatchIntake(desk, open_gate(), InFlightRecord(), weigh), pace=Pace(0.1, batch_bytes=100)
    )  # type: ignore[arg-type]
    batches: list[list[int | None]] = []
    async with at_work(lane):
        while sum(map(len, batches)) < 7:
            batch = await desk.next()
            batches.append(offsets(batch))
            batch.settle([], [], lines(batch.messages))
    assert [one for batch in batches for one in batch] == list(range(7))
    assert [4] in batches  # larger than the bound: alone
    assert all(
        sum((10, 40, 60, 60, 500, 10, 10)[o or 0] for o in batch) <= 100
        for batch in batches
        if batch != [4]
    )


async def test_stopping_a_lane_with_a_batch_that_nobody_decides_leaves_it_to_the_next_owner(
    world: World,
) -> None:
    desk = Desk()
    world.produce("in", b"1")
    async with at_work(batching(world, desk)) as task:
        await desk.next()
        task.cancel()
    later = Desk()
    async with at_work(batching(world, later)):
        again = await later.next()
        again.discard()
        assert offsets(again) == [0]
