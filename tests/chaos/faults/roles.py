"""Faults of our own processes: killed, restarted, joined, frozen, with a clock that steps back."""

import os
import signal
import time
from contextlib import ExitStack

from schemas.topics import STAGES
from tests.chaos.clock import shifted
from tests.chaos.world import ALL_ROLES, World, children_of, listeners, process_state

LANE_WINDOWS = ("before_begin", "between_outputs_and_table", "between_table_and_offset", "before_commit", "after_commit")
ROLE_WINDOWS = {
    "sink": ("sink_before_commit", "sink_after_commit"),
    "receive": ("receiver_before_write", "receiver_before_answer"),
}
FIRST_REACHED = {"describe": (3, 8), "transcribe": (2, 5), "sink": (5, 20), "receive": (10, 30)}
"""How often a window is passed before it kills, where it is passed less often than elsewhere."""
HITS_SHORT, HITS_LONG = 3, 20
ROUND_SECONDS = 60.0


def kill_roles(world: World) -> None:
    """SIGKILL of a role drawn at random, every second or two: workers, parents, sink, receiver, console."""
    end = time.monotonic() + world.seconds
    while time.monotonic() < end:
        world.kill(world.rng.choice(ALL_ROLES))
        world.sleep(world.rng.uniform(0.5, 2.0))


def windows(world: World) -> None:
    """Each critical window of lanes, sink and receiver kills its process at least `wanted` times. A second receiver lets traffic pass."""
    wanted = HITS_LONG if world.long else HITS_SHORT
    world.crew.start("receive#2")
    hits: dict[str, int] = {}
    for number, window in enumerate(LANE_WINDOWS):
        stages = STAGES if world.long else ("dedupe", STAGES[1 + number % 4])
        armed: dict[str, str] = dict.fromkeys(stages, window)
        if number < 4:
            other, windows = list(ROLE_WINDOWS.items())[number // 2]
            armed[other] = windows[number % 2]
        for name, count in _one_round(world, armed, wanted).items():
            hits[armed[name]] = hits.get(armed[name], 0) + count
    world.crew.stop("receive#2")
    world.notes["window_hits"] = hits
    world.kills += sum(hits.values())
    world.failures += [f"window {name} was hit {count} times, {wanted} wanted" for name, count in hits.items() if count < wanted]


def _one_round(world: World, armed: dict[str, str], wanted: int) -> dict[str, int]:
    """Arms all of these processes at once, waits until each window killed often enough, and disarms them."""
    sizes = {name: world.crew.log_size(name) for name in armed}
    died = len(world.crew.deaths)
    for name, window in armed.items():
        world.crew.replace(name, f"{window}:{world.rng.randint(*FIRST_REACHED.get(name, (10, 40)))}")
    world.disturb(f"armed {', '.join(sorted(set(armed.values())))}")

    def hits() -> dict[str, int]:
        found = {name: world.crew.worker_deaths(name, sizes[name]) for name in armed if name in STAGES}
        for name in armed.keys() - set(STAGES):
            found[name] = sum(1 for _, who, code in world.crew.deaths[died:] if who == name and code == -signal.SIGKILL)
        return found

    def enough() -> bool:
        found = hits()
        return sum(found.get(stage, 0) for stage in STAGES) >= wanted and all(found[name] >= wanted for name in armed.keys() - set(STAGES))

    world.until(enough, ROUND_SECONDS * (5 if world.long else 1))
    world.crew.calm()
    found = hits()
    for name in armed:
        world.crew.replace(name)
    world.disturb("disarmed")
    return found


def rolling(world: World) -> None:
    """SIGTERM of every role in turn, each followed by a successor: no delivery is refused."""
    port = world.pipeline.ports["receive"]
    world.crew.start("receive#2")
    world.must(lambda: listeners(port) == 2, 60, "a second receiver")
    before, statuses = world.generator.refused, dict(world.generator.statuses)
    for name in ("receive", "receive#2", *(role for role in ALL_ROLES if role != "receive")):
        world.disturb(f"SIGTERM {name}")
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
        world.failures.append(f"deliveries were refused: { {name: now[name] - statuses.get(name, 0) for name in now if name != '200'} }")
    world.crew.stop("receive#2")


def membership(world: World) -> None:
    """A second worker of a stage joins and leaves, every few seconds, by turns politely and by SIGKILL."""
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


def frozen(world: World) -> None:
    """A worker stands still inside a transaction, past its session, and wakes up: it must be fenced, and readers soon go on."""
    second = "dedupe#2"
    size = world.crew.log_size(second)
    world.crew.start(second, "before_commit:40:stop")

    def stands_still() -> bool:
        process = world.pipeline.processes.get(second)
        return process is not None and any(process_state(child) == "T" for child in children_of(process.pid))

    world.must(stands_still, 60, "a worker stands still in its transaction")
    began = time.time()
    world.disturb("a dedupe worker stands still in mid-transaction")
    world.sleep(world.seconds)
    world.notes["hidden_seconds"] = round(world.watcher.hidden_seconds(began - 0.5, time.time()), 1)
    process = world.pipeline.processes[second]
    for child in children_of(process.pid):
        os.kill(child, signal.SIGCONT)
    world.disturb("it wakes up")

    def fenced() -> bool:
        text = (world.pipeline.folder / f"{second}.log").read_bytes()[size:]
        return b'"event": "lane_failed"' in text or b'"event": "worker_ends"' in text

    world.must(fenced, 20, "the woken worker notices that it is fenced")
    world.crew.stop(second)


def clock_back(world: World) -> None:
    """The clocks of the stages and the sink step back by an hour while jobs wait for their next try, and stay there."""
    several = (*STAGES, "sink")
    stack = ExitStack()
    clock = stack.enter_context(shifted())

    def as_before() -> None:
        for name in several:
            world.crew.replace(name)
        stack.close()

    world.afterwards.append(as_before)
    for name in several:
        world.disturb(f"restarting {name} with a clock that can be set")
        world.crew.replace(name, more=clock.environment)
    world.wait_ready(*several)
    victim = world.senders[0].tenant
    world.pipeline.control({"fault": "server_error", "key": victim})
    world.media.trouble[world.senders[1].tenant] = "server_error"
    world.sleep(world.seconds / 2)
    clock.step(-3600)
    world.say("clocks step back by an hour")
    world.pipeline.control(None)
    world.media.trouble.clear()
    world.sleep(world.seconds / 2)
