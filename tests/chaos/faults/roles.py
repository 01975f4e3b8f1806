"""Faults of our own processes: killed, restarted, added, stopped, with clocks set back."""

import os
import signal
import time
from collections import Counter
from contextlib import ExitStack

from schemas.pipeline import STAGES
from tests.chaos.clock import shifted
from tests.chaos.world import ALL_ROLES, World, children_of, listeners, process_state

LANE_WINDOWS = (
    "before_begin",
    "between_outputs_and_table",
    "between_table_and_offset",
    "before_commit",
    "after_commit",
)
ROLE_WINDOWS = {
    "sink": ("sink_before_commit", "sink_after_commit"),
    "receive": ("receiver_before_write", "receiver_before_answer"),
}
OFTEN = (10, 40)
RARELY = {"store_media": (3, 12), "describe": (2, 8), "transcribe": (2, 5), "sink": (5, 20)}
"""How often a window is passed before it kills."""
HITS_SHORT, HITS_LONG = 3, 20
WINDOWS_SECONDS = 900.0


def kill_roles(world: World) -> None:
    """Kills a random role every second or two: a worker, a parent, sink, receiver or console."""
    end = time.monotonic() + world.seconds
    while time.monotonic() < end:
        world.kill(world.rng.choice(ALL_ROLES))
        world.sleep(world.rng.uniform(0.5, 2.0))


