"""A replay writes in transactions of bounded size and time, and nobody reads one that broke off."""

from collections.abc import Iterator

import pytest

from streams.lanes.transactions import Write
from streams.repair.writing import Item, PortionLimits, committed_portions
from tests.integration.commands import Commands
from tests.integration.replays import written


def items(commands: Commands, count: int, size: int = 1) -> Iterator[Item[int]]:
    for number in range(count):
        yield Item(
            (Write(commands.names.topic("raw-messages"), b"k", b"%d" % number * size, 0, []),) * 2,
            number,
        )


@pytest.mark.parametrize(
    ("limits", "portions"),
    [
        (PortionLimits(records=4), [(4, 1), (4, 3), (2, 4)]),
        (PortionLimits(records=3), [(4, 1), (4, 3), (2, 4)]),  # an item is seen whole or not at all
        (PortionLimits(bytes=1), [(2, 0), (2, 1), (2, 2), (2, 3), (2, 4)]),
        (PortionLimits(seconds=0.0), [(2, 0), (2, 1), (2, 2), (2, 3), (2, 4)]),
        (PortionLimits(), [(10, 4)]),
    ],
)
def test_items_are_committed_in_portions_of_bounded_size_and_time(
    commands: Commands, limits: PortionLimits, portions: list[tuple[int, int]]
) -> None:
    found = committed_portions(commands.settings.kafka, commands.names, items(commands, 5), limits)
    assert [(portion.records, portion.mark) for portion in found] == portions
    assert len(written(commands)) == 10


def test_nothing_to_write_makes_no_portion(commands: Commands) -> None:
    assert list(committed_portions(commands.settings.kafka, commands.names, iter(()))) == []


def test_what_was_given_is_there_and_what_broke_is_not(commands: Commands) -> None:
    def breaking() -> Iterator[Item[int]]:
        yield from items(commands, 3)
        raise TimeoutError("silent")

    found = committed_portions(
        commands.settings.kafka, commands.names, breaking(), PortionLimits(records=4)
    )
    assert next(found).mark == 1
    with pytest.raises(TimeoutError):
        next(found)
    assert [message.value() for message in written(commands)] == [
        b"0",
        b"0",
        b"1",
        b"1",
    ]  # and no open transaction hides what follows
