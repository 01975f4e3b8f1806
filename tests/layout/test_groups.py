"""`make test` runs every test folder."""

from pathlib import Path

from tests.groups import GROUPS

TESTS = Path(__file__).parents[1]


def test_every_folder_that_holds_tests_belongs_to_one_group() -> None:
    named = [folder for group in GROUPS for folder in group.folders]
    there = {f"tests/{path.relative_to(TESTS).parts[0]}" for path in TESTS.rglob("test_*.py")}
    assert sorted(named) == sorted(there)
