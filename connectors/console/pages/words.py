"""The texts of the pages: one catalogue file per language."""

import json
from functools import cache
from pathlib import Path
from types import MappingProxyType

LANGUAGES = ("en", "es")
_FOLDER = Path(__file__).parent / "words"


@cache
def catalogue(language: str) -> MappingProxyType[str, str]:
    """Returns the texts of a language by key."""
    return MappingProxyType(json.loads((_FOLDER / f"{language}.json").read_text()))


def language_of(accept_language: str) -> str:
    """Returns the browser's preferred language that has a catalogue, otherwise English."""
    weighed: list[tuple[float, str]] = []
    for entry in accept_language[:500].split(","):
        name, _, weight = entry.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), name[:2].lower()))
        except ValueError:
            continue
    known = [name for _, name in sorted(weighed, key=lambda one: one[0]) if name in LANGUAGES]
    return known[0] if known else "en"


class Words:
    """Returns texts of one language, as `words("key", count=3)`.

    With a count of 1 it uses `key.one`, if that exists.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = catalogue(language)

    def __call__(self, key: str, **values: object) -> str:
        if values.get("count") == 1 and f"{key}.one" in self._texts:
            key = f"{key}.one"
        return self._texts[key].format_map(values) if values else self._texts[key]

    def known(self, key: str, otherwise: str) -> str:
        """Returns the text of a key that is made from data, or `otherwise` if there is none."""
        return self._texts.get(key, otherwise)
