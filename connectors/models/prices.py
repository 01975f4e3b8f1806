"""The cost of calls, from the list prices of the package genai-prices or from a file.

Nothing is fetched; only data in the package is used. An unknown price is None and never
0, because a sum that contains zeros looks like a complete bill.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from genai_prices import Usage, calc_price

from connectors.models.servers import ModelSettingsError, Server
from schemas.settings import Openai

_FILE_SETTING = "SENSORIUM_OPENAI__PRICES_FILE"


class OwnPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars per million tokens, and per minute of sound."""

    input_per_million: float | None = None
    output_per_million: float | None = None
    per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """The usage of a call, as counted by the server.

    `audio_tokens` and `cached_tokens` are part of the input tokens.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    audio_tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0


class Prices:
    """The prices of an installation.

    Raises ModelSettingsError if the file cannot be used.
    """

    def __init__(self, settings: Openai) -> None:
        self._listed = settings.prices
        self._own = _read(settings.prices_file)

    @property
    def own_names(self) -> frozenset[str]:
        """The models in the installation's own price file."""
        return frozenset(self._own)

    def cost(self, server: Server, model: str, used: Used) -> int | None:
        """The cost in millionths of a US dollar, or None if no price is known.

        That depends on the server and on the model.
        """
        own = self._own.get(model)
        if own is not None:
            return _own_cost(own, used)
        if self._listed == "never" or (self._listed == "auto" and not server.is_openai):
            return None
        return _list_cost(model, used)


def listed_name(model: str) -> str | None:
    """The model's name in the list prices, or None.

    The names are a closed set, whatever a server calls its model.
    """
    try:
        return calc_price(Usage(input_tokens=1), model, provider_id="openai").model.id
    except (LookupError, ValueError):
        return None


def _read(path: str) -> dict[str, OwnPrice]:
    if not path:
        return {}
    try:
        return msgspec.convert(json.loads(Path(path).read_text()), dict[str, OwnPrice])
    except (OSError, ValueError) as error:
        raise ModelSettingsError(f"{_FILE_SETTING}: {path} cannot be used: {error}") from None


def _own_cost(price: OwnPrice, used: Used) -> int | None:
    parts = (
        (price.input_per_million, used.input_tokens),
        (price.output_per_million, used.output_tokens),
        (price.per_minute, used.seconds / 60 * 1_000_000),
    )
    known = [each * amount for each, amount in parts if each is not None]
    return round(sum(known)) if known else None


def _list_cost(model: str, used: Used) -> int | None:
    """The cost by tokens if the server counted some and they have a price.

    Otherwise it is the cost by the length of the sound.
    """
    by_tokens: dict[str, Any] = {
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
    }
    if used.audio_tokens:
        by_tokens["input_audio_tokens"] = min(used.audio_tokens, used.input_tokens)
    elif used.cached_tokens:
        by_tokens["cache_read_tokens"] = min(used.cached_tokens, used.input_tokens)
    return _listed(model, by_tokens) or _listed(model, {"audio_seconds": used.seconds})


def _listed(model: str, usage: dict[str, Any]) -> int | None:
    if not any(usage.values()):
        return None
    try:
        total = calc_price(Usage(**usage), model, provider_id="openai").total_price
    except (LookupError, ValueError):
        return None
    return round(total * 1_000_000) or None
