"""Spare workers are members of their group, and are ready only while they are members."""

import asyncio
import time
from typing import Any

import msgspec
import pytest
from aiokafka import errors as Errors
from aiokafka.consumer.group_coordinator import GroupCoordinator
from lane_world import app_at_work, until
from test_seams import raw, staged

from schemas.settings import Kafka, Settings
from schemas.topics import Names
from streams.lanes import membership as membership_module
from streams.lanes.app import LaneApp
from tests.topics import make_topics

POLL_INTERVAL_SECONDS = 4.0


@pytest.fixture
def narrow(stack: Settings, namespace: str) -> tuple[Kafka, Names]:
    """Topics of one partition, so that a second worker is spare."""
    kafka, names = msgspec.structs.replace(stack.kafka, partitions=1), Names(namespace)
    make_topics(kafka, names)
    return kafka, names


def coordinator_of(app: LaneApp) -> Any:
    consumer: Any = app.consumer
    return consumer._thread._ensure_consumer()._coordinator


async def test_a_spare_worker_stays_a_member_and_takes_over_long_after_its_poll_interval(
    narrow: tuple[Kafka, Names], deaths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[str] = []
    leave = GroupCoordinator._maybe_leave_group

    async def noting(self: GroupCoordinator) -> None:
        left.append(self.member_id)
        await leave(self)

    monkeypatch.setattr(GroupCoordinator, "_maybe_leave_group", noting)
    kafka, names = narrow
    topics = raw(kafka, names)
    busy, spare = staged(kafka, names)[0], staged(kafka, names)[0]
    for app in (busy, spare):
        app.conf.broker_max_poll_interval = POLL_INTERVAL_SECONDS
    async with app_at_work(busy) as first, app_at_work(spare) as second:
        owner, other = await until(
            lambda: (
                ((busy, spare) if first.assigned else (spare, busy))
                if len(first.assigned | second.assigned) == 1
                and first.app.membership.is_current
                and second.app.membership.is_current
                else None
            ),
            "one has the partition, the other is a member without one",
        )
        began = time.monotonic()
        await until(
            lambda: time.monotonic() - began > 3 * POLL_INTERVAL_SECONDS,
            "three poll intervals pass",
        )
        assert owner.lanes is not None and other.lanes is not None
        assert (other.lanes.ready, other.lanes.assigned, left) == (True, set(), [])
        assert coordinator_of(other).member_id
        await owner.stop()
        await until(lambda: other.lanes.assigned == {0} and other.lanes.ready, "it takes over")
        topics.produce("raw-messages", b"after")
        await until(
            lambda: len(topics.read("sensorium-dedupe-kept-changelog")) == 1, "it does the work"
        )
    assert deaths == []


async def test_a_worker_that_joins_before_its_topic_exists_is_given_it_soon_after(
    stack: Settings, namespace: str, deaths: list[str]
) -> None:
    kafka, names = msgspec.structs.replace(stack.kafka, partitions=1), Names(namespace)
    app, *_ = staged(kafka, names)
    async with app_at_work(app) as lanes:
        await until(lambda: app.membership.is_current, "it is a member")
        assert lanes.assigned == set()
        await asyncio.to_thread(make_topics, kafka, names)
        await until(lambda: lanes.assigned == {0} and lanes.ready, "it reads the new topic", 90)
    assert deaths == []


async def test_a_worker_that_is_not_a_member_any_more_is_not_ready_and_ends_while_the_brokers_answer(
    narrow: tuple[Kafka, Names], deaths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka, names = narrow
    app, *_ = staged(msgspec.structs.replace(kafka, session_timeout_seconds=6.0), names)
    async with app_at_work(app) as lanes:

        async def unanswered() -> bool:
            return False

        coordinator = coordinator_of(app)
        coordinator._do_heartbeat = unanswered
        await until(lambda: not lanes.ready, "it says so")
        assert deaths == []
        monkeypatch.setattr(membership_module, "JOIN_SECONDS", 1.0)
        await until(lambda: deaths, "the worker ends")
    assert "although the brokers answer" in deaths[0]


async def test_a_worker_ends_when_a_broker_that_still_loads_the_group_refuses_it(
    narrow: tuple[Kafka, Names], deaths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, *_ = staged(*narrow)
    send = GroupCoordinator._send_req

    async def refused(self: GroupCoordinator, request: Any) -> Any:
        answer = await send(self, request)
        if "SyncGroup" in type(answer).__name__:
            answer.error_code = Errors.GroupLoadInProgressError.errno
        return answer

    monkeypatch.setattr(GroupCoordinator, "_send_req", refused)
    app.finalize()
    start = asyncio.create_task(app.start())  # returns after the first assignment, so never here
    try:
        await until(lambda: deaths, "the worker ends", 30)
    finally:
        await app.stop()
        start.cancel()
    assert "GroupLoadInProgress" in deaths[0]


async def test_a_member_that_left_its_group_is_not_ready(
    narrow: tuple[Kafka, Names], deaths: list[str]
) -> None:
    app, *_ = staged(*narrow)
    async with app_at_work(app) as lanes:
        assert app.membership.is_current
        coordinator = coordinator_of(app)
        member, coordinator.member_id = coordinator.member_id, ""
        assert (app.membership.is_current, lanes.ready) == (False, False)
        coordinator.member_id = member
        await asyncio.sleep(0)
        assert app.membership.is_current


async def test_an_outage_of_the_brokers_ends_no_worker(
    narrow: tuple[Kafka, Names], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, *_ = staged(*narrow)
    membership = app.membership
    membership.joined = True
    monkeypatch.setattr(membership_module, "JOIN_SECONDS", 0.0)
    monkeypatch.setattr(membership, "_brokers_answer", lambda: False)
    assert await membership.trouble() is None
    monkeypatch.setattr(membership, "_brokers_answer", lambda: True)
    assert "although the brokers answer" in (await membership.trouble() or "")
