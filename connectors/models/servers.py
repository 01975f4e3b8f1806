"""The model server for vision and the one for speech, with this installation's settings."""

import json
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from connectors.errors import ConnectorsError
from schemas.settings import Openai

AudioFormat = Literal["as-is", "mp3", "wav"]
OPENAI_HOST = "api.openai.com"
_IMAGE_FORMATS = {
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
}
_EVERY_SERVER_TAKES = frozenset({"image/jpeg", "image/png"})
_PREFIX = "SENSORIUM_OPENAI__"


class ModelSettingsError(ConnectorsError, ValueError):
    """A setting of a model server cannot be used. The message names it."""


@dataclass(frozen=True, slots=True)
class Server:
    """An OpenAI-compatible server, as used for vision or for speech.

    `jobs` is the number of simultaneous calls, 0 for no limit. `names` are the settings
    to mention in advice. `extra` is added to each request.
    """

    base_url: str
    api_key: str
    models: tuple[str, ...]
    takes_tenant_keys: bool
    timeout_seconds: float
    jobs: int
    extra: dict[str, Any]
    names: dict[str, str]

    @property
    def is_openai(self) -> bool:
        return urlsplit(self.base_url).hostname == OPENAI_HOST

    @property
    def identity(self) -> str:
        """The address, reduced to what distinguishes servers."""
        parts = urlsplit(self.base_url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"

    def key_for(self, tenant_key: str | None) -> str:
        """The tenant's key if this is the server it was given for, else the installation's."""
        return (tenant_key if self.takes_tenant_keys else None) or self.api_key or "none"


@dataclass(frozen=True, slots=True)
class ModelServers:
    """Both servers, and the form in which files are sent to them."""

    vision: Server
    speech: Server
    image_formats: frozenset[str]
    image_side: int
    audio_format: AudioFormat


def servers_of(settings: Openai) -> ModelServers:
    """The servers as configured. Raises ModelSettingsError."""
    vision, speech = _vision(settings), _speech(settings)
    return ModelServers(
        vision,
        speech,
        _image_formats(settings.image_formats, vision),
        _positive(settings.image_side, "IMAGE_SIDE"),
        _audio_format(settings, speech),
    )


def names_of(models: str) -> tuple[str, ...]:
    """The models in a setting, in order and without duplicates."""
    return tuple(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))


def _vision(settings: Openai) -> Server:
    return Server(
        base_url=_address(settings.base_url, "BASE_URL"),
        api_key=str(settings.api_key),
        models=_models(settings.vision_model, "VISION_MODEL"),
        takes_tenant_keys=True,
        timeout_seconds=_positive(settings.timeout_seconds, "TIMEOUT_SECONDS"),
        jobs=_not_negative(settings.vision_jobs, "VISION_JOBS"),
        extra=_extra(settings.vision_extra_body, "VISION_EXTRA_BODY"),
        names=_names("BASE_URL", "API_KEY", "VISION_MODEL", "TIMEOUT_SECONDS", "IMAGE_FORMATS")
        | {"extra": f"{_PREFIX}VISION_EXTRA_BODY"},
    )


def _speech(settings: Openai) -> Server:
    own = bool(settings.transcription_base_url)
    own_key = bool(settings.transcription_api_key)
    own_time = bool(settings.transcription_timeout_seconds)
    return Server(
        base_url=_address(settings.transcription_base_url, "TRANSCRIPTION_BASE_URL")
        if own
        else _address(settings.base_url, "BASE_URL"),
        api_key=str(settings.transcription_api_key or settings.api_key),
        models=_models(settings.transcription_model, "TRANSCRIPTION_MODEL"),
        takes_tenant_keys=not own,
        timeout_seconds=_not_negative(
            settings.transcription_timeout_seconds, "TRANSCRIPTION_TIMEOUT_SECONDS"
        )
        or settings.timeout_seconds,
        jobs=_not_negative(settings.transcription_jobs, "TRANSCRIPTION_JOBS"),
        extra=_extra(settings.transcription_extra_body, "TRANSCRIPTION_EXTRA_BODY"),
        names=_names(
            "TRANSCRIPTION_BASE_URL" if own else "BASE_URL",
            "TRANSCRIPTION_API_KEY" if own_key else "API_KEY",
            "TRANSCRIPTION_MODEL",
            "TRANSCRIPTION_TIMEOUT_SECONDS" if own_time else "TIMEOUT_SECONDS",
            "AUDIO_FORMAT",
        )
        | {"extra": f"{_PREFIX}TRANSCRIPTION_EXTRA_BODY"},
    )


def _names(url: str, key: str, model: str, timeout: str, formats: str) -> dict[str, str]:
    named = {"url": url, "key": key, "model": model, "timeout": timeout, "format": formats}
    return {role: f"{_PREFIX}{name}" for role, name in named.items()}


def _address(url: str, name: str) -> str:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ModelSettingsError(f"{_PREFIX}{name} must be an http or https address")
    return url


def _models(text: str, name: str) -> tuple[str, ...]:
    found = names_of(text)
    if not found:
        raise ModelSettingsError(f"{_PREFIX}{name} must name at least one model")
    return found


def _positive(value: Any, name: str) -> Any:
    if not value > 0:
        raise ModelSettingsError(f"{_PREFIX}{name} must be above 0")
    return value


def _not_negative(value: Any, name: str) -> Any:
    if not value >= 0:
        raise ModelSettingsError(f"{_PREFIX}{name} must not be negative")
    return value


def _extra(text: str, name: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ModelSettingsError(f"{_PREFIX}{name} must be a JSON object")
    return found


def _image_formats(text: str, server: Server) -> frozenset[str]:
    if text.strip() == "auto":
        return frozenset(_IMAGE_FORMATS.values()) if server.is_openai else _EVERY_SERVER_TAKES
    formats = {name.strip().lower().removeprefix("image/") for name in text.split(",")} - {""}
    if not formats or not formats <= _IMAGE_FORMATS.keys():
        raise ModelSettingsError(
            f"{_PREFIX}IMAGE_FORMATS must be auto, or some of jpeg, png, webp, gif"
        )
    return frozenset(_IMAGE_FORMATS[name] for name in formats)


def _audio_format(settings: Openai, server: Server) -> AudioFormat:
    if settings.audio_format != "auto":
        return settings.audio_format
    return "as-is" if server.is_openai else "mp3"
