"""Model servers for tests, at a port of 127.0.0.1.

They answer as scripted, and note the requests.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from connectors.models.answers import ModelAnswer
from connectors.models.speech import SpeechModel
from connectors.models.vision import VisionModel
from schemas.settings import Openai, Secret
from tests.quick_server import QuickServer

Said = tuple[int, object]


@asynccontextmanager
async def served(app: Callable[..., Any]) -> AsyncIterator[str]:
    """Serves the app at a port of its own, and yields its address."""
    server = QuickServer(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(60):
            while not server.started:
                await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 60)


def replying(
    status: int, document: object, headers: dict[str, str] | None = None
) -> Callable[..., Awaitable[None]]:
    """A server that gives everybody the same answer."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            answer = httpx.Response(status, json=document, headers=headers)
            head = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
            await send({"type": "http.response.start", "status": status, "headers": head})
            await send({"type": "http.response.body", "body": answer.content})

    return app


def completion(
    content: Any = "A cat.",
    *,
    finish: str = "stop",
    refusal: str | None = None,
    model: str | None = "gpt-4o-2024-11-20",
    usage: object = None,
) -> dict[str, Any]:
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": content, "refusal": refusal},
    }
    whole = {"id": "x", "object": "chat.completion", "created": 1, "choices": [choice]}
    return (
        whole
        | ({"model": model} if model is not None else {})
        | ({"usage": usage} if usage else {})
    )


@dataclass
class Asked:
    """One request. `sent` are its parameters, from JSON, or from a form without the file."""

    path: str
    key: str
    sent: dict[str, Any]
    filename: str = ""
    mime: str = ""
    data: bytes = b""


@dataclass
class Scripted:
    """A server that answers with `say` and notes each request in `asked`."""

    say: Callable[[Asked], Said]
    asked: list[Asked] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/{path:path}")
        async def answer(path: str, request: Request) -> Response:
            return self._said(await _read(path, request))

        @app.get("/{path:path}")
        async def get(path: str, request: Request) -> Response:
            return self._said(Asked(f"GET /{path}", _key(request), {}))

        return app

    def _said(self, asked: Asked) -> Response:
        self.asked.append(asked)
        status, document = self.say(asked)
        if isinstance(document, str | bytes):
            return Response(document, status)
        return JSONResponse(document, status)


def _key(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


async def _read(path: str, request: Request) -> Asked:
    asked = Asked(f"/{path}", _key(request), {})
    if "json" in request.headers.get("content-type", ""):
        asked.sent = json.loads(await request.body())
        return asked
    async with request.form() as form:
        for name, value in form.multi_items():
            if isinstance(value, str):
                asked.sent[name] = value
            else:
                asked.filename, asked.mime = value.filename or "", value.content_type or ""
                asked.data = await value.read()
    return asked


def complaint(
    message: str, *, param: str | None = None, code: str | None = None
) -> dict[str, object]:
    """An error in OpenAI's form."""
    return {
        "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": param,
            "code": code,
        }
    }


class Client:
    """Clients of the vision and the speech model, both on one scripted server."""

    def __init__(self, url: str, server: Scripted, **settings: Any) -> None:
        openai = Openai(base_url=f"{url}/v1", api_key=Secret("sk-ours"), **settings)
        self.server = server
        self.vision, self.speech = VisionModel(openai), SpeechModel(openai)

    async def see(self, model: str = "some-model", key: str | None = None) -> ModelAnswer:
        return await self.vision.describe(
            b"x", "image/jpeg", prompt="Say it.", model=model, api_key=key
        )

    async def hear(
        self, model: str = "some-model", seconds: float = 8.0, **hints: str | None
    ) -> ModelAnswer:
        hinted = {"prompt": None, "language": "es"} | hints
        return await self.speech.transcribe(
            b"x", "audio.ogg", "audio/ogg", model=model, api_key=None, seconds=seconds, **hinted
        )

    async def ask(self, sense: str) -> ModelAnswer:
        return await (self.see() if sense == "vision" else self.hear())


@asynccontextmanager
async def asking(say: Callable[[Asked], Said], **settings: Any) -> AsyncIterator[Client]:
    scripted = Scripted(say)
    async with served(scripted.app()) as url:
        client = Client(url, scripted, **settings)
        try:
            yield client
        finally:
            await client.vision.server.close()
            await client.speech.server.close()


def fine(asked: Asked) -> Said:
    return 200, {"text": "Hola"} if "audio" in asked.path else completion()
