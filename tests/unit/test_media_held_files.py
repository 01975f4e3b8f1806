import io
from dataclasses import dataclass

import pytest

from connectors.media.held_files import HeldFiles
from connectors.media.spool import Downloaded


def file(size: int = 10) -> Downloaded:
    return Downloaded(io.BytesIO(bytes(size)), size, "ab" * 32, "image/jpeg", b"")


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def holding(clock: Clock | None = None) -> HeldFiles:
    return HeldFiles(most_bytes=100, most_files=8, idle_seconds=60.0, clock=clock or Clock())


def test_a_held_file_is_given_back_once_and_to_its_job_only() -> None:
    held, one = holding(), file()
    held.hold("one", "acme", one)
    assert [held.take("two"), held.take("one"), held.take("one")] == [None, one, None]
    assert not one.file.closed


@pytest.mark.parametrize(
    ("sizes", "owners", "is_held"),
    [
        ([50], "a", True),
        ([51], "a", False),
        ([40, 11], "aa", False),
        ([50, 50], "ab", True),
        ([40, 40, 21], "abc", False),
        ([1] * 5, "aaaaa", False),
        ([1] * 9, "aabbccdde", False),
        ([1] * 8, "aabbccdd", True),
    ],
)
def test_what_does_not_fit_or_is_over_half_for_one_owner_is_discarded(
    sizes: list[int], owners: str, is_held: bool
) -> None:
    held, files = holding(), [file(size) for size in sizes]
    for number, one in enumerate(files):
        held.hold(number, owners[number], one)
    assert files[-1].file.closed is not is_held
    assert not any(one.file.closed for one in files[:-1])


def test_a_file_nobody_asks_for_again_makes_room() -> None:
    clock = Clock()
    held, old, new = holding(clock), file(50), file(50)
    held.hold("old", "acme", old)
    clock.now = 61.0
    held.hold("new", "acme", new)
    assert (old.file.closed, held.take("old"), held.take("new")) == (True, None, new)


def test_a_file_held_again_under_the_same_place_takes_the_place_of_the_former() -> None:
    held, former, latter = holding(), file(50), file(50)
    held.hold("one", "acme", former)
    held.hold("one", "acme", latter)
    assert (former.file.closed, held.take("one")) == (True, latter)


def test_at_the_end_nothing_is_left() -> None:
    held, one = holding(), file()
    held.hold("one", "acme", one)
    held.close()
    assert (one.file.closed, held.take("one")) == (True, None)
