"""The stand-in speaks OpenAI's API and reports only what it can measure.

These are sizes, colours and lengths. It is not a model and says so. It serves trials
without a key, and tests, which can make it misbehave (`controls=True`).
"""

import asyncio
import base64
import colorsys
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import uvicorn
from fastapi import FastAPI, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.responses import JSONResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from storage.waiting import Deadline

NAME = "stand-in"
VISION_DOES = "tells size, shape and colours only: it is not a model"
SPEECH_DOES = "tells length and loudness only: it is not a model"
MAX_BYTES = 30_000_000
Fault = Literal[
    "rate_limited",
    "server_error",
    "hang",
    "slow",
    "slow_loris",
    "bad_json",
    "truncated",
    "refused",
    "refusal_text",
    "unauthorized",
]


class Control(msgspec.Struct, kw_only=True):
    """A fault for calls whose key begins with `key`, or for all calls if that is None.

    It occurs `times` times, or until it is deleted if that is None.
    """

    fault: Fault
    key: str | None = None
    times: int | None = None
    retry_after: float = 1.0
    seconds: float = 1.0


@dataclass
class Call:
    """One call.

    Times are Unix seconds. `paid` means that it got a real answer, whether or not the
    client received it.
    """

    key: str
    kind: str
    began: float
    ended: float | None = None
    paid: bool = False


@dataclass
class Calls:
    """The calls by key and kind: started, finished, and the most at once.

    `log` is set only for tests.
    """

    started: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    peak: Counter[str] = field(default_factory=Counter)
    controls: list[Control] = field(default_factory=list)
    log: list[Call] | None = None

    @asynccontextmanager
    async def one(self, key: str, kind: str) -> AsyncIterator[Call]:
        name, call = f"{key}:{kind}", Call(key, kind, time.time())
        self.started[name] += 1
        self.peak[name] = max(self.peak[name], self.started[name] - self.finished[name])
        if self.log is not None:
            self.log.append(call)
        try:
            yield call
        finally:
            self.finished[name] += 1
            call.ended = time.time()

    def fault_for(self, key: str) -> Control | None:
        for control in self.controls:
            if control.key is None or key.startswith(control.key):
                if control.times is not None:
                    control.times -= 1
                    if control.times <= 0:
                        self.controls.remove(control)
                return control
        return None


def create_app(*, controls: bool = False) -> FastAPI:
    """Builds the server's routes, and with `controls` also /control."""
    app = FastAPI(title="stand-in", docs_url=None, redoc_url=None)
    calls = Calls(log=[] if controls else None)

    _add_operations(app)
    _add_models(app, calls)
    if controls:
        _add_controls(app, calls)
    return app


def _add_operations(app: FastAPI) -> None:
    @app.get("/livez")
    @app.get("/readyz")
    async def alive() -> Response:
        return Response("alive\n", media_type="text/plain")

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {
            "object": "list",
            "data": [
                {"id": NAME, "object": "model", "created": 0, "owned_by": NAME, **sense}
                for sense in (
                    {"sense": "pictures", "does": VISION_DOES},
                    {"sense": "voice notes", "does": SPEECH_DOES},
                )
            ],
        }


def _add_models(app: FastAPI, calls: Calls) -> None:
    @app.post("/v1/chat/completions", response_model=None)
    async def chat(request: Request) -> Response:
        key = _key(request)
        async with calls.one(key, "vision") as call:
            if (answer := await _misbehave(calls.fault_for(key))) is not None:
                return answer
            data = _picture(await request.json())
            text = await asyncio.to_thread(look_at, data)
            call.paid = True
            return JSONResponse(_completion(text))

    @app.post("/v1/audio/transcriptions", response_model=None)
    async def transcriptions(
        request: Request, file: Annotated[UploadFile, File()], model: Annotated[str, Form()]
    ) -> Response:
        key = _key(request)
        async with calls.one(key, "speech") as call:
            if (answer := await _misbehave(calls.fault_for(key))) is not None:
                return answer
            data = await file.read()
            if not (file.filename or "").endswith(
                (".ogg", ".mp3", ".m4a", ".mp4", ".wav", ".webm", ".flac", ".mpeg", ".mpga")
            ):
                raise HTTPException(400, "Unrecognized file format")
            text = await asyncio.to_thread(listen_to, data)
            call.paid = True
            return JSONResponse({"text": text, "model": NAME})


def _add_controls(app: FastAPI, calls: Calls) -> None:
    @app.post("/control")
    async def set_control(request: Request) -> dict[str, str]:
        calls.controls.append(msgspec.json.decode(await request.body(), type=Control))
        return {"state": "armed"}

    @app.delete("/control")
    async def delete_controls() -> dict[str, str]:
        calls.controls.clear()
        return {"state": "calm"}

    @app.get("/control/calls")
    async def counts() -> dict[str, Any]:
        return {"started": calls.started, "finished": calls.finished, "peak": calls.peak}

    @app.get("/control/log", response_model=None)
    async def log() -> Response:
        return Response(msgspec.json.encode(calls.log), media_type="application/json")


