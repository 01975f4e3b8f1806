"""Faults of the model server and of the providers' media servers, for the first tenant only: the others must not notice."""

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
            world.disturb(f"model: {fault} for {victim}")
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
