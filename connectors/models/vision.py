"""Asks a vision model what a picture shows, on any server with OpenAI's API."""

import base64
import time
from dataclasses import replace
from typing import Any

import openai

from connectors.models.answers import (
    ModelAnswer,
    content_of,
    text_of,
    tokens_of,
    whole_sentences,
)
from connectors.models.capabilities import Traits
from connectors.models.client import ModelServer
from connectors.models.errors import Declined, FileRefused, ModelUnavailable
from connectors.models.prices import Prices, Used
from connectors.models.refusals import is_refusal
from connectors.models.requests import vision_messages, vision_parameters
from connectors.models.servers import servers_of
from schemas.settings import Openai

MORE_ROOM = 6
"""The factor of the token limit for a second try, if the first answer was cut too early."""


_CUT_ENDS = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
_POLICY_ENDS = frozenset(
    {"safety", "prohibited_content", "refusal", "blocklist", "spii", "image_safety", "sensitive"}
)
_ENDINGS_OF_REFUSALS = ("", " help with that.", " ayudar con eso.", " ajudar com isso.")


class VisionModel:
    """Asks one vision server.

    `describe` raises ModelUnavailable for temporary failures; every other end is an
    answer.
    """

    def __init__(self, settings: Openai) -> None:
        self.server = ModelServer(servers_of(settings).vision)
        self._prices = Prices(settings)

    async def describe(
        self, image: bytes, mime: str, *, prompt: str, model: str, api_key: str | None
    ) -> ModelAnswer:
        """The model's description.

        A truncated answer is kept up to its last whole sentence. If it has none, the
        model is asked once more.
        """
        picture = f"data:{mime};base64,{base64.b64encode(image).decode()}"
        first = await self._once(picture, prompt, model, api_key, room=1)
        if first.failure != "answer_truncated":
            return first
        return (await self._once(picture, prompt, model, api_key, room=MORE_ROOM)).after(first)

    async def _once(
        self, picture: str, prompt: str, model: str, api_key: str | None, *, room: int
    ) -> ModelAnswer:
        def ask(client: openai.AsyncOpenAI, traits: Traits) -> Any:
            parameters = vision_parameters(traits, self.server.server.extra, room=room)
            messages: Any = vision_messages(traits, prompt, picture)

            async def send() -> ModelAnswer:
                completion = await client.chat.completions.create(
                    model=model, messages=messages, extra_body=parameters
                )
                return self._read(completion, model, is_last=room > 1)

            return parameters, send

        began = time.monotonic()
        try:
            answer: ModelAnswer = await self.server.call(
                model, api_key, ask, sent_bytes=len(picture)
            )
        except Declined as declined:
            answer = ModelAnswer(
                "", model, cost_microusd=0, failure="refused_by_model", detail=str(declined)
            )
        except FileRefused as other:
            answer = ModelAnswer(
                "", model, cost_microusd=0, failure="unsupported_by_model", detail=str(other)
            )
        took = round((time.monotonic() - began) * 1000)
        return replace(answer, requested_model=model, latency_ms=took)

    def _read(self, completion: Any, model: str, *, is_last: bool) -> ModelAnswer:
        """Reads a completion, whose attributes may be of any type or missing.

        Raises whatever a malformed one leads to (`MALFORMED`).
        """
        choice = completion.choices[0]
        message = choice.message
        text = text_of(content_of(message.content))
        if text.casefold() == "null":
            text = ""
        finish = str(choice.finish_reason).lower()
        usage = completion.usage
        answer = ModelAnswer(
            text,
            text_of(str(completion.model or model)),
            input_tokens=tokens_of(usage, "prompt_tokens"),
            output_tokens=tokens_of(usage, "completion_tokens"),
        )
        cached = tokens_of(getattr(usage, "prompt_tokens_details", None), "cached_tokens")
        used = Used(answer.input_tokens, answer.output_tokens, cached_tokens=cached)
        answer = replace(
            answer, cost_microusd=self._prices.cost(self.server.server, answer.model, used)
        )
        declined = getattr(message, "refusal", None) or finish == "content_filter"
        if declined or is_refusal(text) or (not text and finish in _POLICY_ENDS):
            return replace(answer, text="", failure="refused_by_model")
        if finish in _CUT_ENDS:
            return _cut(answer, is_last=is_last)
        if not text:
            if is_last:
                raise ModelUnavailable("model_malformed_answer", 5.0, more="the answer is empty")
            return replace(answer, failure="answer_truncated")
        return answer


def _cut(answer: ModelAnswer, *, is_last: bool) -> ModelAnswer:
    """The usable part of a truncated answer.

    After the last try, an incomplete sentence is usable too. A truncated refusal is a
    refusal.
    """
    whole = whole_sentences(answer.text)
    beginning = whole or answer.text
    if any(is_refusal(beginning + ending) for ending in _ENDINGS_OF_REFUSALS if beginning):
        return replace(answer, text="", failure="refused_by_model")
    if not whole and is_last and answer.text:
        whole = f"{answer.text} …"
    return replace(answer, text=whole, failure=None if whole else "answer_truncated")
