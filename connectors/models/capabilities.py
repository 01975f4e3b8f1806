"""The known model families: how each is asked, its limits, and when it ends.

Data only. Sources, read on 2026-11-27: OpenAI's deprecations page and its guide for
moving from whisper-1 to gpt-transcribe (developers.openai.com/api/docs/deprecations,
cookbook), the reference of POST /audio/transcriptions, and the API's own errors as
reported in public issues (1,400 seconds for gpt-4o-transcribe, max_completion_tokens
for reasoning models).
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

LimitParameter = Literal["max_tokens", "max_completion_tokens"]
LIMITS: tuple[LimitParameter, ...] = ("max_completion_tokens", "max_tokens")
LanguageHint = Literal["language", "languages"]
LANGUAGE_HINTS: tuple[LanguageHint, ...] = ("languages", "language")
EFFORTS = ("none", "minimal", "low")
"""The lowest reasoning efforts that models offer, lowest first."""


@dataclass(frozen=True, slots=True)
class Traits:
    """One family.

    The defaults describe the current API, for models that are not listed.
    `answer_tokens` is the token limit of a description, including reasoning that cannot
    be turned off. A parameter whose trait is None is not sent. `system_role`:
    instructions are sent as a system message. `temperature`, `language_hint`,
    `takes_prompt`, `chunking_strategy` and `response_format` apply to transcriptions.
    `sound_seconds` is the longest sound of one call. `ends` is the day on which the API
    stops serving the family. How usage is counted is not a trait: tokens and seconds
    are both read from every answer. `rejected` holds what a server did not accept, so
    that nothing is tried twice.
    """

    family: str = ""
    limit: LimitParameter | None = "max_completion_tokens"
    answer_tokens: int = 400
    reasoning_effort: str | None = None
    image_detail: str | None = None
    system_role: bool = True
    language_hint: LanguageHint | None = "language"
    takes_prompt: bool = True
    temperature: float | None = 0.0
    chunking_strategy: str | None = None
    response_format: str | None = "json"
    sound_seconds: float | None = None
    ends: date | None = None
    successor: str | None = None
    rejected: frozenset[str] = frozenset()


REASONING_ROOM = 2_000
"""The token limit for a model that reasons first and counts that against the limit."""

_CHAT = Traits()
_OLD_CHAT = replace(_CHAT, limit="max_tokens")
_REASONS = replace(_CHAT, answer_tokens=REASONING_ROOM)
_LITTLE_REASONING = replace(_REASONS, reasoning_effort="minimal")
_NO_REASONING = replace(_CHAT, reasoning_effort="none")
_GPT_4_END = date(2027, 1, 14)
_GPT_5_END = date(2026, 12, 11)
_SPEECH_END = date(2027, 2, 26)

FAMILIES: tuple[Traits, ...] = (
    replace(_OLD_CHAT, family="gpt-4o", ends=_GPT_4_END, successor="gpt-6-luna"),
    replace(_OLD_CHAT, family="gpt-4o-mini", ends=_GPT_4_END, successor="gpt-6-luna"),
    replace(_OLD_CHAT, family="gpt-4.1", ends=_GPT_4_END, successor="gpt-6-luna"),
    replace(_OLD_CHAT, family="gpt-4.1-mini", ends=_GPT_4_END, successor="gpt-6-luna"),
    replace(_REASONS, family="o1", ends=date(2026, 10, 23)),
    replace(_REASONS, family="o4-mini", ends=date(2026, 10, 23)),
    replace(_REASONS, family="o3", ends=_GPT_5_END),
    replace(_LITTLE_REASONING, family="gpt-5", ends=_GPT_5_END, successor="gpt-6.1-sol"),
    replace(_LITTLE_REASONING, family="gpt-5-mini", ends=_GPT_5_END, successor="gpt-6.1-terra"),
    replace(_LITTLE_REASONING, family="gpt-5-nano", ends=_GPT_5_END),
    replace(_NO_REASONING, family="gpt-5.1", ends=date(2027, 4, 1)),
    replace(_NO_REASONING, family="gpt-5.6-luna"),
    replace(_NO_REASONING, family="gpt-6-luna"),
    Traits(family="whisper-1", ends=_SPEECH_END, successor="gpt-transcribe"),
    Traits(
        family="gpt-4o-transcribe",
        sound_seconds=1_400,
        ends=_SPEECH_END,
        successor="gpt-transcribe",
    ),
    Traits(
        family="gpt-4o-mini-transcribe",
        sound_seconds=1_400,
        ends=_SPEECH_END,
        successor="gpt-transcribe",
    ),
    Traits(
        family="gpt-4o-transcribe-diarize",
        sound_seconds=1_400,
        chunking_strategy="auto",
        ends=_SPEECH_END,
        successor="gpt-transcribe",
    ),
    Traits(family="gpt-transcribe", language_hint="languages", temperature=None),
)


def traits_of(model: str) -> Traits:
    """The traits of the model's family.

    A model belongs to a family if it has its name, or its name and a date
    (gpt-4o-2024-11-20).
    """
    longest_match = max(
        (
            traits
            for traits in FAMILIES
            if model == traits.family or model.startswith(f"{traits.family}-20")
        ),
        key=lambda traits: len(traits.family),
        default=None,
    )
    return longest_match or replace(_UNKNOWN, family=model)


_UNKNOWN = Traits()
WARNING_DAYS = 90
"""The number of days before a model's end from which doctor warns."""
OWN_MODELS = frozenset({"stand-in", "local-eyes-1", "whisper-base"})
"""The names of the models in a local installation."""
KNOWN_FAMILIES = frozenset(traits.family for traits in FAMILIES)
"""The families that are labels in metrics.

Labels come from a closed set; any other model is "other".
"""


def family_label(model: str) -> str:
    """The model's name in a metric."""
    if model in OWN_MODELS:
        return model
    family = traits_of(model).family
    return family if family in KNOWN_FAMILIES else "other"
