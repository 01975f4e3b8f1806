"""Actions of operators.

More workers than partitions, an upgrade in the wrong order, and a replay that is killed
during live traffic.
"""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

from tests.chaos.programs import POLL_INTERVAL_SECONDS, THIS
from tests.chaos.world import World
from tests.pipeline import PROGRAM

HIDDEN_SECONDS_AT_MOST = 10.0
REPLAY_SECONDS = 90.0
CONTINUED_SECONDS = 150.0
"""A console takes over the repair of a killed command after a minute.

Until it has finished, the records cannot be chosen for another repair.
"""
UNDER_WAY = "is under way for these records"
SPARE_STAGE = "assemble"
TAKE_OVER_SECONDS = 60.0
"""Longer than the time after which the brokers remove a silent member."""


def spare_workers(world: World) -> None:
    """Runs more workers of a stage than there are partitions.

    After the poll interval the spare ones are still members, and they take over when
    the others die.
    """
    partitions = world.pipeline.settings.kafka.partitions
    several = [f"{SPARE_STAGE}#{number}" for number in range(2, partitions + 3)]
    for name in several:
        world.crew.start(name, program=(THIS, "impatient"))
    for name in several:
        world.must(lambda name=name: world.crew.ready(name), 90, f"{name} is ready")  # type: ignore[misc]
    world.say(f"{len(several) + 1} workers for {partitions} partitions")
    world.sleep(max(world.seconds, 2 * POLL_INTERVAL_SECONDS))
    forgotten = [name for name in several if not world.crew.ready(name)]
    if forgotten:
        world.failures.append(f"no member of their group any more: {forgotten}")
    everybody = [SPARE_STAGE, *several]
    spare = [name for name in everybody if not lanes_of(world, name)]
    if not spare:
        world.failures.append("no worker is spare")
    victims = [name for name in several if name not in spare][: partitions // 2]
    left = [name for name in several if name not in victims]
    began = time.time()
    world.disturb(SPARE_STAGE, "workers that have partitions die")
    for name in victims:
        process = world.pipeline.processes[name]
        world.disturb(name, f"SIGKILL {name}")
        os.kill(process.pid, signal.SIGKILL)
        world.kills += 1
        world.crew.stop(name)
    world.crew.stop(SPARE_STAGE)
    session_seconds = world.pipeline.settings.kafka.session_timeout_seconds
    world.must(
        lambda: sum(lanes_of(world, name) for name in left) == partitions,
        session_seconds + TAKE_OVER_SECONDS,
        f"{left} have all {partitions} partitions of {SPARE_STAGE}",
    )
    took_over = {name: lanes_of(world, name) for name in spare if name in left}
    if not any(took_over.values()):
        world.failures.append(f"no spare worker took over: {took_over}")
    world.say(f"partitions of those that were spare: {took_over}")
    world.notes["hidden_seconds"] = round(world.watcher.hidden_seconds(began - 0.5, time.time()), 1)
    world.crew.start(SPARE_STAGE)
    world.wait_ready(SPARE_STAGE)
    for name in left:
        world.crew.stop(name)


def lanes_of(world: World, name: str) -> int:
    """The partitions that a worker processes."""
    return int(world.crew.metric(name, "sensorium_stage_lanes_ready") or 0)


def unknown_schema(world: World) -> None:
    """Runs a dedupe, and then a sink, older than the program that writes its records.

    It must wait for its upgrade and quarantine nothing.
    """
    for name, event in (("dedupe", "partition_parked"), ("sink", "partition_parked")):
        size = world.crew.log_size(name)
        world.disturb(name, f"{name} is a release too old")
        world.crew.replace(name, program=(THIS, "older"))
        world.must(
            lambda name=name, event=event, size=size: world.crew.logged(name, event, size),  # type: ignore[misc]
            60,
            f"{name} says that it holds a partition",
        )
        world.sleep(world.seconds / 2)
        if refused := world.refused_keys() - _poison(world):
            world.failures.append(f"{name} set aside what it does not know: {sorted(refused)[:5]}")
        world.disturb(name, f"{name} is upgraded")
        world.crew.replace(name)
        world.wait_ready(name)


def _poison(world: World) -> set[str]:
    return {e.key for e in world.generator.book.accepted.values() if e.kind == "not_json"}


def replay_killed(world: World) -> None:
    """Kills a replay of all records inside its transaction on the live topic, during traffic.

    A console finishes it, and a second replay does everything again.
    """
    since = datetime.fromtimestamp(world.began, UTC).isoformat()
    tenant = world.senders[0].tenant
    words = ("replay", "raw", "--since", since, "--tenant", tenant)
    world.sleep(world.seconds / 2)
    killed = _run(world, words, "replay_before_commit:1")
    died = time.time()
    world.say("a replay died in mid-transaction")
    if killed.returncode != -signal.SIGKILL:
        world.failures.append(f"the replay was not killed: {killed.returncode} {killed.stderr}")
    world.sleep(world.seconds + HIDDEN_SECONDS_AT_MOST)
    hidden = world.watcher.hidden_seconds(died - 0.5, time.time())
    world.notes["hidden_seconds"] = round(hidden, 1)
    if hidden > HIDDEN_SECONDS_AT_MOST:
        world.failures.append(f"a killed replay hid records for {hidden:.1f} s")
    deadline = time.monotonic() + CONTINUED_SECONDS
    while (done := _run(world, words)).returncode and UNDER_WAY in done.stderr:
        if time.monotonic() > deadline:
            break
        world.sleep(2)
    world.say(done.stdout.strip() or done.stderr.strip()[-300:])
    if done.returncode != 0:
        world.failures.append(f"the second replay failed: {done.stderr[-300:]}")


def _run(
    world: World, words: tuple[str, ...], failpoint: str = ""
) -> subprocess.CompletedProcess[str]:
    armed = {"SENSORIUM_FAILPOINT": failpoint} if failpoint else {}
    return subprocess.run(
        [sys.executable, "-m", *PROGRAM, *words],
        env=world.pipeline.environment() | armed,
        capture_output=True,
        text=True,
        timeout=REPLAY_SECONDS,
        check=False,
    )
