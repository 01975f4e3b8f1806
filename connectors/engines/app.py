"""Serves the local vision and speech models with the part of OpenAI's API that is used."""

import asyncio
import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from connectors.engines.memory import memory_returner
from connectors.engines.outcomes import JobAbandoned, RequestRefused, Transcript
from connectors.engines.queue import Full, JobQueue
from schemas.metrics import LOCAL_MODEL_REQUESTS

MAX_PICTURE_BODY = 12_000_000
"""The largest body of a request about a picture.

The product sends pictures of at most 4 MB, in base64.
"""
MAX_SOUND_BODY = 26_000_000
BODY_SECONDS = 30.0
LOADING_SECONDS = 2
_VISION, _SPEECH = "/v1/chat/completions", "/v1/audio/transcriptions"
_SENSES = {_VISION: "vision", _SPEECH: "speech"}


class LocalPictureModel(Protocol):
    """Describes a picture. Raises RequestRefused.

    `does` says for people what the model can do.
    """

    @property
    def name(self) -> str: ...

    @property
    def does(self) -> str: ...

    def look(self, picture: bytes, *, spanish: bool) -> str: ...


class LocalSpeechModel(Protocol):
    """Transcribes a sound.

    `does` says for people what the model can do. Raises RequestRefused and
    JobAbandoned.
    """

    @property
    def name(self) -> str: ...

    @property
    def does(self) -> str: ...

    def hear(
        self, sound: bytes, *, language: str | None, prompt: str | None, stop: Callable[[], bool]
    ) -> Transcript: ...


@dataclass
class Engines:
    """The vision model (`eyes`) and the speech model (`ears`); None while they are loading."""

    eyes: LocalPictureModel | None = None
    ears: LocalSpeechModel | None = None

    @property
    def loaded(self) -> bool:
        return self.eyes is not None and self.ears is not None


class _Loading(Exception):
    """The models are not in memory yet."""


class _Picture(msgspec.Struct):
    url: str


class _Part(msgspec.Struct):
    type: str
    text: str = ""
    image_url: _Picture | None = None


class _Message(msgspec.Struct):
    content: str | list[_Part] | None = None


class _Chat(msgspec.Struct):
    messages: list[_Message]


def create_app(senses: Engines, *, places: int) -> FastAPI:
    """The server's routes.

    Up to `places` requests per model may wait or be processed.
    """
    app = FastAPI(title="local-models", docs_url=None, redoc_url=None, openapi_url=None)
    give_back = memory_returner()
    looking, hearing = (JobQueue(sense, places, give_back) for sense in ("vision", "speech"))
    _add_operations(app, senses)

    @app.post(_VISION, response_model=None)
    async def chat(request: Request) -> Response:
        eyes = senses.eyes
        if eyes is None:
            raise _Loading
        async with looking.place():
            picture, prompt = _picture_and_prompt(await _body(request, MAX_PICTURE_BODY))
            spanish = "in spanish" in prompt.lower()
            text = await looking.run(
                lambda stop: eyes.look(picture, spanish=spanish), request.is_disconnected
            )
        return _answer(request, 200, _completion(eyes.name, text))

    @app.post(_SPEECH, response_model=None)
    async def transcriptions(request: Request) -> Response:
        ears = senses.ears
        if ears is None:
            raise _Loading
        async with hearing.place():
            sound, language, prompt = await _uploaded(request)
            transcript = await hearing.run(
                lambda stop: ears.hear(sound, language=language, prompt=prompt, stop=stop),
                request.is_disconnected,
            )
        seconds = round(transcript.seconds, 2)
        answer = {"text": transcript.text, "model": ears.name, "duration": seconds}
        return _answer(request, 200, answer)

    _add_errors(app)
    return app


