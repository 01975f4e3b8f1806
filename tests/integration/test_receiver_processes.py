"""Several processes of one receiver at one port."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import httpx

from tests.integration.receivers import Receiver, deliver, event, receiving
from tests.integration.test_receiver import Load, World, client, world
from tests.integration.waiting import until

__all__ = ["client", "world"]


def children(receiver: Receiver) -> list[int]:
    task = f"/proc/{receiver.process.pid}/task/{receiver.process.pid}/children"
    return [int(pid) for pid in Path(task).read_text().split()]


async def all_are_ready(receiver: Receiver) -> None:
    await until(lambda: receiver.answers("/readyz", 200), 120, "all are ready")


async def page_of_all(client: httpx.AsyncClient, receiver: Receiver) -> str:
    return (await client.get(f"{receiver.url}/metrics")).text


async def test_processes_at_one_port_answer_as_one_and_one_that_dies_comes_back(
    world: World, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    endpoint = await world.endpoint()
    with receiving(world.settings, tmp_path, processes=2) as receiver:
        await all_are_ready(receiver)
        assert receiver.listeners() == len(children(receiver)) == 2
        load = Load(receiver.settings.receiver.port, endpoint)
        load.start(kept=10, fresh=4)
        await until(lambda: len(load.accepted) > 200, 60, "traffic")
        page = await page_of_all(client, receiver)
        for process in ("0", "1"):
            assert (
                f'sensorium_receiver_requests_total{{process="{process}",provider="ycloud"' in page
            )

        await load.stop()
        assert (load.refused, load.broken, load.turned_away) == ([], [], 0)

        first, second = children(receiver)
        os.kill(second, signal.SIGSTOP)
        await until(lambda: receiver.answers("/readyz", 503), 90, "one stands still: not ready")
        os.kill(second, signal.SIGCONT)
        await all_are_ready(receiver)
        os.kill(first, signal.SIGKILL)
        await until(lambda: first not in children(receiver), 60, "it is dead")
        assert not await receiver.answers("/readyz", 200)
        assert await deliver(client, receiver, endpoint, event("by the other")) == 200
        await all_are_ready(receiver)
        assert len(children(receiver)) == 2

        again = Load(receiver.settings.receiver.port, endpoint)
        again.start(kept=6, fresh=6)
        await until(lambda: len(again.accepted) > 100, 60, "traffic")
        receiver.process.send_signal(signal.SIGTERM)
        assert await receiver.wait_ended() == 0, receiver.log()
        await again.stop()
        assert (again.refused, again.broken) == ([], [])
    assert load.accepted | again.accepted | {"by the other"} <= world.written()


async def test_no_process_outlives_its_parent(world: World, tmp_path: Path) -> None:
    with receiving(world.settings, tmp_path, processes=2) as receiver:
        await all_are_ready(receiver)
        left = children(receiver)
        receiver.process.kill()
        await asyncio.to_thread(receiver.process.wait)

        def are_gone() -> bool:
            for pid in left:
                with suppress(FileNotFoundError, ProcessLookupError):
                    if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                        return False
            return True

        await until(are_gone, 60, "the processes end")
