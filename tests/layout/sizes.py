"""Sizes of the code: `python -m tests.layout.sizes [PACKAGE…]`, or `make metrics`.

It prints one row per package, and the outliers.
"""

import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "storage", "connectors", "streams", "bench")
WIDE_COLUMNS = 88
MEDIAN_FUNCTION = 8
LONGEST_FUNCTION = 50
LONGEST_FILE = 400
LONGEST_TEST_FILE = 600
WIDE_SHARE = 0.05
_BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.comprehension,
    ast.match_case,
    ast.Assert,
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_TITLES = (
    ("package", 10),
    ("files", 6),
    ("lines", 7),
    ("median", 7),
    ("p90", 4),
    ("max", 4),
    ("functions", 10),
    ("median", 7),
    ("p90", 4),
    ("max", 4),
    (">50", 4),
    ("paths p90", 10),
    ("max", 4),
    (">88 col", 8),
    ("comments", 9),
    ("returns", 8),
    ("docs", 5),
)


@dataclass(frozen=True, slots=True)
class Function:
    """`paths` is the cyclomatic complexity: one more than the branches of the function itself."""

    where: str
    lines: int
    paths: int
    has_docstring: bool
    has_return_type: bool
    is_public: bool


@dataclass(frozen=True, slots=True)
class File:
    """`wide` are the lines over 88 columns, `comments` those with a comment."""

    path: Path
    lines: int
    wide: int
    comments: int
    functions: tuple[Function, ...]


def measured(path: Path, root: Path = ROOT) -> File:
    text = path.read_text()
    lines = text.splitlines()
    functions = tuple(_functions(ast.parse(text), str(path.relative_to(root))))
    wide = sum(len(line) > WIDE_COLUMNS for line in lines)
    return File(path, len(lines), wide, _comments(text), functions)


def measured_packages(packages: Sequence[str] = PACKAGES) -> dict[str, list[File]]:
    return {
        package: [measured(path) for path in sorted((ROOT / package).rglob("*.py"))]
        for package in packages
    }


def _functions(tree: ast.AST, file: str) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS):
            yield Function(
                f"{file}:{node.lineno} {node.name}",
                (node.end_lineno or node.lineno) - node.lineno + 1,
                1 + sum(_branches(node)),
                ast.get_docstring(node) is not None,
                node.returns is not None,
                not node.name.startswith("_"),
            )


def _branches(node: ast.AST) -> Iterator[int]:
    """The branches of a function, without those of nested functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.BoolOp):
            yield len(child.values) - 1
        elif isinstance(child, _BRANCHES):
            yield 1
        if not isinstance(child, _FUNCTIONS):
            yield from _branches(child)


def _comments(text: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(token.type == tokenize.COMMENT for token in tokens)


def row(name: str, files: list[File]) -> str:
    functions = [function for file in files for function in file.functions]
    lines = sum(file.lines for file in files)
    of_files = spread([file.lines for file in files])
    of_functions = spread([function.lines for function in functions])
    paths = spread([function.paths for function in functions])
    over = sum(function.lines > LONGEST_FUNCTION for function in functions)
    cells = (
        name,
        len(files),
        lines,
        *of_files,
        len(functions),
        *of_functions,
        over,
        *paths[1:],
        f"{wide_share(files):.2%}",
        f"{sum(file.comments for file in files) / max(1, lines):.1%}",
        _share([function.has_return_type for function in functions]),
        _share([function.has_docstring for function in functions if function.is_public]),
    )
    return _line(cells)


def spread(sizes: list[int]) -> tuple[int, int, int]:
    """Median, 90th percentile and maximum."""
    ordered = sorted(sizes) or [0]
    return round(statistics.median(ordered)), ordered[int(len(ordered) * 0.9)], ordered[-1]


def wide_share(files: list[File]) -> float:
    return sum(file.wide for file in files) / max(1, sum(file.lines for file in files))


def _share(answers: list[bool]) -> str:
    return f"{sum(answers) / max(1, len(answers)):.0%}"


def _line(cells: Sequence[object]) -> str:
    first, *others = zip(cells, _TITLES, strict=True)
    return f"{first[0]:<{first[1][1]}}" + "".join(f"{cell:>{width}}" for cell, (_, width) in others)


def outliers(files: list[File]) -> Iterator[str]:
    """What exceeds a limit."""
    for file in files:
        if file.lines > LONGEST_FILE:
            yield f"{file.path.relative_to(ROOT)}: {file.lines} lines"
        for function in file.functions:
            if function.lines > LONGEST_FUNCTION:
                yield f"{function.where}: {function.lines} lines"


def long_test_files(root: Path = ROOT) -> Iterator[str]:
    """Names the files under tests/ over their limit; functions of tests have no limit."""
    for path in sorted((root / "tests").rglob("*.py")):
        lines = len(path.read_text().splitlines())
        if lines > LONGEST_TEST_FILE:
            yield f"{path.relative_to(root)}: {lines} lines"


def main(packages: list[str]) -> None:
    print("Lines of files, then of functions; paths are the cyclomatic complexity of functions.")
    print("docs: public functions with a docstring; returns: functions with a return type.")
    print(_line([title for title, _ in _TITLES]))
    found = measured_packages(packages)
    for package, files in found.items():
        print(row(package, files))
    every = [file for files in found.values() for file in files]
    print(row("all", every))
    for line in (*outliers(every), *long_test_files()):
        print(f"  {line}")


if __name__ == "__main__":
    main(sys.argv[1:] or list(PACKAGES))
