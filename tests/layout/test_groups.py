"""`make test` runs every test file once, and those that judge a whole run once in each."""

from collections import Counter
from pathlib import Path

from tests.groups import ACCEPTANCE, GROUPS, JUDGING, KILLS, Group

ROOT = Path(__file__).parents[2]


def files_of(group: Group) -> list[str]:
    """The test files of a group: those in its paths that it does not ignore."""
    ignored = {one.removeprefix("--ignore=") for one in group.options}
    paths = [ROOT / path for path in group.paths]
    found = [
        file for path in paths for file in (path.rglob("test_*.py") if path.is_dir() else [path])
    ]
    assert all(file.is_file() for file in found), found
    return [name for file in found if (name := str(file.relative_to(ROOT))) not in ignored]


def test_every_test_file_belongs_to_one_group_and_the_judging_ones_to_both_runs() -> None:
    runs = Counter(file for group in GROUPS for file in files_of(group))
    there = [str(file.relative_to(ROOT)) for file in (ROOT / "tests").rglob("test_*.py")]
    assert runs == Counter([*there, *JUDGING])
    assert {*JUDGING} <= {*files_of(ACCEPTANCE)} & {*files_of(KILLS)}
