"""List prices of the default models, for the cost that stands beside a result.

Source: OpenAI's public price list as known when this was written. A model that is not here costs 0, which means "not known".
"""

MICROUSD_PER_TOKEN: dict[str, tuple[float, float]] = {
    "gpt-4o": (2.5, 10.0),
    "gpt-4o-mini": (0.15, 0.6),
    "gpt-4o-transcribe": (2.5, 10.0),
    "gpt-4o-mini-transcribe": (1.25, 5.0),
}
"""Model → (input, output). A dollar a million tokens is one microdollar a token."""
MICROUSD_PER_SECOND: dict[str, float] = {"whisper-1": 100.0}


def cost_of_tokens(model: str, input_tokens: int, output_tokens: int) -> int:
    """A dated model name (gpt-4o-2024-11-20) costs what its family costs."""
    name = max(
        (
            known
            for known in MICROUSD_PER_TOKEN
            if model == known or model.startswith(f"{known}-20")
        ),
        key=len,
        default=None,
    )
    if name is None:
        return 0
    per_input, per_output = MICROUSD_PER_TOKEN[name]
    return round(input_tokens * per_input + output_tokens * per_output)


def cost_of_sound(model: str, seconds: float) -> int:
    return round(MICROUSD_PER_SECOND.get(model, 0.0) * seconds)
