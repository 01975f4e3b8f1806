"""The server of the local models, with models that need no engine."""

import asyncio
import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from connectors.engines.app import MAX_PICTURE_BODY, Engines, create_app
from connectors.engines.outcomes import JobAbandoned, RequestRefused, Transcript
from connectors.engines.queue import Full, JobQueue
from schemas.settings import Local
from streams.roles import local_models
from streams.roles.local_models import load_picture_model, load_speech_model
from streams.roles.stand_in import create_app as create_stand_in

ROOT = Path(__file__).parents[2]
MEDIA = ROOT / "streams/local/media"
CHAT, SOUND = "/v1/chat/completions", "/v1/audio/transcriptions"


class Eyes:
    """Answers once the test allows it."""

    name = "eyes"
    does = "looks"

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.seen: list[tuple[bytes, bool]] = []

    def look(self, picture: bytes, *, spanish: bool) -> str:
        self.seen.append((picture, spanish))
        assert self.may_answer.wait(60)
        if picture == b"bad":
            raise RequestRefused(400, "no picture")
        if picture == b"huge":
            raise MemoryError
        return "seen"


class Ears:
    name = "ears"
    does = "listens"

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def hear(
        self, sound: bytes, *, language: str | None, prompt: str | None, stop: Callable[[], bool]
    ) -> Transcript:
        if sound == b"endless":
            while not stop():
                time.sleep(0.001)
            self.stopped.set()
            raise JobAbandoned
        return Transcript(f"{sound.decode()} {language} {prompt}", 1.5)


@pytest.fixture
def senses() -> Engines:
    return Engines(Eyes(), Ears())


@pytest.fixture
async def server(senses: Engines) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(senses, places=2)) as client:
        yield client


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://models")


def asking(picture: bytes = b"x", prompt: str = "What is it?", **more: Any) -> dict[str, Any]:
    url = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    return {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": prompt},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]},
        ],
        **more,
    }


def form(sound: bytes = b"x", **fields: str) -> dict[str, Any]:
    return {
        "files": {"file": ("audio.mp3", sound, "audio/mpeg")},
        "data": {"model": "whisper-1"} | fields,
    }


async def test_it_is_ready_only_when_both_senses_are_loaded() -> None:
    senses = Engines()
    async with client_of(create_app(senses, places=2)) as client:
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
        refused = await client.post(CHAT, json=asking())
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert (await client.post(SOUND, **form())).status_code == 503
        senses.eyes, senses.ears = Eyes(), Ears()
        assert (await client.get("/readyz")).status_code == 200


async def test_it_names_its_models_and_what_they_do(server: httpx.AsyncClient) -> None:
    models = (await server.get("/v1/models")).json()["data"]
    assert [(m["id"], m["sense"], m["does"]) for m in models] == [
        ("eyes", "pictures", "looks"),
        ("ears", "voice notes", "listens"),
    ]


@pytest.mark.parametrize(
    ("prompt", "spanish"), [("Describe it, in Spanish (es-MX).", True), ("In English.", False)]
)
async def test_the_language_of_the_answer_is_the_one_the_prompt_names(
    server: httpx.AsyncClient, senses: Engines, prompt: str, spanish: bool
) -> None:
    answer = (await server.post(CHAT, json=asking(prompt=prompt, temperature=0))).json()
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "seen"}
    assert (answer["model"], answer["choices"][0]["finish_reason"]) == ("eyes", "stop")
    assert isinstance(senses.eyes, Eyes)
    assert senses.eyes.seen == [(b"x", spanish)]


async def test_the_hints_of_a_transcription_reach_the_ears(server: httpx.AsyncClient) -> None:
    answer = (await server.post(SOUND, **form(b"hola", language="es", prompt="cita"))).json()
    assert answer == {"text": "hola es cita", "model": "ears", "duration": 1.5}
    assert (await server.post(SOUND, **form(b"hola"))).json()["text"] == "hola None None"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{not json", 400),
        (b"[]", 400),
        (b"{}", 400),
        (json.dumps({"messages": [{"role": "user", "content": "hola"}]}).encode(), 400),
        (json.dumps(asking()).replace("data:image", "http://image").encode(), 400),
        (json.dumps(asking()).replace("base64,", "base64,%%%").encode(), 400),
        (json.dumps(asking(b"bad")).encode(), 400),
        (json.dumps(asking(b"huge")).encode(), 413),
        (b"[" * 100_000, 400),
        (b" " * (MAX_PICTURE_BODY + 1), 413),
    ],
)
async def test_a_request_about_pictures_that_is_not_such_a_request_is_refused(
    server: httpx.AsyncClient, content: bytes, status: int
) -> None:
    answer = await server.post(CHAT, content=content)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert (await server.post(CHAT, json=asking())).status_code == 200


