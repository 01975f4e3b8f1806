import os
from subprocess import TimeoutExpired

import pytest

from tests.quick_commands import run_anew, run_quickly

PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("SENSORIUM_")}


@pytest.mark.parametrize(
    "words", [["--version"], ["tenants", "list", "--json"], ["nosuch"]], ids=" ".join
)
def test_a_quick_command_does_what_one_in_a_new_interpreter_does(words: list[str]) -> None:
    quick, anew = run_quickly(words, PLAIN), run_anew(words, PLAIN)
    assert (quick.returncode, quick.stdout) == (anew.returncode, anew.stdout)
    last = [one.stderr.splitlines()[-1:] for one in (quick, anew)]
    assert last[0] == last[1]


def test_a_quick_command_has_the_environment_it_is_given_and_no_other() -> None:
    wrong = run_quickly(["tenants", "list"], PLAIN | {"SENSORIUM_NO_SUCH_SETTING": "1"})
    assert wrong.returncode != 0 and "NO_SUCH_SETTING" in wrong.stderr
    assert "NO_SUCH_SETTING" not in run_quickly(["tenants", "list"], PLAIN).stderr


def test_a_quick_command_that_takes_too_long_is_ended() -> None:
    with pytest.raises(TimeoutExpired):
        run_quickly(["tenants", "list"], PLAIN, seconds=0)
