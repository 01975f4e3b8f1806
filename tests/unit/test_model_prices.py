"""The cost of a call: by list prices, by the installation's own file, or unknown."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.models.prices import Prices, Used
from connectors.models.servers import ModelSettingsError, servers_of
from schemas.settings import Openai

TOKENS = Used(1000, 100)


def cost(model: str, used: Used, **settings: Any) -> int | None:
    openai = Openai(**settings)
    return Prices(openai).cost(servers_of(openai).vision, model, used)


@pytest.mark.parametrize(
    ("model", "used", "microusd"),
    [
        ("gpt-4o", TOKENS, 3500),
        ("gpt-4o-2024-11-20", TOKENS, 3500),
        ("gpt-4o-mini", TOKENS, 210),
        ("gpt-6-luna", TOKENS, 150),
        ("gpt-4o", Used(1000, 100, cached_tokens=500), 2875),
        ("gpt-4o-transcribe", Used(1000, 100, audio_tokens=900), 6650),
        ("whisper-1", Used(seconds=60), 6000),
        ("gpt-transcribe", Used(seconds=60), 4500),
        ("gpt-transcribe", Used(5, 5, seconds=60), 4500),
        ("gpt-4omega", TOKENS, None),
        ("stand-in", TOKENS, None),
        ("gpt-4o-transcribe", Used(seconds=60), None),
        ("gpt-4o", Used(), None),
    ],
)
def test_a_call_costs_its_list_price_and_an_unknown_price_is_none(
    model: str, used: Used, microusd: int | None
) -> None:
    assert cost(model, used) == microusd


def test_list_prices_are_those_of_openais_own_api_unless_a_setting_says_so() -> None:
    elsewhere = "http://127.0.0.1:8000/v1"
    assert cost("whisper-1", Used(seconds=60), base_url=elsewhere) is None
    assert cost("whisper-1", Used(seconds=60), base_url=elsewhere, prices="always") == 6000
    assert cost("gpt-4o", TOKENS, prices="never") is None
    assert cost("gpt-4o", TOKENS, base_url="https://api.openai.com.evil.example/v1") is None


def test_a_file_of_prices_goes_before_the_list_and_counts_for_any_server(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text(
        json.dumps(
            {
                "gpt-4o": {"input_per_million": 1, "output_per_million": 2},
                "mine": {"per_minute": 0.001},
                "free": {"input_per_million": 0, "output_per_million": 0},
            }
        )
    )
    own = {"prices_file": str(file), "base_url": "http://127.0.0.1:8000/v1"}
    assert cost("gpt-4o", TOKENS, **own) == 1200
    assert cost("mine", Used(seconds=120), **own) == 2000
    assert cost("free", TOKENS, **own) == 0, "a price that somebody wrote down is known"
    assert cost("other", TOKENS, **own) is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"m": 3}', '{"m": {"per_hour": 1}}', '{"m": {"per_minute": "x"}}']
)
def test_a_file_that_cannot_be_used_is_named_at_the_start(text: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(text)
    for path in (tmp_path / "p.json", tmp_path / "none.json"):
        with pytest.raises(ModelSettingsError, match="SENSORIUM_OPENAI__PRICES_FILE"):
            Prices(Openai(prices_file=str(path)))
