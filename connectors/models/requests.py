"""The parameters of model requests, declared once: sent, hashed and adapted.

`vision_parameters` and `speech_parameters` describe everything in a request except the
file. `adapted` returns the traits for the next try if a server rejects a parameter.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from connectors.models.capabilities import EFFORTS, LANGUAGE_HINTS, LIMITS, Traits
from connectors.models.complaints import Complaint

FEWEST_TOKENS = 100


def vision_parameters(traits: Traits, extra: Mapping[str, Any], *, room: int = 1) -> dict[str, Any]:
    """The parameters of a chat completion; `room` multiplies the usual limit of tokens."""
    parameters: dict[str, Any] = {}
    if traits.limit is not None:
        parameters[traits.limit] = traits.answer_tokens * room
    if traits.reasoning_effort is not None:
        parameters["reasoning_effort"] = traits.reasoning_effort
    return {**parameters, **extra}


def vision_messages(traits: Traits, instructions: str, picture: str) -> list[dict[str, Any]]:
    """The messages of a chat completion.

    Instructions are separate from the picture, so that text in it cannot pass for them.
    """
    shown: dict[str, Any] = {"url": picture}
    if traits.image_detail is not None:
        shown["detail"] = traits.image_detail
    image = {"type": "image_url", "image_url": shown}
    if not traits.system_role:
        return [{"role": "user", "content": [{"type": "text", "text": instructions}, image]}]
    opening = {"type": "text", "text": "The picture:"}
    return [
        {"role": "system", "content": instructions},
        {"role": "user", "content": [opening, image]},
    ]


def speech_parameters(
    traits: Traits, language: str | None, prompt: str | None, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters of a transcription."""
    parameters: dict[str, Any] = {}
    if traits.response_format is not None:
        parameters["response_format"] = traits.response_format
    if language and traits.language_hint is not None:
        several = traits.language_hint == "languages"
        parameters[traits.language_hint] = [language] if several else language
    if prompt and traits.takes_prompt:
        parameters["prompt"] = prompt
    if traits.temperature is not None:
        parameters["temperature"] = traits.temperature
    if traits.chunking_strategy is not None:
        parameters["chunking_strategy"] = traits.chunking_strategy
    return {**parameters, **extra}


def adapted(traits: Traits, complaint: Complaint, sent: Mapping[str, Any]) -> Traits | None:
    """The traits for the next try, or None if no other form of the request is known.

    `sent` are the parameters that the server complained about. What the installation
    adds by a setting is never removed: that setting is wrong, and an operator has to
    know.
    """
    name = complaint.names((*sent, "chunking_strategy", "detail", "role"))
    if complaint.is_about_the_system_role:
        name = "role"
    if name in traits.rejected:
        return None
    noted = replace(traits, rejected=traits.rejected | {name})
    better = _without(noted, name, complaint)
    return None if better == noted else better


def _without(traits: Traits, name: str, complaint: Complaint) -> Traits | None:
    sort = complaint.sort()
    match name:
        case "max_tokens" | "max_completion_tokens":
            return _limited(traits, name, sort == "value")
        case "temperature":
            return replace(traits, temperature=None)
        case "reasoning_effort":
            return _reasoning_less(traits, sort == "value")
        case "detail":
            return replace(traits, image_detail=None)
        case "role":
            return replace(traits, system_role=False)
        case "language" | "languages" if sort != "value":
            hint = next((hint for hint in LANGUAGE_HINTS if hint not in traits.rejected), None)
            return replace(traits, language_hint=hint)
        case "prompt" if sort != "missing":
            return replace(traits, takes_prompt=False)
        case "response_format":
            return replace(traits, response_format=None)
        case "chunking_strategy":
            was_sent = traits.chunking_strategy is not None
            return replace(traits, chunking_strategy=None if was_sent else "auto")
        case _:
            return None


def _limited(traits: Traits, name: str, is_value: bool) -> Traits | None:
    if is_value:
        fewer = traits.answer_tokens // 2
        known = traits.rejected - {name}
        halved = replace(traits, answer_tokens=fewer, rejected=known)
        return halved if fewer >= FEWEST_TOKENS else None
    limit = next((name for name in LIMITS if name not in traits.rejected), None)
    return replace(traits, limit=limit)


def _reasoning_less(traits: Traits, is_value: bool) -> Traits:
    """The next effort that was not rejected.

    Without the parameter, the model may reason freely.
    """
    rejected = traits.rejected | {f"reasoning_effort={traits.reasoning_effort}"}
    effort = next((name for name in EFFORTS if f"reasoning_effort={name}" not in rejected), None)
    return replace(
        traits,
        rejected=rejected - {"reasoning_effort"},
        reasoning_effort=effort if is_value else None,
    )
