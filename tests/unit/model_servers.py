"""Servers of models for tests: on a port of 127.0.0.1, answering as scripted, and noting what they were asked."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

Said = tuple[int, object]


@contextlib.asynccontextmanager
async def served(app: Callable[..., Any]) -> AsyncIterator[str]:
    """The app on a port of its own; its address."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )
    with_no_signals: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    server.capture_signals = with_no_signals  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 10)


def replying(
    status: int, document: object, headers: dict[str, str] | None = None
) -> Callable[..., Awaitable[None]]:
    """A server that says the same to everyone."""

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
    """One request. `sent` holds its parameters: of JSON, or of a form without the file."""

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
