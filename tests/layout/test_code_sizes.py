"""The code and its tests keep their limits of size, and what is over a limit is named."""

from pathlib import Path

from tests.layout.sizes import (
    MEDIAN_FUNCTION,
    ROOT,
    WIDE_SHARE,
    File,
    Function,
    long_test_files,
    measured,
    measured_packages,
    outliers,
    spread,
    wide_share,
)


def test_functions_are_measured_with_nested_ones_and_wide_lines_are_counted(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text(
        'def outer(a):\n    """Says what it does."""\n\n    def _inner() -> int:\n        return 1 if a else 2\n\n'
        f"    if a and a > 1:\n        return 3\n    return _inner\n# {'x' * 90}\n"
    )
    file = measured(source, tmp_path)
    assert (file.lines, file.wide, file.comments) == (10, 1, 1)
    assert file.functions == (
        Function("a.py:1 outer", 9, 3, True, False, True),
        Function("a.py:4 _inner", 2, 2, False, True, False),
    )


def test_a_file_and_a_function_over_their_limits_are_named() -> None:
    long = Function("a.py:1 long", 51, 1, True, True, True)
    short = Function("a.py:60 short", 50, 1, True, True, True)
    files = [File(ROOT / "a.py", 401, 0, 0, (long, short)), File(ROOT / "b.py", 400, 0, 0, ())]
    assert list(outliers(files)) == ["a.py: 401 lines", "a.py:1 long: 51 lines"]


def test_a_test_file_over_its_limit_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "unit"
    folder.mkdir(parents=True)
    for name, lines in (("test_long.py", 601), ("test_short.py", 600), ("records.py", 700)):
        (folder / name).write_text("#\n" * lines)
    assert list(long_test_files(tmp_path)) == [
        "tests/unit/records.py: 700 lines",
        "tests/unit/test_long.py: 601 lines",
    ]


def test_the_tests_keep_their_limit() -> None:
    assert list(long_test_files()) == []


def test_the_code_keeps_its_limits() -> None:
    """CONTRIBUTING.md names them; `make metrics` shows the numbers."""
    files = [file for files in measured_packages().values() for file in files]
    assert list(outliers(files)) == []
    median, _, _ = spread([function.lines for file in files for function in file.functions])
    assert median <= MEDIAN_FUNCTION
    assert wide_share(files) <= WIDE_SHARE
