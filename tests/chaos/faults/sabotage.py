"""Breaks promises on purpose, one at a time.

If a run passes with one of these, its other results prove nothing.
"""

import asyncio
from collections.abc import Callable

from tests.chaos import gather
from tests.chaos.programs import THIS
from tests.chaos.world import World


def breaking(change: str, kills: int = 0) -> Callable[[World], None]:
    """Runs dedupe with a change that breaks a promise, and kills it this many times."""

    def hurt(world: World) -> None:
        world.crew.replace("dedupe", program=(THIS, change))
        world.wait_ready("dedupe")
        for _ in range(kills):
            world.sleep(2.0)
            world.kill("dedupe")
            world.sleep(1.0)
            world.wait_ready("dedupe")
        world.sleep(world.seconds)
        world.crew.replace("dedupe")

    return hurt


def a_row_dropped(world: World) -> None:
    """Deletes one finished row after everything was drained."""
    world.sleep(world.seconds)
    tenants = [sender.tenant for sender in world.senders]

    async def drop() -> None:
        connection = await gather.open_connection(world.pipeline.settings)
        try:
            await connection.execute(
                "DELETE FROM chat_messages WHERE message_key = (SELECT min(message_key) FROM chat_messages WHERE tenant_id = ANY($1))",
                tenants,
            )
        finally:
            await connection.close()

    world.before_judging.append(lambda: asyncio.run(drop()))
