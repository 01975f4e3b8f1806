"""Asks a speech model to transcribe a sound, on any server with OpenAI's API."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import openai

from connectors.models.answers import ModelAnswer, one_line, text_of, tokens_of
from connectors.models.capabilities import Traits
from connectors.models.client import ModelServer
from connectors.models.errors import Declined, FileRefused, SoundTooShort
from connectors.models.prices import Prices, Used
from connectors.models.requests import speech_parameters
from connectors.models.servers import servers_of
from schemas.settings import Openai

MOST_PARTS = 500


@dataclass(frozen=True, slots=True)
class Sound:
    """One upload. The API reads the format from the extension of `filename`."""

    data: bytes
    filename: str
    mime: str
    seconds: float


class SpeechModel:
    """Asks one speech server.

    `transcribe` raises ModelUnavailable for temporary failures, and SoundTooLong for a
    sound that has to be sent in parts. An empty transcript is an answer: nobody spoke.
    """

    def __init__(self, settings: Openai) -> None:
        self.server = ModelServer(servers_of(settings).speech)
        self._prices = Prices(settings)
        self._answers: OrderedDict[bytes, ModelAnswer] = OrderedDict()

    async def transcribe_parts(
        self,
        parts: Sequence[Sound],
        *,
        prompt: str | None,
        language: str | None,
        model: str,
        api_key: str | None,
    ) -> ModelAnswer:
        """Transcribes the parts in order and joins their texts.

        A part that fails makes the whole fail. Transcribed parts are remembered until
        the whole is complete, so a time-out in the fourth part does not cost the first
        three again.
        """
        whole: ModelAnswer | None = None
        keys = [_key(part, model, language, prompt, api_key) for part in parts]
        for key, part in zip(keys, parts, strict=True):
            answer = self._answers.get(key) or await self.transcribe(
                part.data,
                part.filename,
                part.mime,
                prompt=prompt,
                language=language,
                model=model,
                api_key=api_key,
                seconds=part.seconds,
            )
            self._remember(key, answer)
            if whole is not None:
                joined = f"{whole.text} {answer.text}".strip()
                answer = replace(answer.after(whole), text="" if answer.failure else joined)
            whole = answer
            if answer.failure is not None:
                break
        for key in keys:
            self._answers.pop(key, None)
        if whole is None:
            raise ValueError("a sound without parts")
        return whole

    def _remember(self, key: bytes, answer: ModelAnswer) -> None:
        self._answers[key] = answer
        if len(self._answers) > MOST_PARTS:
            self._answers.popitem(last=False)

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
        """Transcribes one sound.

        `seconds` of sound determine the deadline, and the cost of a model priced by
        time.
        """

        def ask(client: openai.AsyncOpenAI, traits: Traits) -> Any:
            parameters = speech_parameters(traits, language, prompt, self.server.server.extra)

            async def send() -> ModelAnswer:
                transcription = await client.audio.transcriptions.create(
                    file=(filename, audio, mime), model=model, extra_body=parameters
                )
                return self._read(transcription, model, seconds)

            return parameters, send

        began = time.monotonic()
        try:
            answer: ModelAnswer = await self.server.call(
                model, api_key, ask, sent_bytes=len(audio), sound_seconds=seconds
            )
        except Declined as declined:
            answer = ModelAnswer(
                "", model, cost_microusd=0, failure="refused_by_model", detail=str(declined)
            )
        except FileRefused as other:
            answer = ModelAnswer(
                "", model, cost_microusd=0, failure="unsupported_by_model", detail=str(other)
            )
        except SoundTooShort as short:
            answer = ModelAnswer(
                "", model, cost_microusd=0, failure="audio_too_short", detail=str(short)
            )
        took = round((time.monotonic() - began) * 1000)
        return replace(answer, requested_model=model, latency_ms=took)

    def _read(self, transcription: Any, model: str, seconds: float) -> ModelAnswer:
        """Reads a transcription, whose attributes may be of any type or missing.

        Raises whatever a malformed one leads to (`MALFORMED`).
        """
        usage = getattr(transcription, "usage", None)
        details = getattr(usage, "input_token_details", None)
        answered_by = text_of(str(getattr(transcription, "model", None) or model))
        used = Used(
            tokens_of(usage, "input_tokens"),
            tokens_of(usage, "output_tokens"),
            audio_tokens=tokens_of(details, "audio_tokens"),
            seconds=_billed_seconds(usage, seconds),
        )
        return ModelAnswer(
            one_line(text_of(transcription.text)),
            answered_by,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            cost_microusd=self._prices.cost(self.server.server, answered_by, used),
        )


def _key(part: Sound, *request: str | None) -> bytes:
    digest = hashlib.sha256(part.data)
    digest.update(repr(request).encode())
    return digest.digest()


def _billed_seconds(usage: object, sent: float) -> float:
    """The seconds that the server counted, or else the length of what was sent."""
    counted = getattr(usage, "seconds", None)
    is_a_length = isinstance(counted, int | float) and 0 < counted < 10**7
    return float(counted) if is_a_length and counted is not None else sent
