"""Threads for reads of Kafka on which a person or a program waits."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
READ_THREADS = 4
_threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="kafka-read")


async def read_in_thread(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a blocking call in a thread pool of its own.

    The shared pool of a process has few threads: slow brokers would block files and
    password checks along with it.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, lambda: read(*args, **kwargs))
