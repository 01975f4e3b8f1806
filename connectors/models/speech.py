"""Asks a speech model what was said, over any server that speaks OpenAI's API."""

import openai

from connectors.models.answers import ModelAnswer, text_of, tokens_of
from connectors.models.client import Clients, Refused
from connectors.models.prices import cost_of_sound, cost_of_tokens
from schemas.settings import Openai


class SpeechModel:
    """`transcribe` raises Unavailable for what may get better; an empty transcript is an answer: nothing was said."""

    def __init__(self, settings: Openai) -> None:
        self._clients = Clients(settings)

    async def transcribe(
        self,
        audio: bytes,
        filename: str,
        mime: str,
        *,
        prompt: str | None,
        language: str | None,
        model: str,
        api_key: str | None,
        seconds: float,
    ) -> ModelAnswer:
        """`filename` decides: the API goes by its extension. `seconds` of sound, for the cost of models priced by time."""
        watch = None
        try:
            async with self._clients.asking() as watch:
                heard = await self._clients.of(api_key).audio.transcriptions.create(
                    file=(filename, audio, mime),
                    model=model,
                    response_format="json",
                    language=language or openai.omit,
                    prompt=prompt or openai.omit,
                    temperature=0,
                )
                said = text_of(heard.text)
                usage = getattr(heard, "usage", None)
                tokens = (tokens_of(usage, "input_tokens"), tokens_of(usage, "output_tokens"))
                answered_by = text_of(str(getattr(heard, "model", None) or model))
        except Refused:
            return ModelAnswer("", model, refused=True, latency_ms=watch.ms if watch else 0)
        cost = cost_of_tokens(answered_by, *tokens) or cost_of_sound(answered_by, seconds)
        return ModelAnswer(said, answered_by, False, *tokens, cost, watch.ms)

    async def close(self) -> None:
        await self._clients.close()
