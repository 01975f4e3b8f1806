"""Declares which settings each role reads.

A role is given only these, so that it holds no secret that it does not use.
"""

from collections.abc import Mapping

from schemas.pipeline import STAGES, Stage
from schemas.settings import Settings
from streams.settings import to_environment

_ANY = frozenset({"namespace", "log"})
_STAGE = _ANY | {"kafka", "postgres", "worker", "breaker"}
_FILES = frozenset({"objects", "secrets"})
_BY_STAGE: Mapping[Stage, frozenset[str]] = {
    "dedupe": _STAGE,
    "store_media": _STAGE | _FILES | {"media", "providers"},
    "describe": _STAGE | _FILES | {"openai"},
    "transcribe": _STAGE | _FILES | {"openai"},
    "assemble": _STAGE,
}

PARTS_OF_ROLE: Mapping[str, frozenset[str]] = {
    "receive": _ANY | {"kafka", "postgres", "receiver", "secrets"},
    **{f"stream {stage}": _BY_STAGE[stage] for stage in STAGES},
    "sink": _STAGE | {"retention"},
    "console": _ANY | _FILES | {"kafka", "postgres", "console", "media", "providers", "registry"},
    "stand-in": _ANY,
    "local-models": _ANY | {"local"},
}
"""Maps each role to its parts of `schemas.settings.Settings`.

`secrets` is the key that opens the tenants' secrets: those of endpoints, and model keys.
"""


def environment_of(role: str, settings: Settings) -> dict[str, str]:
    """The settings that the role reads, under their environment names.

    Raises KeyError for an unlisted role.
    """
    return to_environment(settings, PARTS_OF_ROLE[role])
