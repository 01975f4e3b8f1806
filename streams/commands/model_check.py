"""Asks each configured model about a tiny picture or a second of sound.

It says which setting is wrong.
"""

import io
import math
from array import array
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import openai

from connectors.models.answers import ModelAnswer
from connectors.models.capabilities import WARNING_DAYS, traits_of
from connectors.models.client import CONNECT_SECONDS
from connectors.models.errors import ModelUnavailable, SoundTooLong
from connectors.models.model_choice import ModelChoice
from connectors.models.recipes import speech_recipes, vision_recipes
from connectors.models.servers import ModelServers, Server, servers_of
from connectors.models.speech import SpeechModel
from connectors.models.vision import VisionModel
from schemas.models import Recipe
from schemas.settings import Settings
from schemas.tenants import TenantSettings

Sense = Literal["vision", "speech"]
RATE = 16_000


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check.

    With `warns` the model works, but a person has to act before it is shut down.
    """

    ok: bool
    says: str
    warns: bool = False


async def check_model(
    settings: Settings, sense: Sense, tenant: TenantSettings, today: date
) -> Checked:
    """Makes one short paid call with the tenant's key, models and formats."""
    servers = servers_of(settings.openai)
    server = servers.vision if sense == "vision" else servers.speech
    key = server.key_for(tenant.openai_key)
    if key == "none" and server.is_openai:
        return Checked(
            False,
            f"{server.names['key']} is not set: images and voice notes of tenants "
            "without a key of their own will fail",
        )
    recipes = (vision_recipes if sense == "vision" else speech_recipes)(tenant, servers)
    probe = _Vision(settings, servers) if sense == "vision" else _Speech(settings, servers)
    try:
        answer = await ModelChoice().first_served(
            recipes, key, lambda recipe: probe.ask(recipe, tenant.openai_key)
        )
        return await _assess(answer, server, recipes, probe, key, today)
    except ModelUnavailable as trouble:
        return _advice(trouble, server, tenant)
    finally:
        await probe.close()


async def _assess(
    answer: ModelAnswer,
    server: Server,
    recipes: tuple[Recipe, ...],
    probe: "_Vision | _Speech",
    key: str,
    today: date,
) -> Checked:
    if answer.failure == "unsupported_by_model":
        works = await probe.takes_a_plain_form(answer.requested_model)
        setting = server.names["format"] if works else server.names["model"]
        return Checked(
            False, f"{server.base_url} does not take {probe.form} ({answer.detail}): {setting}"
        )
    text = f"{server.base_url} answers as {answer.model}"
    ends = await _end_of(answer, server, key)
    if ends is None or (ends - today).days > WARNING_DAYS:
        return Checked(True, text)
    later = [recipe.model for recipe in recipes]
    following = later[later.index(answer.requested_model) + 1 :]
    successor = traits_of(answer.requested_model).successor
    named = f" ({successor})" if successor else ""
    then = (
        f"{following[0]} is asked afterwards"
        if following
        else f"add a successor{named} after it in {server.names['model']}"
    )
    whose = "" if server.is_openai else " at OpenAI, if this server forwards calls to it"
    days = (ends - today).days
    return Checked(
        True, f"{text}; {answer.requested_model} ends on {ends} ({days} days){whose}: {then}", True
    )


async def _end_of(answer: ModelAnswer, server: Server, key: str) -> date | None:
    """Returns the date on which the model that answered is shut down.

    It comes from the API, else from the table of capabilities.
    """
    from_table = traits_of(answer.requested_model).ends
    if traits_of(answer.model).family != traits_of(answer.requested_model).family:
        from_table = None
    async with openai.AsyncOpenAI(
        api_key=key, base_url=server.base_url, max_retries=0, timeout=CONNECT_SECONDS
    ) as client:
        try:
            date_text: Any = getattr(
                await client.models.retrieve(answer.requested_model), "shutdown_date", None
            )
            return date.fromisoformat(date_text) if isinstance(date_text, str) else from_table
        except (openai.APIError, ValueError, TypeError, AttributeError):
            return from_table


