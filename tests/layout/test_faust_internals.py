"""Decision 0001 lists the private parts of Faust and aiokafka that are used."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
(DECISION,) = (ROOT / "docs" / "decisions").glob("0001-*.md")
FILES = sorted(
    path
    for path in (ROOT / "streams").rglob("*.py")
    if re.search(r"^(?:import|from) (?:faust|mode|aiokafka)\b", path.read_text(), re.M)
)


def listed() -> dict[str, set[str]]:
    """The names in the decision, by file."""
    rows = re.findall(r"^\| `(streams/[\w/]+\.py)` \| (.+?) \|", DECISION.read_text(), re.M)
    return {file: set(re.findall(r"\b_[a-z]\w+", what)) for file, what in rows}


def foreign(source: str) -> set[str]:
    """The private names in the source that it does not define itself, as attributes or texts."""
    tree = ast.parse(source)
    used: set[str] = set()
    of_self: set[str] = set()
    own: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name="__init__") | ast.AsyncFunctionDef(name="__init__"):
                own |= {
                    one.attr
                    for one in ast.walk(node)
                    if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store)
                }
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                own.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                of_self.add(name)
            case ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                used.add(name)
    private = re.compile(r"_[a-z]\w+")
    return {name for name in used | (of_self - own) if private.fullmatch(name)} - {"_exit"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_private_part_of_faust_is_listed_with_its_file(path: Path) -> None:
    file = str(path.relative_to(ROOT))
    assert foreign(path.read_text()) == listed().get(file, set())


def test_every_file_of_the_list_uses_faust() -> None:
    assert set(listed()) <= {str(path.relative_to(ROOT)) for path in FILES}


def test_a_private_part_is_found() -> None:
    source = "class A:\n def __init__(self):\n  self._own = 1\n def f(self):\n  return self._own, x._theirs\n"
    assert foreign(source) == {"_theirs"}
