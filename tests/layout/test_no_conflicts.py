"""No committed file contains the marks of an unresolved merge."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_MARK = re.compile(r"^(<{7} |>{7} )", re.MULTILINE)
_KINDS = {".py", ".md", ".sql", ".yml", ".toml", ".json", ".avsc", ".html", ".css", ".js", ".lock"}
_NOT_OURS = {"var", ".venv", ".git", "node_modules"}


def marked(root: Path) -> Iterator[Path]:
    """Files of the repository with a mark at the beginning of a line."""
    for folder in (root, *(one for one in root.iterdir() if one.is_dir())):
        if folder.name in _NOT_OURS or folder.name.endswith("_cache"):
            continue
        for file in folder.glob("*") if folder == root else folder.rglob("*"):
            if file.suffix in _KINDS and file.is_file() and _MARK.search(file.read_text()):
                yield file


def test_no_file_holds_marks_of_a_conflict() -> None:
    assert list(marked(ROOT)) == []


def test_a_mark_is_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text(f"fine\n{'<' * 7} HEAD\nmine\n")
    (tmp_path / "b.md").write_text("A title\n=======\n")
    assert [file.name for file in marked(tmp_path)] == ["a.md"]
