"""Pages that name code name code that exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("internals", "extending")
PAGES_WITH_FILES = (*PAGES, "architecture", "guarantees", "operating", "security")
NAMED = re.compile(r"`([A-Za-z_.]+)`(?: and `([A-Za-z_.]+)`)? in `([a-z_/]+\.py)`")


@cache
def names_in(file: Path) -> frozenset[str]:
    """The functions, classes and `Class.method` that a file defines or assigns at the top level."""
    found: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name, body=body):
                found.add(name)
                found |= {
                    f"{name}.{inner.name}"
                    for inner in body
                    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
                }
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES)
def test_every_function_that_the_page_names_is_where_it_says(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    named = [(name, file) for *names, file in NAMED.findall(text) for name in names if name]
    assert len(named) > 5
    missing = [(name, file) for name, file in named if name not in names_in(ROOT / file)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES_WITH_FILES)
def test_every_file_that_the_page_names_exists(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    named = set(
        re.findall(r"`((?:schemas|storage|connectors|streams|tests|docs|bench)/[\w/.-]+)`", text)
    )
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_a_name_that_was_moved_is_missed() -> None:
    assert "PartitionTransactions.open" in names_in(ROOT / "streams/lanes/transactions.py")
    assert "PartitionTransactions.shut" not in names_in(ROOT / "streams/lanes/transactions.py")
