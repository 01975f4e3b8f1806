"""The marker of visual context, and how nobody forges or closes it. Pure.

`[CONTEXTO VISUAL: …]` is what a bot trusts. In every text that came from outside, typed, transcribed or described, what
reads like the marker is defused: whatever case, spacing, accents, zero-width characters or look-alike letters it is
written with.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

DEFAULT_TEXT = "[CONTEXTO VISUAL: {description}]"
_OPENING = frozenset("[［〔【〖⟦❲⁅⦋⦏⁽{｛❴⟨‹«<＜(（❨❪⎡⎢⎣⟮")
_ALIKE = {
    "a": "аαɑ@4", "b": "вβ", "c": "сϲ", "d": "ԁ", "e": "еεє3", "g": "ɡ", "h": "һн", "i": "іιıl1|∣!", "j": "јϳ", "k": "кκ", "m": "м", "n": "пη",
    "o": "оοσ0", "p": "рρ", "q": "ԛ", "r": "г", "s": "ѕ5$", "t": "тτ", "u": "υս", "v": "νѵ", "w": "ԝω", "x": "хχ", "y": "уγ", "z": "ᴢ",
}  # fmt: skip
_LOOKALIKES = str.maketrans(
    {foreign: plain for plain, alike in _ALIKE.items() for foreign in alike}
)
_CAPITALS = str.maketrans("ΝΗΥ", "nhy")
"""Greek capitals that look like another letter than their small forms do."""
_BRACKETS = dict.fromkeys("[［〔【〖⟦❲⁅⦋⦏{｛❴<＜⟨‹«", "(") | dict.fromkeys(
    "]］〕】〗⟧❳⁆⦌⦐}｝❵>＞⟩›»", ")"
)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What a text looks like, letters and opening brackets only; `at[i]` is where character i stands in the text."""

    text: str
    at: list[int]


def skeleton(text: str) -> Skeleton:
    shown: list[str] = []
    at: list[int] = []
    for index, character in enumerate(text):
        for plain in _shape(character):
            shown.append(plain)
            at.append(index)
    return Skeleton("".join(shown), at)


@lru_cache(4096)
def _shape(character: str) -> str:
    """The letters a character looks like, and a bracket for whatever looks like an opening one."""
    looks = (
        unicodedata.normalize("NFKD", character)
        .translate(_CAPITALS)
        .casefold()
        .translate(_LOOKALIKES)
    )
    letters = "".join(
        plain
        for plain in looks
        if plain.isalpha() and unicodedata.category(plain) not in ("Mn", "Lm")
    )
    return letters + ("[" if character in _OPENING else "")


_ANY_OPENING = re.compile("[" + re.escape("".join(sorted(_OPENING))) + "]")


class Marker:
    """The frame of one line of visual context: the default, or what the tenant set."""

    def __init__(self, frame: str | None) -> None:
        self._frame = " ".join((frame or DEFAULT_TEXT).split())
        if "{description}" not in self._frame:
            self._frame = DEFAULT_TEXT
        prefixes = {
            one.partition("{description}")[0].strip() for one in (self._frame, DEFAULT_TEXT)
        } - {""}
        bracketed = {prefix for prefix in prefixes if prefix[0] in _OPENING}
        self._forgeries = sorted(
            {skeleton(prefix).text.strip("[") for prefix in bracketed} - {""}, key=len, reverse=True
        )
        self._bare = [_bare(prefix) for prefix in prefixes - bracketed]
        self._frame_signs = {
            c
            for c in self._frame.replace("{description}", "")
            if not c.isalnum() and not c.isspace() and c not in ".,"
        }

    def line(self, description: str) -> str:
        """One line; the description cannot end it, or begin another."""
        flat = " ".join(self.defused(description).split())
        inside = "".join(
            _BRACKETS.get(
                character,
                " " if character in self._frame_signs and character not in ":" else character,
            )
            for character in flat
        )
        return self._frame.replace("{description}", inside.strip())

    def defused(self, text: str) -> str:
        """The text with whatever reads like the beginning of a marker broken up by a middle dot."""
        for bare in self._bare:
            text = bare.sub(r"\1·\2", text)
        if _ANY_OPENING.search(text) is None:
            return text
        for forgery in self._forgeries:
            text = _broken(text, forgery)
        return text


def _bare(prefix: str) -> re.Pattern[str]:
    """A frame without a bracket is known by its words and signs as they stand, whatever their case and spacing."""
    words = r"\s+".join(re.escape(word) for word in prefix[1:].split(" "))
    return re.compile(rf"(?<!\w)({re.escape(prefix[0])})({words})", re.IGNORECASE)


def _broken(text: str, forgery: str) -> str:
    """The bracket becomes round and a dot stands inside the words: no reader takes it for the marker."""
    pieces, done = [], 0
    for bracket, inside in _found(skeleton(text), forgery):
        pieces += [text[done:bracket], "(", text[bracket + 1 : inside], "·"]
        done = inside
    return "".join([*pieces, text[done:]])


def _found(seen: Skeleton, forgery: str) -> list[tuple[int, int]]:
    """(bracket, second letter) of each `[…forgery`, as positions in the text; brackets inside the words do not hide them."""
    letters = [index for index, character in enumerate(seen.text) if character != "["]
    words = "".join(seen.text[index] for index in letters)
    places: list[tuple[int, int]] = []
    begin = words.find(forgery)
    while begin >= 0:
        first = letters[begin]
        if first > 0 and seen.text[first - 1] == "[":
            places.append(
                (
                    seen.at[first - 1],
                    seen.at[letters[begin + 1]] if len(forgery) > 1 else seen.at[first],
                )
            )
        begin = words.find(forgery, begin + len(forgery))
    return places
