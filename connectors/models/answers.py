"""What a model said, or that it would not."""

from dataclasses import dataclass

from schemas.text import storable

MAX_TEXT_CHARS = 200_000
"""Beyond it a text is cut: hours of speech fit, what a broken server says without end does not."""
_MOST_TOKENS = 10**9


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


def text_of(said: str) -> str:
    """What a model said, made storable and of a bounded length."""
    return storable(said[:MAX_TEXT_CHARS]).strip()


def tokens_of(usage: object, name: str) -> int:
    """A count as a server gave it; 0 for what is none: a paid answer is not lost over its bill."""
    count = getattr(usage, name, None)
    return count if isinstance(count, int) and 0 <= count <= _MOST_TOKENS else 0
