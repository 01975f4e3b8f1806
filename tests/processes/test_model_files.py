"""From a stored file through the decoder to a model, with servers that answer as known ones do."""

import base64
import io
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from cryptography.fernet import Fernet
from PIL import Image
from prometheus_client import REGISTRY

from connectors.models.capabilities import traits_of
from connectors.models.recipes import speech_recipes, vision_recipes
from connectors.models.servers import servers_of
from schemas.keys import TenantId
from schemas.models import Answer
from schemas.outcomes import Unavailable
from schemas.settings import Openai, Secret, SecretSettings, Settings
from schemas.tenants import TenantSettings
from streams.apps.describe import StoredImageDescriber
from streams.apps.models import MOST_TIME_OUTS, ModelClients, TimeOuts
from streams.apps.transcribe import StoredAudioTranscriber
from streams.stages.model_jobs import Unfit
from tests.unit.model_servers import Asked, Said, Scripted, complaint, completion, served
from tests.unit.records import audio_job, vision_job

MEDIA = Path(__file__).parents[1] / "media"
STICKER, NOTE = (MEDIA / "rocket.webp").read_bytes(), (MEDIA / "voice-note-es.ogg").read_bytes()
NOTHING = TenantSettings()


class Senses:
    """The models of one installation, whose stored file is `data`."""

    def __init__(self, server: Scripted, data: bytes, settings: Settings) -> None:
        self.server, self.data = server, data
        how = servers_of(settings.openai)
        self.recipes = vision_recipes(NOTHING, how)
        self.speech_recipes = speech_recipes(TenantSettings(language="es"), how)
        self.worlds = (
            ModelClients(settings, "describe", how.vision),
            ModelClients(settings, "transcribe", how.speech),
        )
        for world in self.worlds:
            world._store = self  # type: ignore[assignment]
        self.eyes = StoredImageDescriber(self.worlds[0], settings)
        self.ears = StoredAudioTranscriber(self.worlds[1], settings)

    async def get(self, key: str, *, max_bytes: int) -> bytes:
        return self.data

    async def see(self) -> Answer | Unfit:
        return await self.eyes.describe(vision_job(), self.recipes)

    async def hear(self) -> Answer | Unfit:
        return await self.ears.transcribe(audio_job(), self.speech_recipes)


@asynccontextmanager
async def installed(
    say: Callable[[Asked], Said], data: bytes, **openai: Any
) -> AsyncIterator[Senses]:
    scripted = Scripted(say)
    async with served(scripted.app()) as url:
        settings = Settings(
            openai=Openai(base_url=f"{url}/v1", api_key=Secret("sk"), **openai),
            secrets=SecretSettings(key=Secret(Fernet.generate_key().decode())),
        )
        made = Senses(scripted, data, settings)
        try:
            yield made
        finally:
            for world in made.worlds:
                await world.decoder.__aexit__(None, None, None)
            await made.eyes._model.server.close()
            await made.ears._model.server.close()


def picture_mime(asked: Asked) -> str:
    url: str = asked.sent["messages"][-1]["content"][-1]["image_url"]["url"]
    return url.partition(";")[0].removeprefix("data:")


def text_of(given: Answer | Unfit) -> str:
    assert isinstance(given, Answer) and given.failure is None, given
    return given.text


def jpeg_and_png_only(status: int, document: object) -> Callable[[Asked], Said]:
    def say(asked: Asked) -> Said:
        fits = picture_mime(asked) in ("image/jpeg", "image/png")
        return (200, completion("Un cohete.")) if fits else (status, document)

    return say


LLAMA = jpeg_and_png_only(400, complaint("Failed to load image or audio file"))
LM_STUDIO = jpeg_and_png_only(400, {"error": "'url' field must be a base64 encoded image."})
OLLAMA = jpeg_and_png_only(400, {"error": {"message": "invalid image input", "code": None}})


@pytest.mark.parametrize("server", [LLAMA, LM_STUDIO, OLLAMA])
async def test_a_sticker_reaches_a_local_server_as_a_picture_that_it_reads(
    server: Callable[[Asked], Said],
) -> None:
    async with installed(server, STICKER) as made:
        assert text_of(await made.see()) == "Un cohete."
        assert len(made.server.asked) == 1


@pytest.mark.parametrize("server", [LLAMA, LM_STUDIO, OLLAMA])
async def test_a_picture_that_a_server_does_not_take_is_sent_once_more_as_a_plain_jpeg(
    server: Callable[[Asked], Said],
) -> None:
    async with installed(server, STICKER, image_formats="webp") as made:
        assert text_of(await made.see()) == "Un cohete."
        assert [picture_mime(one) for one in made.server.asked] == ["image/webp", "image/jpeg"]


async def test_a_picture_that_a_server_takes_in_no_form_is_unsupported_and_not_refused() -> None:
    async with installed(lambda _: (400, {"error": "no"}), STICKER) as made:
        given = await made.see()
        assert isinstance(given, Answer) and given.failure == "unsupported_by_model"
        assert len(made.server.asked) == 2


async def test_a_refused_picture_is_not_sent_again() -> None:
    error = complaint("no", code="content_policy_violation")
    async with installed(lambda _: (400, error), STICKER) as made:
        given = await made.see()
        assert isinstance(given, Answer) and given.failure == "refused_by_model"
        assert len(made.server.asked) == 1


async def test_a_picture_is_not_larger_than_the_setting_says() -> None:
    out = io.BytesIO()
    Image.new("RGB", (3000, 1500), "red").save(out, "JPEG")
    async with installed(
        lambda _: (200, completion("Rojo.")), out.getvalue(), image_side=768
    ) as made:
        await made.see()
        url = made.server.asked[0].sent["messages"][-1]["content"][-1]["image_url"]["url"]
        with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as sent:
            assert sent.size == (768, 384)


