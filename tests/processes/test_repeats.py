"""A test that failed beside other tests may pass alone. One that is broken fails again."""

from pathlib import Path

import pytest

from tests.groups import JUDGING, MOST_REPEATED, ROOT, Group, run_step

UNSTABLE = """
from pathlib import Path

def test_passes():
    with Path(__file__).with_suffix(".passes").open("a") as ran:
        ran.write("x")

def test_unstable():
    seen = Path(__file__).with_suffix(".seen")
    was_there = seen.exists()
    seen.touch()
    assert was_there
"""
BROKEN = "def test_broken():\n    assert False\n"
SEVERAL = """
from pathlib import Path

import pytest

@pytest.mark.parametrize("number", range(COUNT))
def test_unstable(number):
    seen = Path(__file__).with_suffix(f".{number}")
    was_there = seen.exists()
    seen.touch()
    assert was_there
"""
SKIPPED = "import pytest\ndef test_skipped():\n    pytest.skip('for no reason')\n"


@pytest.fixture
def toy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> "Toy":
    """Test files outside of the repository, with the repository's conftest."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p tests.conftest")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr("tests.groups.ROOT", tmp_path)
    return Toy(tmp_path, capfd)


class Toy:
    def __init__(self, folder: Path, printed: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capfd, self.printed = folder, printed, ""

    def passes(self, text: str, *, repeats: bool = True, name: str = "test_toy.py") -> bool:
        (self.folder / name).write_text(text)
        group = Group("toy", (name,), repeats=repeats)
        passed = run_step((group,), self.folder)
        self.printed = self._capfd.readouterr().out
        return passed


def test_a_test_that_passes_alone_is_named_and_nothing_else_runs_again(toy: Toy) -> None:
    assert toy.passes(UNSTABLE)
    assert "UNSTABLE, passed alone: " in toy.printed
    assert "test_toy.py::test_unstable" in toy.printed
    assert (toy.folder / "test_toy.passes").read_text() == "x"


def test_a_test_that_fails_alone_as_well_fails_the_step(toy: Toy) -> None:
    assert not toy.passes(BROKEN)
    assert "FAILED AGAIN: " in toy.printed


def test_many_failures_are_not_repeated(toy: Toy) -> None:
    assert toy.passes(SEVERAL.replace("COUNT", str(MOST_REPEATED)))
    assert not toy.passes(SEVERAL.replace("COUNT", str(MOST_REPEATED + 1)), name="test_more.py")
    assert "UNSTABLE" not in toy.printed


def test_a_group_without_servers_is_not_repeated(toy: Toy) -> None:
    assert not toy.passes(UNSTABLE, repeats=False)


def test_a_test_that_judges_the_others_is_not_repeated(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.groups.JUDGING", (*JUDGING, "test_toy.py"))
    assert not toy.passes(UNSTABLE)


def test_a_skip_without_leave_fails_alone_as_well(toy: Toy) -> None:
    assert not toy.passes(SKIPPED)
