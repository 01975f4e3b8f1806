"""Tests the guard of conftest.py against tests that are silently skipped, in a session of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
LEAVE = "MAY_BE_SKIPPED: dict[str, str] = {"


def session_in(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs pytest on the tests in the folder, with the conftest.py in it."""
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", str(folder)]
    command += ["-p", "no:cacheprovider", "-p", "no:asyncio", "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("test", "leave", "exit_code", "said"),
    [
        ("pass", "", 0, "0 skipped, 0 of them without leave"),
        ("pytest.skip('no camera')", "", 1, "1 skipped, 1 of them without leave"),
        (
            "pytest.skip('no camera')",
            "'test_it.py::test_it': 'needs a camera',",
            0,
            "1 skipped, 0 of them without leave",
        ),
        ("pytest.xfail('known')", "", 0, "0 skipped, 0 of them without leave"),
        ("pytest.importorskip('no_such_module')", "", 1, "1 skipped, 1 of them without leave"),
    ],
)
def test_a_test_skipped_without_leave_fails_the_session(
    tmp_path: Path, test: str, leave: str, exit_code: int, said: str
) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text().replace(LEAVE, LEAVE + leave))
    (tmp_path / "test_it.py").write_text(f"import pytest\n\ndef test_it():\n    {test}\n")
    done = session_in(tmp_path)
    assert (done.returncode, said in done.stdout) == (exit_code, True), done.stdout + done.stderr


def test_a_module_skipped_as_a_whole_is_counted_too(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\npytest.skip('not here', allow_module_level=True)\n"
    )
    (tmp_path / "test_other.py").write_text("def test_other():\n    pass\n")
    assert session_in(tmp_path).returncode == 1
