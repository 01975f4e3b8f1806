"""Asks a vision model what is in a picture, over any server that speaks OpenAI's API."""

import base64

from connectors.models.answers import ModelAnswer, text_of, tokens_of
from connectors.models.client import Clients, Refused, is_refusal
from connectors.models.prices import cost_of_tokens
from schemas.settings import Openai

MAX_ANSWER_TOKENS = 400


class VisionModel:
    """`describe` raises Unavailable for what may get better; a refusal is an answer that says so."""

    def __init__(self, settings: Openai) -> None:
        self._clients = Clients(settings)

    async def describe(
        self, image: bytes, mime: str, *, prompt: str, model: str, api_key: str | None
    ) -> ModelAnswer:
        picture = f"data:{mime};base64,{base64.b64encode(image).decode()}"
        watch = None
        try:
            async with self._clients.asking() as watch:
                completion = await self._clients.of(api_key).chat.completions.create(
                    model=model,
                    max_tokens=MAX_ANSWER_TOKENS,
                    messages=[
                        {
                            "role": "user",
                            "content": [
                                {"type": "text", "text": prompt},
                                {"type": "image_url", "image_url": {"url": picture}},
                            ],
                        }
                    ],
                )
                choice = completion.choices[0]
                said = text_of(choice.message.content or "")
                tokens = (
                    tokens_of(completion.usage, "prompt_tokens"),
                    tokens_of(completion.usage, "completion_tokens"),
                )
                answered_by = text_of(str(completion.model or model))
                declined = bool(choice.message.refusal) or choice.finish_reason == "content_filter"
        except Refused:
            return ModelAnswer("", model, refused=True, latency_ms=watch.ms if watch else 0)
        refused = declined or not said or is_refusal(said)
        return ModelAnswer(
            "" if refused else said,
            answered_by,
            refused,
            *tokens,
            cost_of_tokens(answered_by, *tokens),
            watch.ms,
        )

    async def close(self) -> None:
        await self._clients.close()
