import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.models.answers import MAX_TEXT_CHARS, ModelAnswer
from connectors.models.errors import (
    BAD_KEY_SECONDS,
    LONGEST_RETRY_AFTER_SECONDS,
    NO_QUOTA_SECONDS,
)
from connectors.models.speech import SpeechModel
from connectors.models.vision import VisionModel
from schemas.outcomes import Unavailable
from schemas.settings import Openai, Secret
from streams.roles.stand_in import create_app
from tests.unit.model_servers import completion, replying, served

MEDIA = Path(__file__).parents[1] / "media"
PROMPT = "What is in it?"


@dataclass
class Models:
    """Clients of both models on one server, which can be made to fail."""

    vision: VisionModel
    speech: SpeechModel
    control: httpx.AsyncClient
    sound_seconds: float = 8.0

    async def describe(
        self, api_key: str | None = None, image: bytes = (MEDIA / "cat.jpg").read_bytes()
    ) -> ModelAnswer:
        return await self.vision.describe(
            image, "image/jpeg", prompt=PROMPT, model="gpt-4o", api_key=api_key
        )

    async def transcribe(
        self, api_key: str | None = None, filename: str = "audio.ogg"
    ) -> ModelAnswer:
        sound = (MEDIA / "voice-note-es.ogg").read_bytes()
        return await self.speech.transcribe(
            sound,
            filename,
            "audio/ogg",
            prompt=None,
            language="es",
            model="whisper-1",
            api_key=api_key,
            seconds=self.sound_seconds,
        )

    async def ask(self, kind: str, api_key: str | None = None) -> ModelAnswer:
        return await (self.describe(api_key) if kind == "vision" else self.transcribe(api_key))

    async def misbehave(self, **control: Any) -> None:
        (await self.control.post("/control", json=control)).raise_for_status()

    async def calls(self) -> dict[str, dict[str, int]]:
        counted: dict[str, dict[str, int]] = (await self.control.get("/control/calls")).json()
        return counted


@contextlib.asynccontextmanager
async def models_at(url: str, timeout_seconds: float = 5.0) -> AsyncIterator[Models]:
    settings = Openai(
        base_url=f"{url}/v1", api_key=Secret("sk-ours"), timeout_seconds=timeout_seconds
    )
    async with httpx.AsyncClient(base_url=url) as control:
        models = Models(VisionModel(settings), SpeechModel(settings), control)
        try:
            yield models
        finally:
            await models.vision.server.close()
            await models.speech.server.close()


@pytest.fixture
async def models() -> AsyncIterator[Models]:
    async with served(create_app(controls=True)) as url, models_at(url) as opened:
        yield opened


async def test_a_picture_is_described_with_what_it_cost(models: Models) -> None:
    answer = await models.describe()
    assert (answer.text[:10], answer.model, answer.refused, answer.input_tokens) == (
        "[stand-in]",
        "stand-in",
        False,
        85,
    )
    assert answer.output_tokens == len(answer.text.split())


async def test_a_voice_note_is_transcribed(models: Models) -> None:
    answer = await models.transcribe()
    assert (answer.text[:10], answer.model, answer.refused) == ("[stand-in]", "stand-in", False)


async def test_a_tenants_key_is_used_and_the_installations_where_there_is_none(
    models: Models,
) -> None:
    await models.describe("sk-theirs")
    await models.describe()
    await models.transcribe("sk-theirs")
    assert (await models.calls())["started"] == {
        "sk-theirs:vision": 1,
        "sk-ours:vision": 1,
        "sk-theirs:speech": 1,
    }


UNAVAILABLE: list[tuple[dict[str, Any], float, bool]] = [
    ({"fault": "rate_limited", "retry_after": 7}, 7.0, True),
    ({"fault": "rate_limited", "retry_after": 86_400}, LONGEST_RETRY_AFTER_SECONDS, True),
    ({"fault": "rate_limited", "retry_after": 0}, 0.1, True),
    ({"fault": "server_error"}, 2.0, False),
    ({"fault": "unauthorized"}, BAD_KEY_SECONDS, True),
    ({"fault": "bad_json"}, 5.0, False),
    ({"fault": "truncated"}, 5.0, False),
]