async def _misbehave(control: Control | None) -> Response | None:
    if control is None:
        return None
    match control.fault:
        case "rate_limited":
            return JSONResponse(
                {"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
                429,
                {"retry-after": f"{control.retry_after:g}"},
            )
        case "server_error":
            return JSONResponse({"error": {"message": "broken"}}, 500)
        case "unauthorized":
            return JSONResponse(
                {"error": {"message": "no such key", "code": "invalid_api_key"}}, 401
            )
        case "refused":
            return JSONResponse(
                {"error": {"message": "against policy", "code": "content_policy_violation"}}, 400
            )
        case "hang":
            await asyncio.sleep(control.seconds if control.seconds > 1 else 3600)
            return None
        case "slow":
            await asyncio.sleep(control.seconds)
            return None
        case "slow_loris":
            return StreamingResponse(_drip(control.seconds), media_type="application/json")
        case "bad_json":
            return Response("{not json", media_type="application/json")
        case "truncated":
            return Response('{"id":"x","choices":[{"index":0,"mess', media_type="application/json")
        case "refusal_text":
            return JSONResponse(_completion("I'm sorry, I can't assist with that."))


async def _drip(seconds: float) -> AsyncIterator[bytes]:
    deadline = Deadline(max(seconds, 60))
    while not deadline.has_passed:
        yield b" "
        await asyncio.sleep(0.2)


def _key(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _picture(body: Any) -> bytes:
    try:
        parts = [
            part
            for message in body["messages"]
            if isinstance(message["content"], list)
            for part in message["content"]
        ]
        url = next(part["image_url"]["url"] for part in parts if part.get("type") == "image_url")
        head, _, encoded = url.partition(",")
        if not head.startswith("data:image/"):
            raise ValueError(head[:20])
        return base64.b64decode(encoded, validate=True)[:MAX_BYTES]
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        raise HTTPException(400, "this server looks at data: images only") from error


def _completion(text: str) -> dict[str, Any]:
    words = len(text.split())
    return {
        "id": NAME, "object": "chat.completion", "created": int(time.time()), "model": NAME,
        "system_fingerprint": NAME,
        "choices": [
            {
                "index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {"prompt_tokens": 85, "completion_tokens": words, "total_tokens": 85 + words},
    }  # fmt: skip


def look_at(data: bytes) -> str:
    """Describes size, shape and main colours of a picture. This server can see nothing else."""
    from connectors.media.pictures import open_picture, warm_up

    warm_up()
    try:
        with open_picture(data) as image:
            width, height = image.size
            small = image.convert("RGB").resize((16, 16))
    except Exception as error:
        raise HTTPException(400, "the image cannot be read") from error
    colours = Counter(_colour(*small.getpixel((x, y))) for x in range(16) for y in range(16))  # type: ignore[misc]
    shape = "wide" if width > height else "tall" if height > width else "square"
    named = " and ".join(name for name, _ in colours.most_common(2))
    return f"[stand-in] A {shape} picture of {width} by {height} pixels, mostly {named}."


def _colour(red: int, green: int, blue: int) -> str:
    hue, light, saturation = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
    if light < 0.15:
        return "black"
    if light > 0.88:
        return "white"
    if saturation < 0.15:
        return "grey"
    names = (
        "red",
        "orange",
        "yellow",
        "green",
        "green",
        "cyan",
        "blue",
        "blue",
        "violet",
        "magenta",
        "pink",
        "red",
    )
    return names[int(hue * 12) % 12]


def listen_to(data: bytes) -> str:
    """Describes length and loudness of a sound, which is all that this server can hear."""
    import av

    from connectors.media.sounds import demuxer_of, open_sound

    demuxer = demuxer_of(data)
    if demuxer is None:
        raise HTTPException(400, "the sound cannot be read")
    loudest, samples = 0, 0
    try:
        with open_sound(data, demuxer) as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=8_000)
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    wave = array("h", bytes(piece.planes[0])[: piece.samples * 2])
                    samples += len(wave)
                    loudest = max(loudest, max(wave, default=0), -min(wave, default=0))
    except Exception as error:
        raise HTTPException(400, "the sound cannot be read") from error
    loudness = "loud" if loudest > 10_000 else "soft" if loudest > 300 else "silent"
    return f"[stand-in] A sound of {samples / 8_000:.1f} seconds, {loudness}."


async def serve(host: str, port: int, *, controls: bool = False) -> None:
    """Runs until SIGTERM."""
    await uvicorn.Server(
        uvicorn.Config(
            create_app(controls=controls),
            host=host,
            port=port,
            log_config=None,  # our own handler redacts customers' data
            log_level="warning",
            access_log=False,
        )
    ).serve()
