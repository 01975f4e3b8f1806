"""Checks which of the sink's servers can be reached, even while there are no records."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

log = structlog.get_logger()


class Reachable:
    """Tracks which servers can be reached.

    A server counts as unreachable until its first check succeeds.
    """

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
                        log.warning(
                            "sink_server_unreachable", server=name, what=type(error).__name__
                        )
                    self.missing.add(name)
            await asyncio.sleep(seconds)
