from pathlib import Path

from tests.layout.sizes import Function, measured


def test_functions_are_measured_with_nested_ones_and_wide_lines_are_counted(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text(
        'def outer():\n    """Says what it does."""\n\n    def _inner():\n        return 1\n\n'
        f"    return _inner\n# {'x' * 90}\n"
    )
    file = measured(source, tmp_path)
    assert (file.lines, file.wide) == (8, 1)
    assert file.functions == (
        Function("a.py:1 outer", 7, True, True),
        Function("a.py:4 _inner", 2, False, False),
    )
