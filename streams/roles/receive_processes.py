"""The role of several receivers at one port: its parent, and the program of a child.

The parent restarts children that died. The kernel gives each new connection to one of
the children (SO_REUSEPORT), so they share the load of a machine with several cores. A
child is a complete receiver with bounds, tenants and a producer of its own. A child
that dies is started again. Meanwhile the others serve, and report that they are not
ready.

The program of a child is `python -m streams.roles.receive_processes FOLDER INDEX PARENT_PID`.
"""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import structlog
import uvloop

from connectors.webhooks.siblings import Siblings
from schemas.settings import Settings
from storage import failpoints
from storage.waiting import BackOff
from streams.roles import receive
from streams.roles.logs import configure_logs
from streams.roles.parentage import die_with_parent
from streams.roles.port_claims import claim_port, installation_of
from streams.settings import read_settings

log = structlog.get_logger()
CHILD = (sys.executable, "-m", "streams.roles.receive_processes")
FIRST_BACK_OFF_SECONDS = 0.2
LONGEST_BACK_OFF_SECONDS = 30.0
STEADY_SECONDS = 30.0
STOP_SECONDS = 15.0
"""Time for a child to stop, in addition to the time for its requests in flight."""


async def run(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT, and returns after the requests in flight are answered.

    A single receiver runs without a parent. Raises PortTaken before it starts a child.
    """
    receiver = settings.receiver
    if receiver.processes == 1:
        await receive.run(settings)
        return
    claim_port(
        receiver.port, installation_of(settings.namespace, settings.secrets.key), host=receiver.host
    )
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    folder = Path(tempfile.mkdtemp(prefix="sensorium-receive-"))
    try:
        async with asyncio.TaskGroup() as children:
            for index in range(receiver.processes):
                keeper = _Keeper(settings, folder, index, ending)
                children.create_task(keeper.run(), name=f"receiver-{index}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Keeper:
    """Restarts one child until the role ends."""

    def __init__(self, settings: Settings, folder: Path, index: int, ending: asyncio.Event) -> None:
        self._stop_seconds = settings.receiver.drain_seconds + STOP_SECONDS
        self._command = (*CHILD, str(folder), str(index), str(os.getpid()))
        self._index = index
        self._ending = ending

    async def run(self) -> None:
        back_off = BackOff(FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS)
        while not self._ending.is_set():
            began = time.monotonic()
            try:
                child = await asyncio.create_subprocess_exec(
                    *self._command, env={**os.environ, **failpoints.inherited()}
                )
            except OSError as error:  # no processes, memory or files left: the others continue
                log.error("receiver_not_started", index=self._index, error=str(error))
            else:
                log.info("receiver_started", index=self._index, pid=child.pid)
                if await self._ended(child):
                    return
                log.error("receiver_died", index=self._index, pid=child.pid, code=child.returncode)
            if time.monotonic() - began > STEADY_SECONDS:
                back_off.reset()
            await self._pause(back_off.pause())

    async def _ended(self, child: asyncio.subprocess.Process) -> bool:
        """Waits for the child's end. Returns true if the role is ending."""
        died = asyncio.create_task(child.wait())
        stopping = asyncio.create_task(self._ending.wait())
        await asyncio.wait({died, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not self._ending.is_set():
            return False
        if child.returncode is None:
            child.terminate()
        try:
            async with asyncio.timeout(self._stop_seconds):
                await died
        except TimeoutError:
            log.error("receiver_does_not_stop", index=self._index, pid=child.pid)
            child.kill()
            await child.wait()
        return True

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            return


def main() -> None:
    """The program of a child. It ends with its parent."""
    folder, index, parent = sys.argv[1:]
    die_with_parent(int(parent))
    settings = read_settings()
    configure_logs(settings.log, "receive")
    siblings = Siblings(Path(folder), int(index), settings.receiver.processes)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(receive.run(settings, siblings))
    except KeyboardInterrupt:
        pass
    except Exception as error:
        log.exception("role_ends", error=f"{type(error).__name__}: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
