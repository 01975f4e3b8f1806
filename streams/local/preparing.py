"""Fetches and builds several things at the same time, while what is ready is already started."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from types import TracebackType
from typing import Generic, TypeVar

from streams.local.parts import Say

PROGRESS_SECONDS = 15.0
_AT_ONCE_SECONDS = 0.5
Made = TypeVar("Made")


class Preparing(Generic[Made]):
    """Calls every maker in its own thread. The end of the block waits for all of them.

    Even if one maker fails, what the others fetched is then in the cache for the next
    attempt.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Made]], say: Say) -> None:
        self._makers, self._say = makers, say
        self._threads = ThreadPoolExecutor(max_workers=max(len(makers), 1))

    def __enter__(self) -> "Preparing[Made]":
        self._began = time.monotonic()
        self._made = {name: self._threads.submit(make) for name, make in self._makers.items()}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        unfinished = [name for name, future in self._made.items() if not future.done()]
        if error is not None and unfinished:
            self._say(f"{error}")
            self._say(f"waiting for {', '.join(unfinished)}, so that the next try has it")
        self._threads.shutdown(wait=kind is not KeyboardInterrupt)

    def is_at_hand(self, name: str) -> bool:
        """True if it is ready now or within half a second."""
        return bool(wait([self._made[name]], timeout=_AT_ONCE_SECONDS).done)

    def take(self, name: str) -> Made:
        """Waits for the result, and reports progress from time to time.

        Raises what the maker raised.
        """
        future = self._made[name]
        while not wait([future], timeout=PROGRESS_SECONDS).done:
            self._say(f"{name}: still being made, {time.monotonic() - self._began:.0f} s")
        return future.result()

    def take_all(self) -> list[Made]:
        return [self.take(name) for name in self._made]
