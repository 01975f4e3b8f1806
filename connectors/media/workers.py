"""One decoding worker, as seen by its parent process.

It is started with an empty environment, gets requests, and is ended.
"""

import asyncio
import contextlib
import os
import signal
import struct
import sys
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from connectors.errors import ConnectorsError
from connectors.media.frames import ANSWER_BYTES, Hello, Reply, Request

START_SECONDS = 30.0
COMMAND = (sys.executable, "-P", "-m", "connectors.media.decoding")
_REPLY_BYTES = ANSWER_BYTES + 2 * 1024 * 1024
F = TypeVar("F", Hello, Reply)


class WorkerLost(ConnectorsError):
    """The worker ended or broke the protocol. That says nothing about the file."""


@dataclass(eq=False, slots=True)
class Worker:
    """A worker process that leads a process group, so that its children end with it."""

    process: asyncio.subprocess.Process
    hello: Hello

    @classmethod
    async def started(cls) -> "Worker":
        """Starts a worker and waits until it is ready.

        Raises OSError, and WorkerLost if it does not become ready.
        """
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=1024 * 1024,
            env=_environment(),
            cwd="/",
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                return cls(process, await _frame(process, Hello))
        except BaseException as error:
            await asyncio.shield(_ended(process))
            if isinstance(error, TimeoutError):
                raise WorkerLost("not ready in time") from error
            raise

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    async def ask(self, request: Request) -> Reply:
        """Sends a request and returns the reply.

        Raises WorkerLost. After any exception, including cancellation, the worker must
        be ended.
        """
        assert self.process.stdin is not None
        encoded = msgspec.msgpack.encode(request)
        try:
            self.process.stdin.write(struct.pack(">I", len(encoded)))
            self.process.stdin.write(encoded)
            await self.process.stdin.drain()
        except OSError as error:
            raise WorkerLost(type(error).__name__) from error
        return await _frame(self.process, Reply)

    async def end(self) -> None:
        await _ended(self.process)


async def _frame(process: asyncio.subprocess.Process, kind: type[F]) -> F:
    assert process.stdout is not None
    try:
        (size,) = struct.unpack(">I", await process.stdout.readexactly(4))
        if size > _REPLY_BYTES:
            raise WorkerLost(f"a frame of {size} bytes")
        return msgspec.msgpack.decode(await process.stdout.readexactly(size), type=kind)
    except (OSError, EOFError, msgspec.MsgspecError) as error:
        raise WorkerLost(type(error).__name__) from error


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _environment() -> dict[str, str]:
    """The variables that Python needs to find its packages: no settings, no secrets."""
    paths = [path for path in sys.path if path and not path.endswith(".zip")]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME"):
        if name in os.environ:
            environment[name] = os.environ[name]
    return environment
