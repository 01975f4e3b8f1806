"""A question to a model and its answer, for connectors, storage and stages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """The definition of a question to a model.

    `id` is a hash of everything that decides the answer, so an answer under one recipe
    is never used for another.
    """

    id: str
    model: str
    prompt: str | None
    prompt_version: str
    language: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer for a file, to the recipe with the id `recipe`.

    `failure` is set if there is no text to keep, and says why
    (schemas.reasons.AttachmentReason). Tokens are as the server counted them;
    `cost_microusd` is None if no price is known.
    """

    text: str
    model: str
    recipe: str = ""
    failure: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int | None = None
    latency_ms: int = 0
