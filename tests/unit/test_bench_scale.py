from collections import Counter

import pytest

from bench import scale
from bench.figures import Pace
from bench.sink import first_version
from schemas.codec import decode
from schemas.records import EnrichedMessage


def test_messages_come_from_so_many_tenants_in_turns() -> None:
    counts = Counter(scale.tenant_of(number, 10) for number in range(1_000))
    assert set(counts.values()) == {100}
    assert len(counts) == 10


def test_the_sinks_messages_are_of_the_same_tenants_by_field_and_by_key() -> None:
    messages = [first_version(number) for number in range(6)]
    found = [
        decode(EnrichedMessage, record.value)
        for record in scale.of_tenants(messages, tenants=3, partitions=4)
    ]
    assert [one.tenant_id for one in found] == [scale.tenant_of(n, 3) for n in range(6)]
    assert all(one.message_key.startswith(f"{one.tenant_id}:") for one in found)


@pytest.mark.parametrize(("cores", "asked"), [(2, 0.0), (4, 1.8)])
def test_two_workers_are_asked_for_their_rate_only_where_there_are_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, asked: float
) -> None:
    monkeypatch.setattr(scale.os, "cpu_count", lambda: cores)
    rate, cpu = scale.workers([Pace(100.0, 50.0, 40.0)], [Pace(150.0, 90.0, 42.0)])
    assert (rate.ratios[0].value, rate.ratios[0].at_least) == (1.5, asked)
    assert (cpu.ratios[0].value, cpu.ratios[0].at_most) == (1.05, scale.FLAT)