def _add_operations(app: FastAPI, senses: Engines) -> None:
    @app.get("/livez")
    async def livez() -> Response:
        return Response("alive\n", media_type="text/plain")

    @app.get("/readyz")
    async def readyz() -> Response:
        text, status = ("ready\n", 200) if senses.loaded else ("loading\n", 503)
        return Response(text, status, media_type="text/plain")

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        named = (("pictures", senses.eyes), ("voice notes", senses.ears))
        return {
            "object": "list",
            "data": [
                {
                    "id": sense.name, "object": "model", "created": 0, "owned_by": "local",
                    "sense": name, "does": sense.does,
                }
                for name, sense in named
                if sense
            ],
        }  # fmt: skip


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(_Loading)
    async def loading(request: Request, _: _Loading) -> Response:
        return _refusal(request, 503, "the models are being loaded", LOADING_SECONDS)

    @app.exception_handler(Full)
    async def full(request: Request, error: Full) -> Response:
        return _refusal(request, 429, "the queue is full", error.retry_after)

    @app.exception_handler(RequestRefused)
    async def not_taken(request: Request, error: RequestRefused) -> Response:
        return _refusal(request, error.status, error.message)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return _refusal(request, error.status_code, error.detail)

    @app.exception_handler(JobAbandoned)
    async def abandoned(request: Request, _: JobAbandoned) -> Response:
        return _refusal(request, 503, "the job took too long, or the client went away", 30)

    @app.exception_handler(MemoryError)
    async def out_of_memory(request: Request, _: MemoryError) -> Response:
        return _refusal(request, 413, "this needs more memory than the server may use")


def _refusal(request: Request, status: int, message: str, retry_after: int = 0) -> Response:
    code = {400: "invalid_file", 413: "file_too_large", 429: "rate_limit_exceeded"}.get(status)
    error = {
        "message": message,
        "type": "server_error" if status >= 500 else "invalid_request_error",
        "code": code,
    }
    return _answer(request, status, {"error": error}, retry_after)


def _answer(request: Request, status: int, body: Any, retry_after: int = 0) -> Response:
    if request.url.path in _SENSES:
        LOCAL_MODEL_REQUESTS.labels(_SENSES[request.url.path], str(status)).inc()
    return JSONResponse(body, status, {"retry-after": str(retry_after)} if retry_after else None)


async def _body(request: Request, most: int) -> bytes:
    """The whole body. Raises RequestRefused if it is too large or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    raise RequestRefused(413, f"the body has over {most} bytes")
    except TimeoutError:
        raise RequestRefused(408, f"the body took over {BODY_SECONDS:.0f} s") from None
    return bytes(body)


def _picture_and_prompt(body: bytes) -> tuple[bytes, str]:
    """The picture, and all text beside it."""
    try:
        chat = msgspec.json.decode(body, type=_Chat)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RequestRefused(400, f"this is not a chat request: {error}") from error
    parts = [
        part
        for message in chat.messages
        if isinstance(message.content, list)
        for part in message.content
    ]
    words = [message.content for message in chat.messages if isinstance(message.content, str)]
    words += [part.text for part in parts if part.type == "text"]
    url = next((part.image_url.url for part in parts if part.image_url), "")
    head, _, encoded = url.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64")):
        raise RequestRefused(400, "this server accepts one picture, as a data: URL")
    try:
        return base64.b64decode(encoded, validate=True), " ".join(words)
    except (binascii.Error, ValueError) as error:
        raise RequestRefused(400, "the picture is not base64") from error


async def _uploaded(request: Request) -> tuple[bytes, str | None, str | None]:
    """The sound, and the hints on language and vocabulary."""
    whole = await _body(request, MAX_SOUND_BODY)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": whole, "more_body": False}

    async with Request(request.scope, receive).form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RequestRefused(400, "there is no file in the form")
        language, prompt = form.get("language"), form.get("prompt")
        return (
            await file.read(),
            language if isinstance(language, str) else None,
            prompt[:2000] if isinstance(prompt, str) else None,
        )


def _completion(model: str, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "local", "object": "chat.completion", "created": int(time.time()), "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }  # fmt: skip