@pytest.mark.parametrize("kind", ["vision", "speech"])
@pytest.mark.parametrize(
    ("control", "retry_after", "hold"), UNAVAILABLE, ids=[str(case[0]) for case in UNAVAILABLE]
)
async def test_a_fault_that_may_pass_says_when_to_ask_again_and_whether_it_is_the_keys(
    kind: str, control: dict[str, Any], retry_after: float, hold: bool, models: Models
) -> None:
    await models.misbehave(**control)
    with pytest.raises(Unavailable) as caught:
        await models.ask(kind)
    assert (caught.value.what, caught.value.retry_after, caught.value.hold) == (
        "model",
        retry_after,
        hold,
    )
    assert sum((await models.calls())["started"].values()) == 1, (
        "the client does not ask again by itself"
    )


@pytest.mark.parametrize("kind", ["vision", "speech"])
@pytest.mark.parametrize("fault", ["hang", "slow_loris"])
async def test_a_server_that_does_not_finish_is_left_at_the_deadline(kind: str, fault: str) -> None:
    async with (
        served(create_app(controls=True)) as url,
        models_at(url, timeout_seconds=0.2) as models,
    ):
        models.sound_seconds = 0.2  # a longer sound is waited for longer
        await models.misbehave(fault=fault)
        with pytest.raises(Unavailable) as caught:
            async with asyncio.timeout(30):
                await models.ask(kind)
    assert (caught.value.retry_after, caught.value.hold) == (2.0, False)


@pytest.mark.parametrize("kind", ["vision", "speech"])
async def test_a_slow_answer_is_an_answer(kind: str, models: Models) -> None:
    await models.misbehave(fault="slow", seconds=0.2)
    answer = await models.ask(kind)
    assert (answer.refused, answer.latency_ms >= 200) == (False, True)


async def test_nobody_listening_is_the_worlds_trouble() -> None:
    async with served(create_app()) as url:
        gone = url
    async with models_at(gone) as models:
        with pytest.raises(Unavailable) as caught:
            await models.describe()
    assert (caught.value.retry_after, caught.value.hold) == (2.0, False)


@pytest.mark.parametrize("kind", ["vision", "speech"])
async def test_an_answer_of_400_with_a_policy_code_is_a_refusal(kind: str, models: Models) -> None:
    await models.misbehave(fault="refused")
    answer = await models.ask(kind)
    assert (answer.text, answer.refused) == ("", True)


async def test_a_picture_and_a_sound_that_the_server_cannot_read_are_not_taken(
    models: Models,
) -> None:
    assert (await models.describe(image=b"not a picture")).failure == "unsupported_by_model"
    assert (await models.transcribe(filename="audio.amr")).failure == "unsupported_by_model"


async def test_a_description_that_is_a_refusal_is_not_a_description(models: Models) -> None:
    await models.misbehave(fault="refusal_text")
    answer = await models.describe()
    assert (answer.text, answer.refused) == ("", True)


async def test_a_fault_for_one_key_leaves_the_others_alone(models: Models) -> None:
    await models.misbehave(fault="rate_limited", key="sk-theirs")
    with pytest.raises(Unavailable):
        await models.describe("sk-theirs")
    assert not (await models.describe("sk-other")).refused


async def test_a_fault_ends_after_its_times(models: Models) -> None:
    await models.misbehave(fault="server_error", times=2)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await models.describe()
    assert not (await models.describe()).refused


async def test_without_controls_nobody_can_make_the_server_misbehave() -> None:
    async with served(create_app()) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.post("/control", json={"fault": "hang"})).status_code == 404


