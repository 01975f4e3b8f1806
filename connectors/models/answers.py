"""What a model said, or that it would not."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """`refused`: the text is empty and the model, or the API's policy, declined. Cost in millionths of a US dollar, 0 where no price is known."""

    text: str
    model: str
    refused: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int = 0
    latency_ms: int = 0
