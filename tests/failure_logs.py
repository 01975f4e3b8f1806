"""The logs of the processes of a failed test, for the report.

On another machine, the report is all that a person has.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MOST_FILES = 15
TAIL_CHARACTERS = 5_000


def logs_of(fixtures: Mapping[str, Any], since: float) -> list[tuple[str, str]]:
    """The ends of logs that were written since then, in folders of the test's fixtures."""
    files = sorted({file for folder in _folders(fixtures) for file in _logs(folder, since)})
    return [(f"End of {file}", tail_of(file)) for file in files[:MOST_FILES]]


def tail_of(file: Path) -> str:
    return file.read_text(errors="replace")[-TAIL_CHARACTERS:]


def _folders(fixtures: Mapping[str, Any]) -> Iterator[Path]:
    """`tmp_path`, and the folders of a pipeline, of a chaos run or of an installation."""
    for fixture in fixtures.values():
        for found in (
            fixture,
            getattr(fixture, "folder", None),
            getattr(getattr(fixture, "pipeline", None), "folder", None),
        ):
            if isinstance(found, Path) and found.is_dir():
                yield found


def _logs(folder: Path, since: float) -> Iterator[Path]:
    for file in folder.rglob("*"):
        is_log = file.suffix == ".log" or file.name == "log"
        if is_log and not file.stem.isdigit() and file.is_file():  # digits: data of a Kafka
            facts = file.stat()
            if facts.st_size and facts.st_mtime >= since:
                yield file
