"""Chooses the model to ask: the first of a list that the account has."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import structlog

from connectors.models.errors import ModelNotServed

log = structlog.get_logger()

FORGOTTEN_AFTER_SECONDS = 3_600.0
"""After this time a model is asked again, in case the account has got it meanwhile."""
MOST_REMEMBERED = 10_000


class Choosable(Protocol):
    @property
    def model(self) -> str: ...


C = TypeVar("C", bound=Choosable)
T = TypeVar("T")


class ModelChoice:
    """Remembers, per key, the models that one server does not serve.

    Keys are kept as digests.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._missing: OrderedDict[tuple[bytes, str], float] = OrderedDict()

    async def first_served(
        self, choices: Sequence[C], key: str, ask: Callable[[C], Awaitable[T]]
    ) -> T:
        """The answer of the first model that the server serves to this key.

        If it serves none of them, this raises the last ModelNotServed, and the next
        call asks all of them again.
        """
        digest = hashlib.sha256(key.encode()).digest()
        served = [choice for choice in choices if not self._is_missing(digest, choice.model)]
        last: ModelNotServed | None = None
        for choice in served or choices:
            try:
                return await ask(choice)
            except ModelNotServed as error:
                last = error
                self._remember(digest, choice.model)
                log.warning("model_not_served", model=choice.model, detail=error.detail)
        for choice in choices:
            self._missing.pop((digest, choice.model), None)
        if last is None:
            raise ValueError("no model to choose from")
        raise last

    def _is_missing(self, digest: bytes, model: str) -> bool:
        until = self._missing.get((digest, model))
        return until is not None and until > self._now()

    def _remember(self, digest: bytes, model: str) -> None:
        self._missing[digest, model] = self._now() + FORGOTTEN_AFTER_SECONDS
        self._missing.move_to_end((digest, model))
        if len(self._missing) > MOST_REMEMBERED:
            self._missing.popitem(last=False)
