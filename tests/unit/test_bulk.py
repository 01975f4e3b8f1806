import json

import pytest

from connectors.webhooks.bulk import BURST, FREE_PER_SECOND, BulkLimits
from connectors.webhooks.rate import Rates
from schemas.settings import Kafka
from storage.kafka.lag import GroupBehind
from tests.unit.receiving import Application

LOOK_SECONDS = 0.25
BEHIND_SECONDS = 0.2


def send(limits: BulkLimits, tenant: str, per_second: int, now: float) -> int:
    """Sends for the time between two looks. Returns how many were accepted."""
    count = int(per_second * LOOK_SECONDS)
    return sum(
        limits.wait_seconds(tenant, now + LOOK_SECONDS * number / count) == 0.0
        for number in range(count)
    )


def test_without_a_backlog_a_tenant_soon_sends_as_fast_as_it_can() -> None:
    limits = BulkLimits(BEHIND_SECONDS)
    taken = []
    for look in range(80):
        taken.append(send(limits, "bulk", 5_000, look * LOOK_SECONDS))
        limits.look(0.0, (look + 1) * LOOK_SECONDS)
    assert taken[0] <= BURST + 26 and taken[1] <= 51 and taken[-1] == 1_250
    assert taken.index(1_250) < 50


def test_a_tenant_with_little_traffic_is_never_slowed_down() -> None:
    limits = BulkLimits(BEHIND_SECONDS)
    for look in range(80):
        now = look * LOOK_SECONDS
        assert send(limits, "small", int(FREE_PER_SECOND), now) == int(FREE_PER_SECOND * 0.25)
        send(limits, "bulk", 5_000, now)
        limits.look(10.0, now + LOOK_SECONDS)
    assert limits.limits == {"bulk": FREE_PER_SECOND}


def test_a_tenant_that_has_calmed_down_has_no_rate_of_its_own() -> None:
    limits = BulkLimits(BEHIND_SECONDS)
    for look in range(40):
        send(limits, "bulk", 5_000, look * LOOK_SECONDS)
        limits.look(0.0, (look + 1) * LOOK_SECONDS)
    assert limits.limits["bulk"] > 1_000
    for look in range(40, 160):
        limits.look(0.0, (look + 1) * LOOK_SECONDS)
    assert limits.limits == {} and not limits.is_worth_a_look(100.0)


def test_a_bucket_may_be_less_than_a_second_deep() -> None:
    rates = Rates()
    taken = sum(rates.wait_seconds("a", 100.0, 1.0, 0.25) == 0.0 for _ in range(200))
    assert taken == 25


def waits_behind_an_import(
    flood: float, capacity: int, sink_capacity: float = 1e9, seconds: float = 30.0
) -> tuple[list[float], int]:
    """How long each text of another tenant waits, and how many records of the import are taken.

    Both queues are worked off first come first served, as a partition is: that of dedupe,
    whose lag is looked at, and behind it that of the sink. A text comes each tenth of a second.
    """
    limits, to_dedupe, to_sink = BulkLimits(BEHIND_SECONDS), 0.0, 0.0
    step, now, waits, taken = 1 / (capacity * flood), 0.0, [], 0
    next_look, next_text = LOOK_SECONDS, 0.05
    seen_behind: list[float] = [0.0, 0.0]  # what is looked at is one look old
    while now < seconds:
        now += step
        done = min(to_dedupe, capacity * step)
        to_dedupe -= done
        to_sink = max(0.0, to_sink + done - sink_capacity * step)
        if limits.wait_seconds("bulk", now) == 0.0:
            to_dedupe += 1
            taken += 1
        if now >= next_text:
            next_text += 0.1
            assert limits.wait_seconds("other", now) == 0.0
            wait = to_dedupe / capacity
            ahead_at_sink = max(0.0, to_sink + to_dedupe - sink_capacity * wait)
            waits.append(wait + ahead_at_sink / sink_capacity)
        if now >= next_look:
            next_look += LOOK_SECONDS
            seen_behind.append(to_dedupe / capacity)
            limits.look(seen_behind[-2], now)
    return waits, taken


def p99(waits: list[float]) -> float:
    """Of those after the start: an import is noticed within its first two seconds."""
    after_start = sorted(waits[20:])
    return after_start[int(len(after_start) * 0.99)]


@pytest.mark.parametrize("flood", [1.5, 4.0, 20.0])
@pytest.mark.parametrize("capacity", [500, pytest.param(2_000, marks=pytest.mark.thorough)])
def test_others_wait_less_than_a_second_behind_a_bulk_import(flood: float, capacity: int) -> None:
    waits, taken = waits_behind_an_import(flood, capacity)
    assert p99(waits) < 1.0
    assert taken > 0.5 * capacity * 30, "the import still has most of what there is"


@pytest.mark.parametrize("flood", [1.5, 4.0])
def test_others_wait_less_than_a_second_if_the_sink_is_as_fast_as_dedupe(flood: float) -> None:
    for times in (1.0, 1.7):  # in the benchmarks one sink is 1.7 times as fast or more
        waits, _ = waits_behind_an_import(flood, 500, 500 * times, seconds=20.0)
        assert p99(waits) < 1.0


@pytest.mark.parametrize("flood", [1.5, 4.0])
def test_others_wait_longer_and_longer_if_the_sink_is_slower_than_dedupe(flood: float) -> None:
    waits, _ = waits_behind_an_import(flood, 500, 250, seconds=20.0)
    at_seconds = [waits[10 * second] for second in (5, 10, 15, 19)]
    assert at_seconds == sorted(at_seconds)
    assert at_seconds[0] > 1.0 and at_seconds[-1] > 2 * at_seconds[0]


def test_how_far_behind_a_group_is_counts_in_its_own_pace() -> None:
    behind = GroupBehind(Kafka(bootstrap_servers="127.0.0.1:9"), "group", "topic")
    assert behind.judge(1_000, 500, 1.0) == 0.0, "its pace is not known yet"
    assert behind.judge(2_000, 500, 2.0) == 0.5
    assert behind.judge(2_000, 500, 2.25) == 0.5, "it commits in portions"
    for look in range(4):
        seconds = behind.judge(2_000, 500, 3.0 + look)
    assert seconds == 0.0, "it stands still"


async def test_only_chat_is_slowed_down_and_only_where_that_was_asked_for() -> None:
    for seconds, refused in ((0.0, False), (0.2, True)):
        app = Application(bulk_behind_seconds=seconds)
        answers = [await app.chat(body(number)) for number in range(300)]
        statuses = {answer.status for answer in answers}
        assert statuses == ({202, 429} if refused else {202})
        if refused:
            assert answers[-1].headers["retry-after"] == "1"
            assert BURST <= len(app.log.records) < 300


def body(number: int) -> bytes:
    return json.dumps(
        {
            "provider": "own",
            "provider_message_id": str(number),
            "conversation_id": "c",
            "sender": {"id": "s"},
            "text": "hola",
        }
    ).encode()
