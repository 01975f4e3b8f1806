"""Finds text that readers could take for the beginning of a marker, in linear time. Pure.

The search runs an automaton. State n means "an opening bracket, followed by n letters
of the marker", and a set of states is the bits of one integer. Every character moves
all states at once. Punctuation, blanks and invisible characters advance a state, keep
it, or do both, because a reader may take them for a letter or overlook them.
"""

import html
import re
import unicodedata
from dataclasses import dataclass, field
from typing import NamedTuple

from connectors.console.lookalikes import CharacterReading, looks

_ASCII_OPENS = r"[(<\[{|]"
_FOREIGN_OPENS = (
    "[\u0f3a\u0f3c\u169b]"
    "|[^\x00-\x7f\u00c0-\u024f\u0370-\u1fff\u3040-\u31ff\u3400-\u9fff\uac00-\ud7ff]"
)
"""Everything that looks like an opening bracket, and little else; a test checks both
against all of Unicode.
"""
_SIGNS = (
    r"(?:[^A-Za-z0-9\x80-\U0010ffff]"
    r"|[\u2010-\u205f\u2190-\u245f\u2500-\u2bff\U0001f300-\U0001faff])*"
)
"""A run of characters each of which can stand for any letter or be overlooked."""
_RUN = re.compile(_SIGNS)
_ASCII = [chr(code) for code in range(128)]
_LETTERS_LOOKED_AHEAD = 4
_MOST_STEPS = 20_000
_WRITTEN = re.compile(
    r"(?P<tag><[^<>]*>)"
    r"|(?P<entity>&(?:#[0-9]{1,32};?|#[xX][0-9a-fA-F]{1,32};?|[A-Za-z][A-Za-z0-9]{1,31};))"
    r"|(?P<bytes>(?:%[0-9a-fA-F]{2})+)"
    r"|\\(?:u(?P<u>[0-9a-fA-F]{4})|x(?P<x>[0-9a-fA-F]{2}))"
)
"""Markup, and characters written as escapes of HTML, of URLs or of string literals."""
_COLONS = frozenset(":꞉∶ː։׃⁚︓")


class Unescaped(NamedTuple):
    """A text as a program displays it.

    `places` holds, for each character, where it begins in the original.
    """

    text: str
    places: list[int]


class Transition(NamedTuple):
    """The effect of one reading of a character on the states.

    `moves` has bit n set if the character can be letter n. `is_sure` is true if the
    character certainly is one of the letters, not only possibly.
    """

    moves: int
    is_silent: bool
    opens: bool
    is_sure: bool
    is_letter: bool


@dataclass(slots=True)
class Scan:
    """The result of a search.

    `brackets` are the positions where markers begin, `dots` the positions before which
    a dot breaks them. `open_state` holds the states that are still open at the end of
    the text.
    """

    brackets: set[int] = field(default_factory=set)
    dots: set[int] = field(default_factory=set)
    open_state: int = 0

    def add(self, other: "Scan", unescaped: Unescaped, original: str) -> None:
        """Adds the findings from an unescaped text, translated to positions in the original.

        A bracket that is written as an escape is not replaced.
        """
        places = [*unescaped.places, len(original)]
        self.open_state |= other.open_state
        self.dots |= {places[one] for one in other.dots}
        self.brackets |= {
            places[one] for one in other.brackets if original[places[one]] == unescaped.text[one]
        }


