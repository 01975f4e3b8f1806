"""Draws the exceptions of each layer as a tree.

`python -m tests.layout.exceptions` draws them into `<layer>/errors.py`, and `make docs`
runs it. A private exception, which does not leave its file, is in no tree.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAYERS = ("schemas", "storage", "connectors", "streams")
BUILT_IN = {"Exception", "ValueError", "RuntimeError", "OSError", "TypeError", "KeyError"}
BEGIN = "Drawn by `make docs`:\n\n"


@dataclass(frozen=True, slots=True)
class Class:
    name: str
    bases: tuple[str, ...]
    file: str


def classes(file: str, source: str) -> Iterator[Class]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            bases = tuple(ast.unparse(base).rpartition(".")[2] for base in node.bases)
            yield Class(node.name, bases, file)


def classes_of(layer: str) -> list[Class]:
    return [
        found
        for path in sorted((ROOT / layer).rglob("*.py"))
        for found in classes(str(path.relative_to(ROOT)), path.read_text())
    ]


def root_of(layer: str) -> str:
    return f"{layer.capitalize()}Error"


def outside(layer: str, found: list[Class]) -> list[str]:
    """Public exceptions that derive from a built-in one and not from the layer's root."""
    return [
        f"{one.file}: {one.name} must derive from {root_of(layer)} ({layer}/errors.py)"
        for one in found
        if one.name != root_of(layer)
        and not one.name.startswith("_")
        and BUILT_IN.intersection(one.bases)
        and root_of(layer) not in one.bases
    ]


def tree(layer: str, found: list[Class]) -> str:
    """The root and everything that derives from it, each with its file."""
    lines = [root_of(layer)]

    def grow(parent: str, indent: str) -> None:
        under = sorted(
            (one for one in found if parent in one.bases and not one.name.startswith("_")),
            key=lambda one: (one.file, one.name),
        )
        for number, one in enumerate(under):
            last = number == len(under) - 1
            branch = f"{indent}{'└── ' if last else '├── '}{one.name}"
            lines.append(f"{branch:32} {one.file}")
            grow(one.name, f"{indent}{'    ' if last else '│   '}")

    grow(root_of(layer), "")
    return "\n".join(lines)


def drawn(layer: str, source: str) -> str:
    """The text of `<layer>/errors.py` with its tree drawn again."""
    before, begin, rest = source.partition(BEGIN)
    assert begin, f"{layer}/errors.py has no tree to draw again"
    _, end, after = rest.partition('"""\n')
    return f"{before}{begin}{tree(layer, classes_of(layer))}\n{end}{after}"


def main() -> None:
    for layer in LAYERS:
        path = ROOT / layer / "errors.py"
        path.write_text(drawn(layer, path.read_text()))


if __name__ == "__main__":
    main()
