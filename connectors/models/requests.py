"""How a model is asked: the one declaration that
is sent, hashed into the recipe, and adapted.

`vision_parameters` and `speech_parameters` say everything of a
request but the file. `adapted` gives the traits with which to
ask again when a server does not accept one of these parameters.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from connectors.models.capabilities import EFFORTS, LANGUAGE_HINTS, LIMITS, Traits
from connectors.models.complaints import Complaint

FEWEST_TOKENS = 100


def vision_parameters(traits: Traits, extra: Mapping[str, Any], *, room: int = 1) -> dict[str, Any]:
    """Parameters of a chat completion; `room` times the usual length of an answer."""
    found: dict[str, Any] = {}
    if traits.limit is not None:
        found[traits.limit] = traits.answer_tokens * room
    if traits.reasoning_effort is not None:
        found["reasoning_effort"] = traits.reasoning_effort
    return {**found, **extra}


def vision_messages(traits: Traits, instructions: str, picture: str) -> list[dict[str, Any]]:
    """Instructions apart from the picture, so
    that text in the picture cannot pass for them.
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
    """Parameters of a transcription."""
    found: dict[str, Any] = {}
    if traits.response_format is not None:
        found["response_format"] = traits.response_format
    if language and traits.language_hint is not None:
        several = traits.language_hint == "languages"
        found[traits.language_hint] = [language] if several else language
    if prompt and traits.takes_prompt:
        found["prompt"] = prompt
    if traits.temperature is not None:
        found["temperature"] = traits.temperature
    if traits.chunking_strategy is not None:
        found["chunking_strategy"] = traits.chunking_strategy
    return {**found, **extra}


def adapted(traits: Traits, complaint: Complaint, sent: Mapping[str, Any]) -> Traits | None:
    """The traits to ask with next, or None where no other form of the request is known.

    `sent` are the parameters that the server complained
    about. What the installation adds by itself is never taken
    out: its setting is wrong, and an operator has to know.
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
            hint = next((one for one in LANGUAGE_HINTS if one not in traits.rejected), None)
            return replace(traits, language_hint=hint)
        case "prompt" if sort != "missing":
            return replace(traits, takes_prompt=False)
        case "response_format":
            return replace(traits, response_format=None)
        case "chunking_strategy":
            given = traits.chunking_strategy is not None
            return replace(traits, chunking_strategy=None if given else "auto")
        case _:
            return None


def _limited(traits: Traits, name: str, is_value: bool) -> Traits | None:
    if is_value:
        fewer = traits.answer_tokens // 2
        known = traits.rejected - {name}
        halved = replace(traits, answer_tokens=fewer, rejected=known)
        return halved if fewer >= FEWEST_TOKENS else None
    limit = next((one for one in LIMITS if one not in traits.rejected), None)
    return replace(traits, limit=limit)


def _reasoning_less(traits: Traits, is_value: bool) -> Traits:
    """The next effort that was not rejected; without
    the parameter, the model may reason freely.
    """
    rejected = traits.rejected | {f"reasoning_effort={traits.reasoning_effort}"}
    effort = next((one for one in EFFORTS if f"reasoning_effort={one}" not in rejected), None)
    return replace(
        traits,
        rejected=rejected - {"reasoning_effort"},
        reasoning_effort=effort if is_value else None,
    )
