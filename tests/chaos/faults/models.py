"""Faults of the model server and of the providers' media servers, for the first tenant only.

The others must not notice.
"""

from collections.abc import Callable

from streams.roles.stand_in import Fault as ModelFault
from tests.chaos.fairness import compare
from tests.chaos.media import Trouble
from tests.chaos.world import World


def model(fault: ModelFault) -> Callable[[World], None]:
    def hurt(world: World) -> None:
        victim = world.senders[0].tenant
        with compare(world, victim, world.seconds):
            world.pipeline.control({"fault": fault, "key": victim, "seconds": 20.0})
            world.say(f"model: {fault} for {victim}")
            try:
                world.sleep(world.seconds)
            finally:
                world.pipeline.control(None)

    return hurt


def media(trouble: Trouble) -> Callable[[World], None]:
    def hurt(world: World) -> None:
        victim = world.senders[0].tenant
        with compare(world, victim, world.seconds):
            world.media.trouble[victim] = trouble
            world.say(f"media server: {trouble} for {victim}")
            try:
                world.sleep(world.seconds)
            finally:
                world.media.trouble.clear()

    return hurt


def backlog(world: World) -> None:
    """A tenant whose model hangs sends ten times as much as each other tenant.

    Its jobs accumulate, which metrics show, and are processed afterwards.
    """
    victim, seen = world.senders[0].tenant, {"waiting": 0.0, "oldest": 0.0}

    def look() -> bool:
        for what, metric in (
            ("waiting", "sensorium_stage_jobs_waiting"),
            ("oldest", "sensorium_stage_oldest_job_seconds"),
        ):
            seen[what] = max(seen[what], world.crew.metric("describe", metric) or 0.0)
        return False

    with compare(world, victim, world.seconds):
        world.pipeline.control({"fault": "hang", "key": victim, "seconds": 20.0})
        world.generator.traffic.weights = [10.0, *[1.0] * (len(world.senders) - 1)]
        world.say(f"model: hang for {victim}, which sends ten times as much as each other tenant")
        try:
            world.until(look, world.seconds)
        finally:
            world.pipeline.control(None)
            world.generator.traffic.weights = [1.0] * len(world.senders)
    world.notes |= {
        "most_jobs_waiting": int(seen["waiting"]),
        "oldest_job_seconds": round(seen["oldest"], 1),
    }
    if seen["oldest"] < world.seconds / 3 or seen["waiting"] < world.seconds / 3:
        world.failures.append("the backlog did not show in the metrics")
    world.before_judging.append(
        lambda: world.must(
            lambda: world.crew.metric("describe", "sensorium_stage_jobs_waiting") == 0,
            30,
            "describe's queue is empty again",
        )
    )
