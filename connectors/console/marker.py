"""The marker of visual context, which no sender can forge or close. Pure.

Bots trust the text in `[CONTEXTO VISUAL: …]`. Every string of an answer that came from
outside is therefore defused: where it reads like the beginning of the marker, however
it is written, the bracket becomes a round one and a middle dot is inserted into the
words. This holds for each string by itself, and for a marker that begins in one string
of the answer and continues in another.

A tenant whose bot puts everything into one prompt can choose a marker that cannot be
guessed. `{nonce}` in its frame is replaced by a random word, which is new in every
answer and is also in a field of the answer.
"""

import re
import secrets
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from connectors.console.forgeries import Prefix, unescaped
from connectors.console.lookalikes import looks

DEFAULT_TEXT = "[CONTEXTO VISUAL: {description}]"
DEFAULT_TEXTS = {"es": DEFAULT_TEXT, "en": "[VISUAL CONTEXT: {description}]"}
"""The frame per language, for tenants that did not set one."""
_PLACES = re.compile(r"\{(?:description|nonce)\}")
_TURNS = {0x202D: "\ufffd", 0x202E: "\ufffd"}
"""Direction overrides: with them, a text is displayed in another order than it is stored."""
_OPENS_QUOTE = re.compile(
    r"""[«“„‟「『＂〝❝‹❮❛‚﹁﹃｢]|(?<!\d)"|(?<!\w)[‘‛”»]|(?<![\w'.,;:!?)\]])['’＇`](?=\S)"""
)
"""A straight quotation mark after a digit means inches, and apostrophes do not open a quotation."""
_CLOSES_QUOTE = {
    opening: re.compile(closing)
    for openings, closing in {
        "«": "»", "‹": "›", "❮": "❯", "“‟": "[”“]", "„": "[“”]", "”": "”", "»": "[«»]",
        '"': '"', "＂": "＂", "「": "」", "『": "』", "﹁": "﹂", "﹃": "﹄", "｢": "｣",
        "〝": "[〞〟]", "❝": "❞", "❛": "[❜❛]", "‘‛‚": r"[’‘](?!\w)", "’": r"’(?!\w)",
        "'": r"(?<=\S)'(?!\w)", "＇": r"(?<=\S)＇(?!\w)", "`": r"[`´'](?!\w)",
    }.items()
    for opening in openings
}  # fmt: skip
_MAY_STAND_ALONE = frozenset("'’＇`”»")
"""Any other opening mark that is not closed quotes the rest of the text."""
_ANY_QUOTE = re.compile(
    r"""[«»“”„‟「」『』＂〝〞〟❝❞‹›❮❯❛❜‚‛﹁﹂﹃﹄｢｣]|(?<!\d)"|(?<!\w)[‘’]|[‘’](?!\w)"""
)
_QUOTES = (("«", "»"), ("“", "”"), ('"', '"'))
_MOST_PIECES = 16
"""Over at most this many strings a marker may be spread and still be found."""


@dataclass(frozen=True, slots=True)
class Defused:
    """A part of an answer without forged markers.

    `open_states` holds, per prefix, the states that the ends of its strings leave open.
    """

    document: Any
    open_states: tuple[int, ...]


