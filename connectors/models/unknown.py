"""A warning for the operator who sets a model that this program does not know."""

from collections.abc import Mapping
from typing import Any

from connectors.models.capabilities import family_label
from connectors.models.prices import listed_name
from connectors.models.servers import names_of
from schemas.metrics import OTHER
from schemas.settings import Openai

_MODELS = frozenset({"vision_model", "transcription_model"})


def unknown_models(openai: Openai, changes: Mapping[str, Any]) -> list[str]:
    """The models in `changes` that this program does not know.

    Other servers name their models freely, so the caller warns and does not refuse
    them.
    """
    known = {*names_of(openai.vision_model), *names_of(openai.transcription_model)}
    chosen = [
        model for field in _MODELS & changes.keys() for model in names_of(changes[field] or "")
    ]
    return [
        model
        for model in chosen
        if model not in known and family_label(model) == OTHER and listed_name(model) is None
    ]
