import threading

import pytest

from streams.local import preparing
from streams.local.preparing import Preparing
from streams.local.processes import LocalError


def test_things_are_made_at_the_same_time_and_taken_by_name() -> None:
    both = threading.Barrier(2, timeout=60)

    def make(name: str) -> str:
        both.wait()
        return name

    makers = {"kafka": lambda: make("jars"), "objects": lambda: make("program")}
    with Preparing(makers, print) as making:
        assert making.take("objects") == "program"
        assert making.is_at_hand("kafka")
        assert making.take_all() == ["jars", "program"]


def test_what_takes_long_is_said_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "PROGRESS_SECONDS", 0.01)
    monkeypatch.setattr(preparing, "_AT_ONCE_SECONDS", 0.0)
    said: list[str] = []
    go_on = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 2:
            go_on.set()

    with Preparing({"objects": lambda: go_on.wait(60)}, say) as making:
        assert not making.is_at_hand("objects")
        assert making.take("objects")
    assert said[0].startswith("objects: still being made")


def test_when_one_fails_it_is_said_at_once_and_the_others_are_finished() -> None:
    go_on, said = threading.Event(), list[str]()
    finished: list[str] = []

    def fail() -> None:
        raise LocalError("`mvn` is not on PATH")

    def build() -> None:
        assert go_on.wait(60)
        finished.append("built")

    def say(line: str) -> None:
        said.append(line)
        go_on.set()

    with (
        pytest.raises(LocalError, match="mvn"),
        Preparing({"kafka": fail, "objects": build}, say) as making,
    ):
        making.take("kafka")
    assert finished == ["built"]
    assert said[0] == "`mvn` is not on PATH"
    assert "waiting for objects" in said[1]
