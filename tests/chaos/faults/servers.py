"""Faults of Kafka, Postgres and the object store."""

import asyncio
import threading
import time
from collections.abc import Callable

from tests.chaos import gather
from tests.chaos.proxy import Mode
from tests.chaos.servers import fill
from tests.chaos.world import World


def broker_kill(world: World) -> None:
    """Sends SIGKILL to the broker, which stays away for a time."""
    world.say(f"broker killed, away {world.seconds:g} s")
    world.servers.kill_and_keep_away("kafka")
    world.sleep(world.seconds)
    world.servers.bring_back("kafka")
    world.say("broker back")
    world.sleep(3.0)


def broker_frozen(world: World) -> None:
    """Stops the broker, which neither answers nor closes connections, and then continues it."""
    world.say(f"broker frozen for {world.seconds:g} s")
    world.servers.freeze("kafka")
    try:
        world.sleep(world.seconds)
    finally:
        world.servers.wake("kafka")
    world.say("broker goes on")
    world.sleep(3.0)


def postgres_down(world: World) -> None:
    world.say(f"Postgres away for {world.seconds:g} s")
    world.servers.kill_and_keep_away("postgres")
    world.sleep(world.seconds)
    world.servers.bring_back("postgres")


def postgres_killed(world: World) -> None:
    """Sends SIGKILL to Postgres in mid-batch, several times. The supervisor restarts it."""
    end, kills = time.monotonic() + world.seconds, 0
    while time.monotonic() < end:
        world.servers.kill("postgres")
        world.say("SIGKILL postgres")
        kills += 1
        world.sleep(0.5)
        world.servers.wait_running("postgres")
        world.sleep(world.rng.uniform(1.0, 3.0))
    world.notes["postgres_kills"] = kills


def postgres_locked(world: World) -> None:
    """Locks chat_messages against writers for seconds, and makes deadlocks with the sink.

    For a deadlock, a session takes the sink's tables in the opposite order.
    """
    ending = threading.Event()
    deadlocks: list[int] = []
    thread = threading.Thread(
        target=lambda: asyncio.run(_lock_about(world, ending, deadlocks)), daemon=True
    )
    thread.start()
    try:
        world.sleep(world.seconds)
    finally:
        ending.set()
        thread.join(30)
    world.notes["deadlocks_provoked"] = len(deadlocks)


async def _lock_about(world: World, ending: threading.Event, deadlocks: list[int]) -> None:
    import asyncpg

    connection = await gather.open_connection(world.pipeline.settings)
    other = await gather.open_connection(world.pipeline.settings)
    try:
        while not ending.is_set():
            async with connection.transaction():
                await connection.execute("LOCK TABLE chat_messages IN SHARE ROW EXCLUSIVE MODE")
                await asyncio.sleep(1.5)
            try:  # the sink takes chat_messages first and its positions then
                async with other.transaction():
                    await other.execute(
                        "SET LOCAL deadlock_timeout = '10s'"
                    )  # so that the sink is the victim
                    await other.execute("LOCK TABLE sink_offsets IN SHARE ROW EXCLUSIVE MODE")
                    await asyncio.sleep(0.3)
                    await other.execute("LOCK TABLE chat_messages IN SHARE ROW EXCLUSIVE MODE")
                    deadlocks.append(1)
            except asyncpg.DeadlockDetectedError:
                deadlocks.append(1)
            await asyncio.sleep(0.2)
    finally:
        connection.terminate()
        other.terminate()


def store_down(world: World) -> None:
    world.say(f"object store away for {world.seconds:g} s")
    world.servers.kill_and_keep_away("objects")
    world.sleep(world.seconds)
    world.servers.bring_back("objects")


def store_mode(mode: Mode) -> Callable[[World], None]:
    def hurt(world: World) -> None:
        before = world.store.hurt
        world.store.mode = mode
        world.say(f"object store: {mode}")
        try:
            world.sleep(world.seconds)
        finally:
            world.store.mode = "pass"
        world.notes["connections_hurt"] = world.store.hurt - before
        if world.store.hurt == before:
            world.failures.append("the fault hurt no connection")

    return hurt


def disk_full(world: World) -> None:
    """Fills the disk of the store until the fault ends."""
    ballast = fill(world.servers.store)
    if ballast is None:
        world.failures.append("disk_full needs root, to mount a small file system under the store")
        return
    world.say("the store's disk is full")
    try:
        world.sleep(world.seconds)
    finally:
        ballast.unlink()