class Prefix:
    """The text before the description in a frame, as an automaton."""

    def __init__(self, text: str) -> None:
        """`text` must not be empty."""
        first = looks(text[0])[0]
        self._sign = None if text[0].isalnum() or first.opens else text[0]
        self._is_word = text[0].isalnum()
        self._letters = [look.letters for one in text for look in looks(one) if look.letters]
        ends_in_sign = not first.opens and not text[-1].isalnum() and self._letters
        self._closing = text[-1] if ends_in_sign else None
        self._end = len(self._letters) + (self._closing is not None)
        self._closing_bit = 0 if self._closing is None else 1 << len(self._letters)
        self._steps = _Steps(self)
        self._start = re.compile(self._start_pattern())

    @property
    def is_bare(self) -> bool:
        """True if the prefix has no letters, so that only its punctuation identifies it."""
        return self._end == 0

    def scan(self, text: str) -> Scan:
        """Finds every position where the text reads like this prefix."""
        result, begins = Scan(), [(0, 0)] * (self._end + 1)
        steps, search, is_word, end = self._steps, self._start.search, self._is_word, self._end
        position = state = opening = sure = letters = 0
        full = (1 << end) - 1
        while position < len(text):
            if not state:
                found = search(text, position)
                if found is None:
                    return result
                position, sure, letters = found.start(), 0, 0
            if is_word and (position == 0 or not text[position - 1].isalnum()):
                state, opening = state | 1, position
            for moves, is_silent, opens, is_sure, is_letter in steps[text[position]]:
                before, moved = state, (state & moves) << 1
                remaining = state if is_silent else state & (moves << 1)
                state = moved | remaining
                if moved:
                    _follow(begins, before, moved, remaining, (opening, position))
                    sure += is_sure
                    letters += is_letter
                if opens:
                    state, opening = state | 1, position
            if state >> end & 1:
                state ^= 1 << end
                if sure and 2 * letters >= end:  # more than signs and other alphabets fitted
                    self._mark(result, text, *begins[end])
            if state == full:  # the middle of a long run of signs changes nothing
                position = max(position, _end_of_run(text, position) - end - 1)
            position += 1
        result.open_state = state
        return result

    def resume(self, text: str, state: int) -> tuple[int | None, int]:
        """Continues a marker that began in another text.

        Returns where the marker ends in this text, or None, and the states that its end
        leaves open. Punctuation is not taken for letters here, because a text of
        punctuation alone could be any part of a marker.
        """
        is_sure = False
        for position, character in enumerate(text):
            for step in self._steps[character]:
                moves = step.moves if step.is_letter else step.moves & self._closing_bit
                is_sure = is_sure or bool(state & moves and (step.is_sure or not step.is_letter))
                remaining = state if step.is_silent else state & (moves << 1)
                state = ((state & moves) << 1) | remaining
            if state >> self._end & 1:
                if is_sure:
                    return position, 0
                state ^= 1 << self._end
            if not state:
                return None, 0
        return None, state

    def _mark(self, result: Scan, text: str, opening: int, first: int) -> None:
        """Records the bracket and a dot after the first letter; for a frame with
        another opening sign, a dot after that sign.
        """
        if _is_alike(text[opening], self._sign):
            while opening and _is_alike(text[opening - 1], self._sign):
                opening -= 1
            result.dots.add(opening + 1)
            return
        if not self._is_word:
            result.brackets.add(opening)
        after = first + 1
        while after < len(text) - 1 and unicodedata.combining(text[after]):
            after += 1
        result.dots.add(after)

    def _start_pattern(self) -> str:
        """Builds a pattern for possible starts, which skips most of those that fail
        within a few letters.
        """
        possible = [
            {one for one in _ASCII if one.isalnum() and self._steps[one][0].moves >> index & 1}
            for index in range(min(self._end, _LETTERS_LOOKED_AHEAD))
        ]
        if self._is_word:
            begin = "|".join(sorted(possible[0])) if possible else ""
            return rf"(?<![^\W_])(?:{begin}{'|' if begin else ''}[^\x00-\x7f])"
        dies = ""
        for letter, before in reversed(_pairs(possible)):
            dead = {one for one in _ASCII if one.isalnum()} - letter - before
            further = rf"|[{''.join(sorted(letter))}]\s*(?:{dies})" if dies and letter else ""
            dies = f"[{''.join(sorted(dead))}]{further}"
        opens = _ASCII_OPENS if self._sign is None else f"{re.escape(self._sign)}|{_ASCII_OPENS}"
        return rf"(?:{opens})(?!\s*(?:{dies}))|{_FOREIGN_OPENS}"

    def steps_of(self, character: str) -> tuple[Transition, ...]:
        """Returns one transition per reading of the character."""
        return tuple(self._step(character, look) for look in looks(character))

    def _step(self, character: str, look: CharacterReading) -> Transition:
        known = possible = 0
        for index, letters in enumerate(self._letters):
            if set(letters) & set(look.letters):
                known |= 1 << index
            elif look.is_any and (letters.isascii() or not look.is_written):
                possible |= 1 << index
        if _is_alike(character, self._closing):
            possible |= self._closing_bit
        is_letter = bool(look.letters)
        return Transition(
            known | possible,
            look.is_silent,
            not self._is_word and (look.opens or _is_alike(character, self._sign)),
            bool(known) or (look.is_any and is_letter and not look.is_written),
            is_letter,
        )