def replying_bytes(content: bytes) -> Callable[..., Awaitable[None]]:
    """The same with bytes that need not be JSON."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            head = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(content)),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": content})

    return app


@pytest.mark.parametrize(
    ("document", "text", "refused"),
    [
        (completion("  A cat. \n"), "A cat.", False),
        (completion("A ca", finish="content_filter"), "", True),
        (completion(None, refusal="No."), "", True),
        (completion("Lo siento, no puedo describir esta imagen."), "", True),
        (
            completion("I can't believe it's not butter, says the tub."),
            "I can't believe it's not butter, says the tub.",
            False,
        ),
    ],
)
async def test_what_a_completion_says(document: object, text: str, refused: bool) -> None:
    async with served(replying(200, document)) as url, models_at(url) as models:
        answer = await models.describe()
    assert (answer.text, answer.refused, answer.model) == (text, refused, "gpt-4o-2024-11-20")


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        "text",
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"message": {"content": 3}}]},
    ],
)
async def test_a_completion_of_another_shape_is_the_worlds_trouble(document: object) -> None:
    async with served(replying(200, document)) as url, models_at(url) as models:
        with pytest.raises(Unavailable):
            await models.describe()


@pytest.mark.parametrize("document", [{}, [], None, "text", {"text": 3}])
async def test_a_transcript_of_another_shape_is_the_worlds_trouble(document: object) -> None:
    async with served(replying(200, document)) as url, models_at(url) as models:
        with pytest.raises(Unavailable):
            await models.transcribe()


async def test_silence_is_an_answer_whose_price_is_not_known_on_another_server() -> None:
    async with served(replying(200, {"text": "  "})) as url, models_at(url) as models:
        answer = await models.transcribe()
    assert (answer.text, answer.refused, answer.cost_microusd) == ("", False, None)


@pytest.mark.parametrize(
    ("status", "document", "headers", "retry_after", "hold"),
    [
        (
            429,
            {"error": {"message": "m", "code": "insufficient_quota"}},
            {"retry-after": "1"},
            NO_QUOTA_SECONDS,
            True,
        ),
        (
            429,
            {"error": {"message": "m"}},
            {"retry-after-ms": "250", "retry-after": "9"},
            0.25,
            True,
        ),
        (429, {"error": {"message": "m"}}, {"retry-after": "soon"}, 2.0, True),
        (403, {"error": {"message": "m"}}, {}, BAD_KEY_SECONDS, True),
        (404, {"error": {"message": "no such model"}}, {}, BAD_KEY_SECONDS, True),
        (408, {}, {}, 2.0, False),
        (503, {}, {"retry-after": "3"}, 3.0, False),
        (409, {}, {}, 2.0, False),
        (425, {}, {}, 2.0, False),
        (501, {}, {}, 2.0, False),
        (402, {"error": {"message": "m"}}, {}, BAD_KEY_SECONDS, True),
        (405, {}, {}, BAD_KEY_SECONDS, True),
        (407, {}, {}, BAD_KEY_SECONDS, True),
        (400, {"error": {"message": "m", "code": "invalid_api_key"}}, {}, BAD_KEY_SECONDS, True),
        (400, {"error": {"message": "m", "code": "model_not_found"}}, {}, BAD_KEY_SECONDS, True),
        (429, {}, {"retry-after": "nan"}, 2.0, True),
        (429, {}, {"retry-after": "-5"}, 0.1, True),
        (429, {}, {"retry-after": "inf"}, LONGEST_RETRY_AFTER_SECONDS, True),
        (429, {}, {"retry-after": "1e400"}, LONGEST_RETRY_AFTER_SECONDS, True),
        (429, {}, {"retry-after": "9" * 400}, LONGEST_RETRY_AFTER_SECONDS, True),
        (429, {}, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.1, True),
        (
            429,
            {},
            {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"},
            LONGEST_RETRY_AFTER_SECONDS,
            True,
        ),
        (503, {}, {"retry-after-ms": "nan", "retry-after": "7"}, 7.0, False),
        (503, {}, {"retry-after": "Wed, 99 Foo 2015"}, 2.0, False),
    ],
)
async def test_what_a_status_means(
    status: int, document: object, headers: dict[str, str], retry_after: float, hold: bool
) -> None:
    async with served(replying(status, document, headers)) as url, models_at(url) as models:
        with pytest.raises(Unavailable) as caught:
            await models.describe()
    assert (caught.value.retry_after, caught.value.hold) == (retry_after, hold)


async def test_a_date_to_come_back_at_is_understood() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    async with served(replying(429, {}, {"retry-after": soon})) as url, models_at(url) as models:
        with pytest.raises(Unavailable) as caught:
            await models.describe()
    assert 60 < caught.value.retry_after <= 100


UNSTORABLE = "a\0b\ud800c"


async def test_what_a_model_says_is_made_storable() -> None:
    async with (
        served(
            replying_bytes(json.dumps({**completion(UNSTORABLE), "model": UNSTORABLE}).encode())
        ) as url,
        models_at(url) as models,
    ):
        answer = await models.describe()
    assert (answer.text, answer.model) == ("a\ufffdb\ufffdc", "a\ufffdb\ufffdc")
    async with (
        served(
            replying_bytes(json.dumps({"text": UNSTORABLE, "model": UNSTORABLE}).encode())
        ) as url,
        models_at(url) as models,
    ):
        answer = await models.transcribe()
    assert (answer.text, answer.model) == ("a\ufffdb\ufffdc", "a\ufffdb\ufffdc")


async def test_what_a_model_says_without_end_is_cut() -> None:
    async with served(replying(200, completion("x" * 3_000_000))) as url, models_at(url) as models:
        assert len((await models.describe()).text) == MAX_TEXT_CHARS
    async with served(replying(200, {"text": "x" * 3_000_000})) as url, models_at(url) as models:
        assert len((await models.transcribe()).text) == MAX_TEXT_CHARS


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 85, "completion_tokens": 7, "total_tokens": 92}, (85, 7)),
        (None, (0, 0)),
        ({}, (0, 0)),
        ([], (0, 0)),
        ("cheap", (0, 0)),
        ({"prompt_tokens": None, "completion_tokens": 7}, (0, 7)),
        ({"prompt_tokens": "85", "completion_tokens": -1}, (0, 0)),
        ({"prompt_tokens": 10**30, "completion_tokens": 1.5}, (0, 0)),
    ],
)
async def test_a_paid_answer_is_not_lost_over_its_bill(
    usage: object, tokens: tuple[int, int]
) -> None:
    async with (
        served(replying(200, {**completion("A cat."), "usage": usage})) as url,
        models_at(url) as models,
    ):
        answer = await models.describe()
    assert (answer.text, answer.input_tokens, answer.output_tokens) == ("A cat.", *tokens)


@pytest.mark.parametrize(
    "usage", [None, {}, "cheap", {"input_tokens": "x"}, {"type": "duration", "seconds": 8}]
)
async def test_a_transcript_is_not_lost_over_its_bill(usage: object) -> None:
    async with (
        served(replying(200, {"text": "Hola", "usage": usage})) as url,
        models_at(url) as models,
    ):
        answer = await models.transcribe()
    assert (answer.text, answer.input_tokens, answer.output_tokens) == ("Hola", 0, 0)


@pytest.mark.parametrize("content", [["A cat."], [{"type": "text", "text": "A cat."}]])
async def test_content_in_parts_is_read(content: object) -> None:
    document = completion()
    document["choices"][0]["message"]["content"] = content
    async with served(replying(200, document)) as url, models_at(url) as models:
        assert (await models.describe()).text == "A cat."


@pytest.mark.parametrize("content", [{"text": "A cat."}, 7, True])
async def test_content_of_another_type_is_the_worlds_trouble(content: object) -> None:
    document = completion()
    document["choices"][0]["message"]["content"] = content
    async with served(replying(200, document)) as url, models_at(url) as models:
        with pytest.raises(Unavailable):
            await models.describe()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b"<html>",
        b'{"choices": [{"message": {"content": "A ca',
    ],
)
@pytest.mark.parametrize("kind", ["vision", "speech"])
async def test_an_answer_that_is_not_json_is_the_worlds_trouble(content: bytes, kind: str) -> None:
    async with served(replying_bytes(content)) as url, models_at(url) as models:
        with pytest.raises(Unavailable) as caught:
            await models.ask(kind)
    assert (caught.value.what, caught.value.hold) == ("model", False)
