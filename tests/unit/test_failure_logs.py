import os
from pathlib import Path
from types import SimpleNamespace

from tests.failure_logs import TAIL_CHARACTERS, logs_of


def test_a_report_has_the_ends_of_the_logs_that_were_written_during_the_test(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "pipeline"
    folder.mkdir()
    for name in ("sink.log", "old.log", "empty.log", "rows.txt", "00000042.log"):
        (folder / name).write_text("" if name == "empty.log" else f"{name} began\n")
    (folder / "sink.log").write_text("x" * TAIL_CHARACTERS + "the end")
    os.utime(folder / "old.log", (1, 1))
    fixtures = {"pipeline": SimpleNamespace(folder=folder), "number": 5}
    ((title, text),) = logs_of(fixtures, since=1_000)
    assert title == f"End of {folder / 'sink.log'}"
    assert text.endswith("the end") and len(text) == TAIL_CHARACTERS


def test_the_logs_of_a_chaos_run_and_of_a_tests_own_folder_are_found(tmp_path: Path) -> None:
    (tmp_path / "receiver-1.log").write_text("refused")
    (tmp_path / "log").write_text("stopped")
    chaos = SimpleNamespace(pipeline=SimpleNamespace(folder=tmp_path))
    for fixtures in ({"tmp_path": tmp_path}, {"chaos": chaos}):
        found = logs_of(fixtures, since=0)
        assert [text for _, text in found] == ["stopped", "refused"]