class Marker:
    """The frame around each line of visual context: the default, or the one that the tenant set."""

    def __init__(self, frame: str | None) -> None:
        frame = " ".join((frame or DEFAULT_TEXT).split())
        self.frame = frame if "{description}" in frame else DEFAULT_TEXT
        self.has_nonce = "{nonce}" in self.frame
        words = {_PLACES.split(one)[0].strip() for one in (self.frame, DEFAULT_TEXT)} - {""}
        found = [(word, Prefix(word)) for word in sorted(words, key=len, reverse=True)]
        self._prefixes = [prefix for _, prefix in found if not prefix.is_bare]
        bare = [word for word, prefix in found if prefix.is_bare]
        self._openings = frozenset(word[0] for word in bare if looks(word[0])[0].opens)
        self._signs = [_signs(word) for word in bare if not looks(word[0])[0].opens]
        self._frame_signs = {
            one
            for one in _PLACES.sub("", self.frame)
            if not one.isalnum() and not one.isspace() and one not in ".,:"
        }
        self._quotes = next(
            (pair for pair in _QUOTES if not self._frame_signs & set(pair)), ("'", "'")
        )

    def line(self, description: str, nonce: str = "") -> str:
        """Returns one line. The description can neither end it nor add another one."""
        return self.framed(self.inside(description), nonce)

    def framed(self, inside: str, nonce: str = "") -> str:
        """Puts the frame around a description that `inside` has prepared."""
        return self.frame.replace("{nonce}", nonce).replace("{description}", inside)

    def drawn_nonce(self) -> str:
        """Returns a random word that no sender can know, or "" if the frame has no `{nonce}`."""
        return secrets.token_hex(8) if self.has_nonce else ""

    def inside(self, description: str) -> str:
        """Prepares a description for its line.

        Text that it quotes is put between « and », because it was read in the picture.
        """
        flat = _flat(self._broken(_flat(description), [0] * len(self._prefixes)))
        opening, closing = self._quotes
        pieces, done = [], 0
        for quoted in _quotations(flat):
            pieces += [self._plain(flat[done : quoted.start]), opening]
            pieces += [self._plain(flat[quoted.start + 1 : quoted.end]).strip(), closing]
            done = quoted.end + 1
        pieces.append(self._plain(flat[done:]))
        return " ".join("".join(pieces).split())

    def defused(self, text: str) -> str:
        """Returns the text with everything that reads like the beginning of a marker broken up."""
        return self._defused(text, [0] * len(self._prefixes))

    def defuse(self, document: Any) -> Defused:
        """Defuses every string of a document, its keys included, each by itself."""
        states = [0] * len(self._prefixes)
        done = _mapped(document, lambda text: self._defused(text, states))
        return Defused(done, tuple(states))

    def joined(self, *parts: Defused) -> list[Any]:
        """Returns the parts as they go into one answer.

        Markers that are spread over several of its strings are broken up too.
        """
        documents = [part.document for part in parts]
        for index, prefix in enumerate(self._prefixes):
            state = 0
            for part in parts:
                state |= part.open_states[index]
            if state:
                state = _closure(prefix, documents, state)
                documents = [_mapped(one, _breaker(prefix, state)) for one in documents]
        return documents

    def answer(self, document: Any) -> Any:
        """Defuses a whole answer."""
        return self.joined(self.defuse(document))[0]

    def _defused(self, text: str, states: list[int]) -> str:
        if self._openings:
            text = "".join(_rounded(one, self._openings) for one in text)
        return self._broken(text, states)

    def _broken(self, text: str, states: list[int]) -> str:
        if "\u202d" in text or "\u202e" in text:
            text = text.translate(_TURNS)
        for signs in self._signs:
            text = signs.sub(r"\1·\2", text)
        brackets: set[int] = set()
        dots: set[int] = set()
        shown = unescaped(text)
        for index, prefix in enumerate(self._prefixes):
            scan = prefix.scan(text)
            if shown is not None:
                scan.add(prefix.scan(shown.text), shown, text)
            states[index] |= scan.open_state
            brackets |= scan.brackets
            dots |= scan.dots
        return _edited(text, brackets, dots) if dots else text

    def _plain(self, text: str) -> str:
        """Returns the text without brackets, quotation marks and signs of the frame."""
        text = _ANY_QUOTE.sub("'", text)
        shown = (
            "(" if _is_bracket(one, "Ps") else ")" if _is_bracket(one, "Pe") else one
            for one in text
        )
        return "".join(" " if one in self._frame_signs - set("()") else one for one in shown)


class _Quotation(NamedTuple):
    """`start` is the opening mark, `end` the closing mark or the end of the text."""

    start: int
    end: int


