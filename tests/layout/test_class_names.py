"""A class name is used once in the product, so that a name found by searching is the right one."""

import ast
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "storage", "connectors", "streams")


def classes(source: str) -> list[str]:
    return [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]


def used_more_than_once(files: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Maps each class name that is defined more than once to the files that define it."""
    found: dict[str, list[str]] = defaultdict(list)
    for file, source in files:
        for name in classes(source):
            found[name].append(file)
    return {name: where for name, where in found.items() if len(where) > 1}


def test_each_class_name_is_used_once() -> None:
    files = [
        (str(path.relative_to(ROOT)), path.read_text())
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    ]
    assert len(files) > 200
    assert used_more_than_once(files) == {}


def test_a_name_of_two_files_is_found_also_where_one_is_private_to_a_function() -> None:
    files = [
        ("a.py", "class Place: ...\nclass _Other: ..."),
        ("b.py", "def made():\n    class Place: ...\n    return Place"),
    ]
    assert used_more_than_once(files) == {"Place": ["a.py", "b.py"]}
