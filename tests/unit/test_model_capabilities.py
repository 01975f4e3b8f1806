"""The table of model families, and the functions that read it."""

from datetime import date

import pytest

from connectors.models.capabilities import FAMILIES, family_label, traits_of
from connectors.models.requests import speech_parameters, vision_parameters


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("gpt-4o-mini-transcribe-2025-12-15", "gpt-4o-mini-transcribe"),
        ("gpt-5-2025-08-07", "gpt-5"),
        ("gpt-4omega", "gpt-4omega"),
        ("qwen3-vl:8b", "qwen3-vl:8b"),
    ],
)
def test_a_dated_name_is_of_its_family_and_an_unknown_one_of_its_own(
    model: str, family: str
) -> None:
    assert traits_of(model).family == family


def test_the_families_have_different_names() -> None:
    assert len({traits.family for traits in FAMILIES}) == len(FAMILIES)


@pytest.mark.parametrize(
    ("model", "ends", "successor"),
    [
        ("gpt-4o", date(2027, 1, 14), "gpt-6-luna"),
        ("whisper-1", date(2027, 2, 26), "gpt-transcribe"),
        ("gpt-4o-transcribe", date(2027, 2, 26), "gpt-transcribe"),
        ("gpt-6-luna", None, None),
        ("gpt-transcribe", None, None),
    ],
)
def test_it_is_known_when_a_model_ends_and_what_follows(
    model: str, ends: date | None, successor: str | None
) -> None:
    assert (traits_of(model).ends, traits_of(model).successor) == (ends, successor)


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("gpt-4o", {"max_tokens": 400}),
        ("gpt-6-luna", {"max_completion_tokens": 400, "reasoning_effort": "none"}),
        ("gpt-5", {"max_completion_tokens": 2000, "reasoning_effort": "minimal"}),
        ("o3", {"max_completion_tokens": 2000}),
        ("of-somebody", {"max_completion_tokens": 400}),
    ],
)
def test_a_picture_is_asked_about_in_the_form_of_the_family(
    model: str, parameters: dict[str, object]
) -> None:
    assert vision_parameters(traits_of(model), {}) == parameters


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("whisper-1", {"response_format": "json", "language": "es", "temperature": 0.0}),
        ("gpt-transcribe", {"response_format": "json", "languages": ["es"]}),
        (
            "gpt-4o-transcribe-diarize",
            {
                "response_format": "json",
                "language": "es",
                "temperature": 0.0,
                "chunking_strategy": "auto",
            },
        ),
    ],
)
def test_a_sound_is_asked_about_in_the_form_of_the_family(
    model: str, parameters: dict[str, object]
) -> None:
    assert speech_parameters(traits_of(model), "es", None, {}) == parameters


def test_metrics_name_known_families_and_call_any_other_model_other() -> None:
    labels = [family_label(name) for name in ("gpt-4o-2024-11-20", "stand-in", "mine\n{}", "")]
    assert labels == ["gpt-4o", "stand-in", "other", "other"]
