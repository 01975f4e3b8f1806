"""Reads one setting of a tenant as a person writes it, for the command and the console.

Pure.
"""

from typing import Any

import msgspec

from schemas.errors import SchemasError
from schemas.languages import is_language
from schemas.tenants import TenantSettings

SETTING_NAMES = tuple(field.replace("_", "-") for field in TenantSettings.__struct_fields__)
_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0"})


class WrongChange(SchemasError):
    """The text is not a valid value of this setting. The message says why."""


def read_change(name: str, text: str) -> tuple[str, Any]:
    """The field and its new value. Raises WrongChange.

    An empty text resets the field to its default.
    """
    field, text = name.strip().replace("-", "_"), text.strip()
    if field not in TenantSettings.__struct_fields__:
        raise WrongChange(f"{name!r} is not a setting")
    default = getattr(TenantSettings(), field)
    if text == "":
        return field, default
    if isinstance(default, bool):
        return field, _yes_or_no(name, text)
    try:
        msgspec.convert({field: text}, TenantSettings, strict=False)
    except msgspec.ValidationError as error:
        raise WrongChange(f"{name}={text}: {str(error).partition(' - at')[0]}") from None
    if field == "context_text" and "{description}" not in text:
        raise WrongChange("context-text must contain {description}, where the description goes")
    if field == "language" and not is_language(text):
        raise WrongChange(
            f"{text!r} is not a language: give a code such as es, pt-BR or en, or a "
            "name such as Spanish"
        )
    return field, text


def _yes_or_no(name: str, text: str) -> bool:
    word = text.lower()
    if word not in _YES | _NO:
        raise WrongChange(f"{name}={text}: Expected yes or no")
    return word in _YES
