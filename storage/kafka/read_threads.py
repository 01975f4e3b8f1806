"""Threads for the reads of Kafka that a person or a program waits for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
READ_THREADS = 4
_threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="kafka-read")


async def read_in_thread(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs what blocks in a thread of its own pool.

    The threads that a process shares are few: slow
    brokers would hold up files and passwords with them.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, lambda: read(*args, **kwargs))
