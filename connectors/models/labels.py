"""The names of models in metrics. Labels come from a closed set."""

from functools import lru_cache

from connectors.models.capabilities import family_label
from connectors.models.prices import Prices, listed_name
from connectors.models.servers import names_of
from schemas.metrics import OTHER
from schemas.settings import Openai


class ModelLabels:
    """Labels for known families and for configured or priced models; others are "other"."""

    def __init__(self, settings: Openai, prices: Prices) -> None:
        configured = f"{settings.vision_model},{settings.transcription_model}"
        self._named = frozenset(names_of(configured)) | prices.own_names

    def of(self, in_request: str, in_answer: str = "") -> str:
        """The label of the model that the answer names, or else of the one that the request names.

        The latter is used if the first is unknown.
        """
        for name in filter(None, (in_answer, in_request)):
            label = name if name in self._named else family_label(name)
            if label != OTHER:
                return label
        return _priced(in_answer) or _priced(in_request) or OTHER


@lru_cache(1_000)
def _priced(name: str) -> str | None:
    return listed_name(name) if name else None
