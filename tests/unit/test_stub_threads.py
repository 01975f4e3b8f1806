import asyncio
import threading

from schemas.settings import Kafka
from streams.lanes.behind import RecordsBehind
from streams.lanes.transactions import LaneIdentity


async def test_stubs_that_are_slow_to_read_leave_the_threads_of_others_free() -> None:
    identity = LaneIdentity("describe", "group", "vision", "log", "receipts", 0, frozenset())
    behind, released = (
        RecordsBehind(Kafka(bootstrap_servers="127.0.0.1:9"), identity),
        threading.Event(),
    )
    behind.value_at = lambda offset: b"x" if released.wait(30) else None  # type: ignore[method-assign]
    stubs = [asyncio.create_task(behind.read(offset)) for offset in range(200)]
    await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.to_thread(lambda: None), 10)
    released.set()
    assert await asyncio.gather(*stubs) == [b"x"] * 200