def unescaped(text: str) -> Unescaped | None:
    """Returns the text without markup and escapes, or None if it has none."""
    pieces: list[str] = []
    places: list[int] = []
    done = 0
    for match in _WRITTEN.finditer(text):
        start = match.start()
        pieces.append(text[done:start])
        places += range(done, start)
        done = match.end()
        for one, width in _meant(match):
            pieces.append(one)
            places.append(start)
            start += width
    if not done:
        return None
    pieces.append(text[done:])
    places += range(done, len(text))
    return Unescaped("".join(pieces), places)


def _meant(match: re.Match[str]) -> list[tuple[str, int]]:
    """Returns the characters that a match of `_WRITTEN` displays, each with its source width."""
    if match["tag"]:
        return []
    if match["entity"]:
        return [(one, 0) for one in html.unescape(match["entity"])]
    if match["bytes"]:
        octets = bytes.fromhex(match["bytes"].replace("%", ""))
        try:
            return [(one, 3 * len(one.encode())) for one in octets.decode()]
        except UnicodeDecodeError:
            return [(chr(one), 3) for one in octets]
    return [(chr(int(match["u"] or match["x"], 16)), 0)]


class _Steps(dict[str, tuple[Transition, ...]]):
    """A bounded cache that maps characters to their transitions."""

    def __init__(self, prefix: Prefix) -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, character: str) -> tuple[Transition, ...]:
        if len(self) >= _MOST_STEPS:
            self.clear()
        steps = self[character] = self._prefix.steps_of(character)
        return steps


def _follow(
    begins: list[tuple[int, int]], before: int, moved: int, remaining: int, here: tuple[int, int]
) -> None:
    """Keeps, for each state, where its latest match began: the opening and the first letter."""
    below = before | 1
    if below & (below + 1) == 0 and moved == (before << 1):
        # every state moves, and a match with fewer letters began later
        top = moved.bit_length()
        begins[2:top] = begins[1 : top - 1]
        if before & 1:
            begins[1] = here
        return
    while moved:
        index = moved.bit_length() - 1
        moved ^= 1 << index
        began = begins[index - 1] if index > 1 else here
        begins[index] = max(begins[index], began) if remaining >> index & 1 else began


def _end_of_run(text: str, position: int) -> int:
    run = _RUN.match(text, position)
    return run.end() if run is not None else position


def _pairs(possible: list[set[str]]) -> list[tuple[set[str], set[str]]]:
    """Pairs the characters of each letter with those of the letter before it, which may
    be repeated.
    """
    return list(zip(possible, [set[str](), *possible], strict=False))


def _is_alike(character: str, sign: str | None) -> bool:
    if sign is None:
        return False
    if sign in _COLONS and character in _COLONS:
        return True
    return unicodedata.normalize("NFKD", character) == unicodedata.normalize("NFKD", sign)
