"""Which of the servers that the sink needs answer, checked whether or not there are records."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

log = structlog.get_logger()


class Reachable:
    """Until its first check answers, a server counts as one that does not answer."""

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[object]]]) -> None:
        self._checks = checks
        self.missing = set(checks)

    async def watch(self, seconds: float) -> None:
        """Checks each server every `seconds`, until cancelled."""
        while True:
            for name, check in self._checks.items():
                try:
                    await check()
                    self.missing.discard(name)
                except Exception as error:  # any error: the server is of no use now
                    if name not in self.missing:
                        log.warning("sink_part_away", part=name, what=type(error).__name__)
                    self.missing.add(name)
            await asyncio.sleep(seconds)