@pytest.mark.parametrize(
    "request_",
    [
        {"content": b"x"},
        {"data": {"file": "a text", "model": "x"}},
        {
            "content": b"--b\r\nbroken",
            "headers": {"content-type": "multipart/form-data; boundary=b"},
        },
    ],
)
async def test_a_request_about_sounds_without_a_file_is_refused(
    server: httpx.AsyncClient, request_: dict[str, Any]
) -> None:
    answer = await server.post(SOUND, **request_)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


async def test_a_full_queue_answers_429_with_the_time_that_it_needs(
    server: httpx.AsyncClient, senses: Engines
) -> None:
    assert isinstance(senses.eyes, Eyes)
    senses.eyes.may_answer.clear()
    first = [asyncio.create_task(server.post(CHAT, json=asking())) for _ in range(2)]
    async with asyncio.timeout(60):
        while not senses.eyes.seen:
            await asyncio.sleep(0)
        refused = await server.post(CHAT, json=asking())
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "6")
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert (await server.post(SOUND, **form())).status_code == 200
    senses.eyes.may_answer.set()
    assert [answer.status_code for answer in await asyncio.gather(*first)] == [200, 200]
    assert (await server.post(CHAT, json=asking())).status_code == 200


async def test_every_answer_is_counted(server: httpx.AsyncClient) -> None:
    def count(status: str) -> float:
        labels = {"sense": "vision", "status": status}
        return REGISTRY.get_sample_value("sensorium_local_model_requests_total", labels) or 0

    before = count("200"), count("400")
    await server.post(CHAT, json=asking())
    await server.post(CHAT, json=asking(b"bad"))
    assert (count("200"), count("400")) == (before[0] + 1, before[1] + 1)
    assert "sensorium_local_model_requests_total" in (await server.get("/metrics")).text


async def test_a_job_ends_when_its_client_has_gone_and_the_next_one_has_its_turn() -> None:
    queue, ears, gone = JobQueue("speech", 2), Ears(), asyncio.Event()

    async def has_gone() -> bool:
        return gone.is_set()

    def endless(stop: Callable[[], bool]) -> Transcript:
        return ears.hear(b"endless", language=None, prompt=None, stop=stop)

    running = asyncio.create_task(queue.run(endless, has_gone))
    await asyncio.sleep(0)
    gone.set()
    async with asyncio.timeout(60):
        with pytest.raises(JobAbandoned):
            await running
        assert ears.stopped.is_set()
        with pytest.raises(JobAbandoned):
            await queue.run(lambda stop: "never", has_gone)
        gone.clear()
        assert await queue.run(lambda stop: "next", has_gone) == "next"


async def test_a_place_is_free_again_after_its_request() -> None:
    queue = JobQueue("speech", 1)
    async with queue.place():
        with pytest.raises(Full):
            async with queue.place():
                pass
    async with queue.place():
        pass


async def test_a_sense_without_its_weights_falls_back_to_the_stand_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local_models, "whisper_at", lambda named: None)
    monkeypatch.setitem(sys.modules, "connectors.engines.picture_engine", None)
    senses = Engines(load_picture_model(Local()), load_speech_model(Local()))
    async with (
        client_of(create_app(senses, places=2)) as fallback,
        client_of(create_stand_in()) as stand_in,
    ):
        for client in (fallback, stand_in):
            named = [model["id"] for model in (await client.get("/v1/models")).json()["data"]]
            assert named == ["stand-in", "stand-in"]
        picture = asking((MEDIA / "cat.jpg").read_bytes())
        sound = form((MEDIA / "voice-es.mp3").read_bytes())
        seen = [(await client.post(CHAT, json=picture)).json() for client in (fallback, stand_in)]
        heard = [(await client.post(SOUND, **sound)).json() for client in (fallback, stand_in)]
        assert seen[0]["choices"] == seen[1]["choices"]
        assert {key: heard[0][key] for key in heard[1]} == heard[1]
        assert (await fallback.post(CHAT, json=asking(b"rubbish"))).status_code == 400
        assert (await fallback.post(SOUND, **form(b"rubbish"))).status_code == 400


def test_no_engine_is_imported_by_the_product_outside_its_own_role() -> None:
    program = (
        "import sys, streams.local.lifecycle, streams.commands.up, streams.roles.local_models\n"
        "print({'rapidocr', 'numpy', 'onnxruntime', 'faster_whisper', 'cv2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_what_is_built_ahead_needs_nothing_but_python() -> None:
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import streams.local.ahead"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