def _quotations(text: str) -> Iterator[_Quotation]:
    """Finds the text between quotation marks, in time linear in the text."""
    unclosed: set[str] = set()
    position = 0
    while (found := _OPENS_QUOTE.search(text, position)) is not None:
        opening, position = found[0], found.end()
        if opening in unclosed:
            continue
        closed = _CLOSES_QUOTE[opening].search(text, position)
        if closed is None and opening in _MAY_STAND_ALONE:
            unclosed.add(opening)
            continue
        end = len(text) if closed is None else closed.start()
        yield _Quotation(found.start(), end)
        position = end + 1


def _signs(word: str) -> re.Pattern[str]:
    """Returns a pattern that matches a frame of punctuation literally."""
    return re.compile(f"({re.escape(word[0])})({re.escape(word[1:])})")


@lru_cache(4096)
def _is_bracket(character: str, category: str) -> bool:
    """Returns True for an opening (Ps) or closing (Pe) bracket in any form.

    Quotation marks do not count.
    """
    plain = unicodedata.normalize("NFKD", character)
    sign = "<" if category == "Ps" else ">"
    return len(plain) == 1 and (unicodedata.category(plain) == category or plain == sign)


@lru_cache(4096)
def _rounded(character: str, openings: frozenset[str]) -> str:
    """Replaces characters that resemble the opening of a frame without words by a round bracket.

    Quotation marks are replaced only if the frame opens with one. Apostrophes are kept.
    """
    if character in openings or _is_bracket(character, "Ps"):
        return "("
    category = unicodedata.category(character)
    if character == "’" or not any(unicodedata.category(one) == "Pi" for one in openings):
        return character
    return {"Pi": "(", "Pf": ")"}.get(category, character)


def _flat(text: str) -> str:
    """Joins the text into one line and removes control and direction characters."""
    return " ".join(
        "".join(
            " " if unicodedata.category(one) in ("Cc", "Zl", "Zp") else one
            for one in text
            if unicodedata.bidirectional(one)
            not in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        ).split()
    )


def _edited(text: str, brackets: set[int], dots: set[int]) -> str:
    pieces, done = [], 0
    for place in sorted(brackets | dots):
        pieces.append(text[done:place])
        done = place
        if place in dots:
            pieces.append("·")
        if place in brackets and _can_be_round(text[place]):
            pieces.append("(")
            done = place + 1
    return "".join([*pieces, text[done:]])


def _can_be_round(opening: str) -> bool:
    """Returns True if a round bracket is an equivalent replacement.

    It is not for quotation marks, nor for characters that also stand for a letter.
    """
    is_one = len(unicodedata.normalize("NFKD", opening)) == 1
    return is_one and unicodedata.category(opening) != "Pi"


def _strings(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for name, value in document.items():
            yield name
            yield from _strings(value)
    elif isinstance(document, list):
        for one in document:
            yield from _strings(one)


def _mapped(document: Any, change: Any) -> Any:
    if isinstance(document, str):
        return change(document)
    if isinstance(document, dict):
        return {change(name): _mapped(value, change) for name, value in document.items()}
    if isinstance(document, list):
        return [_mapped(one, change) for one in document]
    return document


def _closure(prefix: Prefix, documents: list[Any], state: int) -> int:
    """Returns the states that can be open at the beginning of a string, after any
    number of whole strings.
    """
    for _ in range(_MOST_PIECES):
        before = state
        for text in _strings(documents):
            state |= _resumed(prefix, text, before)[1]
        if state == before:
            break
    return state


def _resumed(prefix: Prefix, text: str, state: int) -> tuple[int | None, int]:
    """Runs `Prefix.resume` on the text as it is and as a program displays it."""
    place, left = prefix.resume(text, state)
    shown = unescaped(text)
    if shown is None:
        return place, left
    place_shown, left_shown = prefix.resume(shown.text, state)
    if place is None and place_shown is not None:
        place = shown.places[place_shown]
    return place, left | left_shown


def _breaker(prefix: Prefix, state: int) -> Any:
    def broken(text: str) -> str:
        place, _ = _resumed(prefix, text, state)
        return text if place is None else f"{text[:place]}·{text[place:]}"

    return broken
