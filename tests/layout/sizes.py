"""Sizes of the code: `python -m tests.layout.sizes [PACKAGE…]`, or `make metrics`. Prints one row per package and the outliers."""

import ast
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "storage", "connectors", "streams", "bench")
WIDE_COLUMNS = 88
LONGEST_FUNCTION = 50
LONGEST_FILE = 400


@dataclass(frozen=True, slots=True)
class Function:
    where: str
    lines: int
    has_docstring: bool
    is_public: bool


@dataclass(frozen=True, slots=True)
class File:
    path: Path
    lines: int
    wide: int
    functions: tuple[Function, ...]


def measured(path: Path, root: Path = ROOT) -> File:
    text = path.read_text()
    lines = text.splitlines()
    functions = tuple(_functions(ast.parse(text), str(path.relative_to(root))))
    return File(path, len(lines), sum(len(line) > WIDE_COLUMNS for line in lines), functions)


def _functions(tree: ast.AST, file: str) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(
                f"{file}:{node.lineno} {node.name}",
                (node.end_lineno or node.lineno) - node.lineno + 1,
                ast.get_docstring(node) is not None,
                not node.name.startswith("_"),
            )


def row(name: str, files: list[File]) -> str:
    functions = [function for file in files for function in file.functions]
    sizes = sorted(function.lines for function in functions) or [0]
    lines = sum(file.lines for file in files)
    public = [function for function in functions if function.is_public]
    documented = sum(function.has_docstring for function in public) / max(1, len(public))
    return (
        f"{name:12} {len(files):5} {lines:7} {max(file.lines for file in files):8}"
        f" {statistics.median(sizes):7.0f} {sizes[int(len(sizes) * 0.9)]:5} {sizes[-1]:5}"
        f" {sum(size > LONGEST_FUNCTION for size in sizes):5}"
        f" {sum(file.wide for file in files) / max(1, lines):7.1%} {documented:7.0%}"
    )


def outliers(files: list[File]) -> Iterator[str]:
    for file in files:
        if file.lines > LONGEST_FILE:
            yield f"{file.path.relative_to(ROOT)}: {file.lines} lines"
        for function in file.functions:
            if function.lines > LONGEST_FUNCTION:
                yield f"{function.where}: {function.lines} lines"


def main(packages: list[str]) -> None:
    print("package      files   lines  longest  median   p90   max   >50   >88col  public with doc")
    every: list[File] = []
    for package in packages:
        files = [measured(path) for path in sorted((ROOT / package).rglob("*.py"))]
        every += files
        print(row(package, files))
    print(row("all", every))
    for line in outliers(every):
        print(f"  {line}")


if __name__ == "__main__":
    main(sys.argv[1:] or list(PACKAGES))