async def test_the_model_that_is_there_answers_under_its_own_recipe() -> None:
    def say(asked: Asked) -> Said:
        if asked.sent["model"] == "gpt-4o":
            return 404, complaint("The model `gpt-4o` does not exist", code="model_not_found")
        return 200, completion("Un cohete.", model="gpt-6-luna")

    async with installed(say, STICKER) as made:
        given = await made.see()
        assert isinstance(given, Answer)
        assert (given.recipe, given.model) == (made.recipes[1].id, "gpt-6-luna")
        await made.see()
        assert [one.sent["model"] for one in made.server.asked] == [
            "gpt-4o",
            "gpt-6-luna",
            "gpt-6-luna",
        ]


def takes(*extensions: str) -> Callable[[Asked], Said]:
    """The formats that a server accepts.

    whisper.cpp does not accept Opus and breaks lines. Lemonade accepts only wav.
    """

    def say(asked: Asked) -> Said:
        if asked.filename.rpartition(".")[2] in extensions:
            return 200, {"text": " Hola,\n buenas tardes.\n"}
        return 400, {"error": "failed to read audio data"}

    return say


@pytest.mark.parametrize(
    ("extensions", "audio_format", "sent"),
    [
        (("mp3", "wav"), "auto", ["audio.mp3"]),
        (("wav",), "auto", ["audio.mp3", "audio.wav"]),
        (("wav",), "wav", ["audio.wav"]),
        (("mp3",), "as-is", ["audio.ogg", "audio.mp3"]),
        (("wav",), "as-is", ["audio.ogg", "audio.mp3", "audio.wav"]),
    ],
)
async def test_a_voice_note_is_sent_in_safer_formats_until_the_server_reads_it(
    extensions: tuple[str, ...], audio_format: Any, sent: list[str]
) -> None:
    async with installed(takes(*extensions), NOTE, audio_format=audio_format) as made:
        assert text_of(await made.hear()) == "Hola, buenas tardes."
        assert [one.filename for one in made.server.asked] == sent


async def test_a_sound_that_no_form_makes_readable_is_unsupported() -> None:
    async with installed(takes(), NOTE, audio_format="as-is") as made:
        given = await made.hear()
        assert isinstance(given, Answer) and given.failure == "unsupported_by_model"


def tone(seconds: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(bytes(range(256)) * (seconds * 16_000 // 256))
    return out.getvalue()


def length(data: bytes) -> float:
    with av.open(io.BytesIO(data)) as container:
        return float(container.duration or 0) / 1e6


async def test_a_sound_over_the_limit_of_the_model_is_cut_and_its_texts_are_joined() -> None:
    def say(asked: Asked) -> Said:
        seconds = length(asked.data)
        if seconds > 40:
            return 400, complaint(
                f"audio duration {seconds} seconds is longer than 40 seconds which is the maximum",
                code="invalid_value",
            )
        return 200, {
            "text": f"({len(made.server.asked)})",
            "usage": {"type": "duration", "seconds": 30},
        }

    async with installed(say, tone(70)) as made:
        assert text_of(await made.hear()) == "(2) (3) (4)"
        assert all(length(one.data) <= 40 for one in made.server.asked[1:])
        await made.hear()
        assert len(made.server.asked) == 7, "the limit is remembered"


async def test_parts_that_were_heard_are_not_paid_for_again_when_a_later_one_fails() -> None:
    def say(asked: Asked) -> Said:
        if len(made.server.asked) == 2:
            return 503, {"error": "away"}
        return 200, {"text": f"({len(made.server.asked)})"}

    async with installed(say, tone(70), transcription_model="gpt-4o-transcribe") as made:
        made.ears._model.server._keep(
            "gpt-4o-transcribe", replace(traits_of("gpt-4o-transcribe"), sound_seconds=45)
        )
        with pytest.raises(Unavailable):
            await made.hear()
        assert text_of(await made.hear()) == "(1) (3) (4)"
        heard = text_of(await made.hear())
        assert heard == "(5) (6) (7)", "nothing is kept once the whole was heard"


async def test_a_file_whose_calls_time_out_again_and_again_is_given_up() -> None:
    def say(asked: Asked) -> Said:
        return 504, {"error": "timeout"}

    async with installed(say, NOTE) as made:
        for _ in range(MOST_TIME_OUTS - 1):
            with pytest.raises(Unavailable):
                await made.hear()
        assert await made.hear() == Unfit("model_timeout")


async def test_trouble_that_holds_is_counted_by_kind_and_tenant_until_an_answer_comes() -> None:
    answers: list[Said] = [(401, complaint("no", code="invalid_api_key"))]

    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    counted = ("sensorium_ai_trouble_total", {"stage": "describe", "trouble": "model_rejected_key"})
    before = value(counted[0], **counted[1])
    async with installed(lambda _: answers[0], STICKER) as made:
        with pytest.raises(Unavailable) as caught:
            await made.see()
        assert (caught.value.hold, caught.value.detail.split(":")[0]) == (
            True,
            "model_rejected_key",
        )
        assert value(counted[0], **counted[1]) == before + 1
        assert value("sensorium_ai_held_tenants", stage="describe") == 1
        answers[0] = (200, completion("Un cohete."))
        await made.see()
        assert value("sensorium_ai_held_tenants", stage="describe") == 0


def test_only_time_outs_in_a_row_count() -> None:
    item, counted = (TenantId("acme"), "ab", "r1"), TimeOuts()
    said = [
        counted.is_exhausted(item, timed_out=late) for late in (True, True, False, True, True, True)
    ]
    assert said == [False, False, False, False, False, True]