def _advice(trouble: ModelUnavailable, server: Server, tenant: TenantSettings) -> Checked:
    url, names = server.base_url, server.names
    own = tenant.openai_key is not None and server.takes_tenant_keys
    key = "the tenant's openai-key" if own else names["key"]
    more = trouble.detail.partition(": ")[2]
    advice = {
        "model_rejected_key": f"{url} rejects the key: check {key}",
        "model_not_served": f"{url} serves none of {', '.join(server.models)}: check"
        f" {names['model']}",
        "model_unreachable": f"{url} does not answer: check {names['url']}",
        "model_timeout": f"{url} takes more than {server.timeout_seconds:g} s: raise"
        f" {names['timeout']}",
        "model_cannot_see": f"the model at {url} accepts no images: check {names['model']}",
        "model_account": f"the account at {url} may not do this ({more}): check its billing"
        f" and permissions, or {key}",
        "model_out_of_quota": f"the account at {url} has used up its quota: check its billing,"
        f" or {key}",
        "model_rate_limited": f"{url} answers 429: it is busy, or the limits of {key} are low",
        "model_takes_nothing": f"{url} accepts no file: check {names['format']}",
    }
    if trouble.trouble == "model_rejects_request" and more.startswith(("404", "405")):
        return Checked(
            False,
            f"{url} does not have this route ({more}): check {names['url']}, which often ends"
            " in /v1",
        )
    text = advice.get(trouble.trouble)
    if text is None:
        text = (
            f"{url}: {trouble.detail}; {names['extra']}, the tenant's language and"
            f" {names['model']} decide what is asked"
        )
    return Checked(False, text)


class _Vision:
    """Sends a picture in the least common of the formats that the settings allow."""

    def __init__(self, settings: Settings, servers: ModelServers) -> None:
        self._model = VisionModel(settings.openai)
        self.form = next(
            form
            for form in ("image/webp", "image/gif", "image/png", "image/jpeg")
            if form in servers.image_formats
        )

    async def ask(self, recipe: Recipe, key: str | None) -> ModelAnswer:
        return await self._describe(recipe.model, self.form, recipe.prompt or "", key)

    async def takes_a_plain_form(self, model: str) -> bool:
        answer = await self._describe(model, "image/jpeg", "What colour is it?", None)
        return self.form != "image/jpeg" and answer.failure is None

    async def _describe(self, model: str, form: str, prompt: str, key: str | None) -> ModelAnswer:
        return await self._model.describe(
            _picture(form), form, prompt=prompt, model=model, api_key=key
        )

    async def close(self) -> None:
        await self._model.server.close()


class _Speech:
    """Sends a second of a tone in the format in which voice notes are sent."""

    def __init__(self, settings: Settings, servers: ModelServers) -> None:
        self._model = SpeechModel(settings.openai)
        self.form = "ogg" if servers.audio_format == "as-is" else servers.audio_format

    async def ask(self, recipe: Recipe, key: str | None) -> ModelAnswer:
        return await self._transcribe(recipe.model, self.form, recipe.language, key)

    async def takes_a_plain_form(self, model: str) -> bool:
        forms = [form for form in ("mp3", "wav") if form != self.form]
        answers = [await self._transcribe(model, form, None, None) for form in forms]
        return any(answer.failure is None for answer in answers)

    async def _transcribe(
        self, model: str, form: str, language: str | None, key: str | None
    ) -> ModelAnswer:
        mime = {"ogg": "audio/ogg", "mp3": "audio/mpeg", "wav": "audio/wav"}[form]
        try:
            return await self._model.transcribe(
                _tone(form),
                f"audio.{form}",
                mime,
                prompt=None,
                language=language,
                model=model,
                api_key=key,
                seconds=1.0,
            )
        except SoundTooLong as error:
            raise ModelUnavailable("model_rejects_request", 1.0, more=str(error)) from error

    async def close(self) -> None:
        await self._model.server.close()


def _picture(form: str) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, form.removeprefix("image/").upper())
    return out.getvalue()


def _tone(form: str) -> bytes:
    import av

    codec, rate = {"ogg": ("libopus", 48_000), "mp3": ("mp3", RATE), "wav": ("pcm_s16le", RATE)}[
        form
    ]
    wave = array("h", (round(9_000 * math.sin(at / 6)) for at in range(RATE)))
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(wave))
    frame.planes[0].update(wave.tobytes())
    frame.sample_rate = RATE
    out = io.BytesIO()
    with av.open(out, "w", format=form) as target:
        stream: Any = target.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(
            format=stream.format,
            layout="mono",
            rate=rate,
            frame_size=stream.codec_context.frame_size or 1_024,
        )
        for piece in (frame, None):
            for resampled in resampler.resample(piece):
                target.mux(stream.encode(resampled))
        target.mux(stream.encode(None))
    return out.getvalue()