def windows(world: World) -> None:
    """Kills processes in each critical window of lanes, sink and receiver, in all at once.

    In the short set each stage dies in one window, which the seed chooses, in the long
    set in every window. A second receiver lets traffic pass.
    """
    wanted = HITS_LONG if world.long else HITS_SHORT
    turned = list(LANE_WINDOWS)
    world.rng.shuffle(turned)
    marks = [_Mark(world, role, list(several), wanted) for role, several in ROLE_WINDOWS.items()]
    for number, stage in enumerate(STAGES):
        in_turn = [turned[(number + step) % len(turned)] for step in range(len(turned))]
        marks.append(
            _Mark(world, stage, in_turn, wanted // len(STAGES))
            if world.long
            else _Mark(world, stage, in_turn[:1], wanted)
        )
    world.crew.start("receive#2")
    world.must(lambda: listeners(world.pipeline.ports["receive"]) == 2, 60, "a second receiver")
    for mark in marks:
        mark.arm()

    def all_hit() -> bool:
        world.crew.calm()  # they are meant to die: no back-off
        for mark in marks:
            mark.look()
        return not any(mark.left for mark in marks)

    world.until(all_hit, WINDOWS_SECONDS if world.long else WINDOWS_SECONDS / 3)
    world.failures += [
        f"{mark.name} died {mark.hits[window]} times {window}, {mark.wanted} wanted"
        for mark in marks
        for window in mark.left
    ]
    for mark in marks:
        mark.disarm()
    world.must(
        lambda: listeners(world.pipeline.ports["receive"]) == 2, 60, "the first receiver again"
    )
    world.crew.stop("receive#2")
    hits = sum((mark.hits for mark in marks), Counter[str]())
    world.kills += hits.total()
    world.notes["window_hits"] = dict(hits)


class _Mark:
    """A process, and the windows in which it must die `wanted` times each, one after the other."""

    def __init__(self, world: World, name: str, left: list[str], wanted: int) -> None:
        self.name = name
        self.left = left
        self.wanted = wanted
        self.hits: Counter[str] = Counter()
        self._world = world

    def arm(self) -> None:
        """Arms the next window, or none if all of them had their deaths."""
        world, name = self._world, self.name
        self._log_bytes, self._deaths = world.crew.log_size(name), len(world.crew.deaths)
        world.disturb(
            name, f"{name} is to die {self.left[0]}" if self.left else f"{name} is to live"
        )
        world.crew.replace(
            name,
            f"{self.left[0]}:{world.rng.randint(*RARELY.get(name, OFTEN))}" if self.left else "",
        )

    def look(self) -> None:
        """Counts the deaths. Arms the next window after enough deaths in this one."""
        if self.left:
            window = self.left[0]
            self.hits[window] = self._died()
            if self.hits[window] >= self.wanted:
                self.left.pop(0)
                self.arm()

    def disarm(self) -> None:
        if self.left:
            self.left.clear()
            self.arm()

    def _died(self) -> int:
        if self.name in STAGES:
            return self._world.crew.worker_deaths(self.name, self._log_bytes)
        return sum(
            1
            for _, name, code in self._world.crew.deaths[self._deaths :]
            if name == self.name and code == -signal.SIGKILL
        )


def rolling(world: World) -> None:
    """Sends SIGTERM to every role in turn and starts a successor. No delivery may be refused."""
    port = world.pipeline.ports["receive"]
    world.crew.start("receive#2")
    world.must(lambda: listeners(port) == 2, 60, "a second receiver")
    before, statuses = world.generator.refused, dict(world.generator.statuses)
    for name in ("receive", "receive#2", *(role for role in ALL_ROLES if role != "receive")):
        world.disturb(name, f"SIGTERM {name}")
        code = world.crew.stop(name)
        if code != 0:
            world.failures.append(f"{name} ended with {code} after SIGTERM")
        world.crew.start(name)
        # a receiver's successor must be there before its neighbour goes; the others are waited for at the end
        if name.startswith("receive"):
            world.must(lambda: listeners(port) == 2, 60, "the receiver's successor")
        else:
            world.sleep(0.3)
    world.wait_ready()
    world.sleep(1.0)
    world.notes["refused"] = world.generator.refused - before
    if world.generator.refused != before:
        now = world.generator.statuses
        world.failures.append(
            f"deliveries were refused: { {name: now[name] - statuses.get(name, 0) for name in now if name != '200'} }"
        )
    world.crew.stop("receive#2")


def membership(world: World) -> None:
    """Adds and removes a second worker of a stage every few seconds, sometimes by SIGKILL."""
    end, changes = time.monotonic() + world.seconds, 0
    while time.monotonic() < end:
        stage = world.rng.choice(STAGES)
        second = f"{stage}#2"
        world.crew.start(second)
        world.until(lambda second=second: world.crew.ready(second), 15)  # type: ignore[misc]
        world.sleep(world.rng.uniform(0.2, 1.5))
        if world.rng.random() < 0.3:
            world.kill(second)
        world.crew.stop(second)
        changes += 2
    world.notes["membership_changes"] = changes


def sinks_change(world: World) -> None:
    """Adds and removes a second sink while Postgres is away, every other time by SIGKILL.

    So partitions move while a sink waits.
    """
    end, changes = time.monotonic() + world.seconds, 0
    while changes == 0 or time.monotonic() < end:
        world.crew.start("sink#2")
        world.must(lambda: world.crew.ready("sink#2"), 60, "a second sink")
        world.servers.kill_and_keep_away("postgres")
        world.sleep(world.rng.uniform(1.0, 2.0))
        if changes % 2:
            world.kill("sink#2")
        code = world.crew.stop("sink#2")
        if not changes % 2 and code != 0:
            world.failures.append(f"the second sink ended with {code} after SIGTERM")
        world.sleep(world.rng.uniform(1.0, 2.0))
        world.servers.bring_back("postgres")
        world.sleep(1.0)
        changes += 1
    world.notes["sink_changes"] = changes


def frozen(world: World) -> None:
    """Stops a worker inside a transaction for longer than its session, and continues it.

    It must be fenced, and readers must continue soon.
    """
    second = "dedupe#2"
    size = world.crew.log_size(second)
    world.crew.start(second, "before_commit:40:stop")

    def stands_still() -> bool:
        process = world.pipeline.processes.get(second)
        return process is not None and any(
            process_state(child) == "T" for child in children_of(process.pid)
        )

    world.must(stands_still, 60, "a worker stands still in its transaction")
    began = time.time()
    world.disturb(second, "a dedupe worker stands still in mid-transaction")
    world.sleep(world.seconds)
    world.notes["hidden_seconds"] = round(world.watcher.hidden_seconds(began - 0.5, time.time()), 1)
    process = world.pipeline.processes[second]
    for child in children_of(process.pid):
        os.kill(child, signal.SIGCONT)
    world.disturb(second, "it wakes up")

    def fenced() -> bool:
        text = (world.pipeline.folder / f"{second}.log").read_bytes()[size:]
        return b'"event": "lane_failed"' in text or b'"event": "worker_ends"' in text

    world.must(fenced, 20, "the woken worker notices that it is fenced")
    world.crew.stop(second)


def clock_back(world: World) -> None:
    """Sets back the clocks of the stages and the sink while jobs wait for a retry.

    The clocks stay there. They are set back by ten minutes, because an object store
    refuses requests whose clock is off by more than fifteen. Jobs would rightly wait
    then.
    """
    several = (*STAGES, "sink")
    stack = ExitStack()
    clock = stack.enter_context(shifted())

    def as_before() -> None:
        for name in several:
            world.crew.replace(name)
        stack.close()

    world.afterwards.append(as_before)
    for name in several:
        world.disturb(name, f"restarting {name} with a clock that can be set")
        world.crew.replace(name, more=clock.environment)
    world.wait_ready(*several)
    victim = world.senders[0].tenant
    world.pipeline.control({"fault": "server_error", "key": victim})
    world.media.trouble[world.senders[1].tenant] = "server_error"
    world.sleep(world.seconds / 2)
    clock.step(-600)
    world.audited_from -= 900  # what is written from here on bears an earlier time than its message
    world.say("clocks step back by ten minutes")
    world.pipeline.control(None)
    world.media.trouble.clear()
    world.sleep(world.seconds / 2)
