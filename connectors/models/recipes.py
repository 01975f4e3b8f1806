"""In what words a model is asked, and the hash of all that: another recipe, another answer. Pure."""

import hashlib
import json
from dataclasses import dataclass

from schemas.settings import Openai
from schemas.tenants import TenantSettings

DEFAULT_VERSION = "default-1"
_DEFAULT_VISION = (
    "You are the eyes of a chat assistant{trade}. Describe what this picture shows in one to three sentences, in {language}, "
    "so that the assistant can answer the person who sent it. Quote any text in the picture that matters. "
    "Say what is uncertain. Do not guess who a person is."
)
_LANGUAGES = {
    "es": "Spanish",
    "en": "English",
    "pt": "Portuguese",
    "fr": "French",
    "de": "German",
    "it": "Italian",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Model, words and label; `id` hashes kind, model, prompt text, language and parameters."""

    id: str
    model: str
    prompt: str | None
    prompt_version: str
    language: str | None


def vision_recipe(tenant: TenantSettings, defaults: Openai) -> Asked:
    """How the tenant wants pictures described; by default for an assistant of its trade, in its language."""
    if tenant.vision_prompt:
        prompt, version = tenant.vision_prompt, f"tenant-{_short(tenant.vision_prompt)}"
    else:
        language = _spoken(tenant.language or "en")
        trade = f" of a business in this trade: {tenant.trade}" if tenant.trade else ""
        prompt, version = _DEFAULT_VISION.format(trade=trade, language=language), DEFAULT_VERSION
    return _asked(
        "vision", tenant.vision_model or defaults.vision_model, prompt, version, tenant.language
    )


def speech_recipe(tenant: TenantSettings, defaults: Openai) -> Asked:
    """How the tenant wants voice notes transcribed. The prompt is a hint of vocabulary, not an instruction."""
    prompt = tenant.transcription_prompt
    version = f"tenant-{_short(prompt)}" if prompt else DEFAULT_VERSION
    return _asked(
        "speech",
        tenant.transcription_model or defaults.transcription_model,
        prompt,
        version,
        _code(tenant.language),
    )


def _spoken(language: str) -> str:
    """A language in words a model knows, with its region: `es-MX` is `Spanish (es-MX)`."""
    base, _, region = language.replace("_", "-").partition("-")
    named = _LANGUAGES.get(base.lower())
    return language if named is None else f"{named} ({language})" if region else named


def _code(language: str | None) -> str | None:
    """The two or three letters speech APIs take; None, and they listen for themselves, for anything else: they refuse what they do not know."""
    base = (language or "").replace("_", "-").partition("-")[0].strip().lower()
    code = next((code for code, name in _LANGUAGES.items() if name.lower() == base), base)
    return code if code.isascii() and code.isalpha() and len(code) in (2, 3) else None


def _asked(kind: str, model: str, prompt: str | None, version: str, language: str | None) -> Asked:
    parameters = {"temperature": 0} if kind == "speech" else {"max_tokens": 400}
    whole = json.dumps([kind, model, prompt, language, parameters], ensure_ascii=False)
    return Asked(hashlib.sha256(whole.encode()).hexdigest()[:32], model, prompt, version, language)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
