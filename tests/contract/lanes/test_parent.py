"""The parent of a stage's worker, with real processes: when it fences and restarts its child."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from lane_world import World

from schemas.settings import Settings
from schemas.topics import Names
from streams.lanes.transactions import fence
from streams.local.ports import free_port
from streams.settings import to_environment

ODD = Path(__file__).with_name("odd_worker.py")
RUN = f"""
import sys
from streams.roles import stream
from streams.settings import read_settings
stream.WORKER = (sys.executable, {str(ODD)!r})
stream.CHILD_STOP_SECONDS = 1.0
sys.exit(stream.run(read_settings(), ("dedupe",)))
"""
SECONDS = 60.0


def wait(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return value


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Family:
    """A parent with odd children, and what they record."""

    def __init__(self, settings: Settings, folder: Path, how: str, **more: str) -> None:
        self.notes, self.log = folder / "notes", folder / "log"
        plain = {
            key: value for key, value in os.environ.items() if not key.startswith("SENSORIUM_")
        }
        odd = {"ODD_WORKER": how, "ODD_NOTES": str(self.notes), "PYTHONPATH": str(Path.cwd())}
        with self.log.open("wb") as log:
            self.parent = subprocess.Popen(
                [sys.executable, "-c", RUN],
                env=plain | to_environment(settings) | odd | more,
                stdout=log,
                stderr=log,
            )

    def noted(self, word: str) -> list[tuple[int, float]]:
        """The process id and monotonic time of each start."""
        lines = (
            [line.split() for line in self.notes.read_text().splitlines()]
            if self.notes.exists()
            else []
        )
        return [(int(pid), float(at)) for noted, pid, at in lines if noted == word]

    def end(self) -> None:
        pids = [pid for word in ("started", "open", "orphan") for pid, _ in self.noted(word)]
        self.parent.kill()
        self.parent.wait()
        for pid in pids:
            if lives(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def family(stack: Settings, tmp_path: Path) -> Iterator[Callable[..., Family]]:
    begun: list[Family] = []

    def begin(how: str, settings: Settings = stack, **more: str) -> Family:
        begun.append(Family(settings, tmp_path, how, **more))
        return begun[-1]

    yield begin
    for one in begun:
        one.end()


# starting again


def test_a_child_that_cannot_start_is_tried_again_ever_more_slowly_and_the_parent_still_hears(
    family: Callable[..., Family],
) -> None:
    one = family("cannot start")
    starts = wait(lambda: len(tried := one.noted("started")) >= 6 and tried, "six tries")
    gaps = [later - sooner for (_, sooner), (_, later) in pairwise(starts)]
    assert all(gap >= least for gap, least in zip(gaps, (0.2, 0.4, 0.8, 1.6, 3.2), strict=False)), (
        gaps
    )
    one.parent.terminate()  # it now waits 6.4 s before the next try
    assert one.parent.wait(5.5) == 0


def test_a_parent_is_not_held_up_by_a_pipe_that_a_grandchild_keeps_open(
    family: Callable[..., Family],
) -> None:
    one = family("leaves the pipe to a grandchild")
    wait(lambda: len(one.noted("started")) >= 2, "it is started again")


# ending


def test_a_signal_that_comes_as_a_child_starts_is_not_lost(family: Callable[..., Family]) -> None:
    one = family("tells its parent to stop")
    assert one.parent.wait(SECONDS) == 0
    ((child, _),) = one.noted("started")
    assert not lives(child)


def test_a_child_that_does_not_stop_is_killed(family: Callable[..., Family]) -> None:
    one = family("does not stop")
    ((child, _),) = wait(lambda: one.noted("started"), "the child runs")
    one.parent.terminate()
    assert one.parent.wait(SECONDS) == 0
    assert not lives(child)


# fencing


@pytest.fixture
def slow(stack: Settings, namespace: str) -> tuple[Settings, World]:
    """Transactions so long that only a fence ends them within a test."""
    kafka = msgspec.structs.replace(stack.kafka, transaction_timeout_seconds=60.0)
    world = World(kafka, namespace)
    world.make("out")
    return msgspec.structs.replace(stack, kafka=kafka), world


def test_readers_continue_about_a_second_after_a_child_died_in_mid_transaction(
    family: Callable[..., Family], slow: tuple[Settings, World]
) -> None:
    settings, world = slow
    one = family(
        "dies in a transaction", settings, ODD_TOPIC=world.topic("out"), ODD_ID=f"{world.name}-id"
    )
    ((child, _),) = wait(lambda: one.noted("open"), "a transaction is open")
    world.produce("out", b"a neighbour's")
    assert world.values("out") == []
    began = time.monotonic()
    os.kill(child, signal.SIGKILL)
    wait(lambda: world.values("out") == [b"a neighbour's"], "readers go on", 50)
    took = time.monotonic() - began
    wait(lambda: "worker_fenced" in one.log.read_text(), "the parent says so")
    assert took < 50, (
        took
    )  # 0.5 to 0.7 s on a quiet machine, and nothing else would end it within 60 s
    wait(lambda: one.noted("started"), "another child is started")


def test_a_child_that_was_stopped_before_it_died_is_not_fenced_because_others_may_own_its_partitions(
    family: Callable[..., Family], slow: tuple[Settings, World]
) -> None:
    settings, world = slow
    name = f"{world.name}-id"
    one = family("dies in a transaction", settings, ODD_TOPIC=world.topic("out"), ODD_ID=name)
    ((child, _),) = wait(lambda: one.noted("open"), "a transaction is open")
    os.kill(child, signal.SIGSTOP)
    stopped = time.monotonic()
    wait(lambda: time.monotonic() - stopped > 5.0, "longer than anybody waits for it")
    os.kill(child, signal.SIGKILL)
    wait(lambda: one.noted("started"), "another child is started")
    wait(lambda: "worker_not_fenced" in one.log.read_text(), "the parent says so")
    world.produce("out", b"a neighbour's")
    assert world.values("out") == []
    fence(settings.kafka, name)
    assert world.values("out") == [b"a neighbour's"]


# the real worker


class Stage:
    """`sensorium stream dedupe` as a process."""

    def __init__(self, settings: Settings, namespace: str, folder: Path) -> None:
        self.port = free_port(set())
        worker = msgspec.structs.replace(settings.worker, name="w1", metrics_port=self.port)
        ours = msgspec.structs.replace(settings, namespace=namespace, worker=worker)
        plain = {
            key: value for key, value in os.environ.items() if not key.startswith("SENSORIUM_")
        }
        self.log = folder / "stage.log"
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "streams.commands.main", "stream", "dedupe"]
            self.parent = subprocess.Popen(
                command,
                env=plain | to_environment(ours),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/readyz", timeout=2
            ) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def children(self) -> list[int]:
        return [
            int(pid)
            for pid in Path(f"/proc/{self.parent.pid}/task/{self.parent.pid}/children")
            .read_text()
            .split()
        ]


@pytest.fixture
def stage(stack: Settings, pipeline_topics: Names, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(stack, pipeline_topics.namespace, tmp_path)
    yield one
    one.parent.kill()
    one.parent.wait()


def test_a_stage_stops_cleanly_when_its_parent_is_told_to(stage: Stage) -> None:
    wait(stage.ready, "the stage is ready")
    (child,) = stage.children()
    stage.parent.terminate()
    assert stage.parent.wait(SECONDS) == 0
    assert not lives(child)
    log = stage.log.read_text()
    assert '"code": 0' in log, log[-2000:]
    assert "worker_ends" not in log


def test_nothing_lives_on_when_the_parent_is_killed_and_the_next_one_takes_over(
    stage: Stage, stack: Settings, pipeline_topics: Names, tmp_path: Path
) -> None:
    wait(stage.ready, "the stage is ready")
    (child,) = stage.children()
    stage.parent.kill()
    stage.parent.wait()
    wait(lambda: not lives(child), "the child dies with its parent")
    again = Stage(stack, pipeline_topics.namespace, tmp_path)
    try:
        wait(again.ready, "another one takes over")
    finally:
        again.parent.terminate()
        assert again.parent.wait(SECONDS) == 0


def test_a_killed_worker_is_fenced_and_another_one_is_ready_soon(stage: Stage) -> None:
    wait(stage.ready, "the stage is ready")
    (child,) = stage.children()
    os.kill(child, signal.SIGKILL)
    wait(lambda: (now := stage.children()) and now != [child], "another child")
    wait(stage.ready, "the stage is ready again")
    wait(lambda: "worker_fenced" in stage.log.read_text(), "the parent says so")


def test_a_worker_whose_parent_is_gone_before_it_could_ask_for_the_signal_does_not_start() -> None:
    ours, theirs = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "streams.roles.worker", "dedupe", str(theirs), "999999999"],
            pass_fds=(theirs,),
            timeout=SECONDS,
        )
        assert done.returncode == 1
    finally:
        os.close(ours)
        os.close(theirs)
