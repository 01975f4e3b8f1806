"""Lists the letters that a reader may take a character for. Pure.

The letters are derived from the Unicode database: from the compatibility decomposition,
or from a name such as `LATIN LETTER SMALL CAPITAL C`. A letter without such information
may be read as any letter, so no list of look-alikes has to be complete. The table below
only narrows this for scripts in which people write whole sentences: there, a letter
stands for the Latin letters that it resembles in either case or sounds like. A
character that is newer than the database may be any letter, or none.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_LETTER_NAME = re.compile(
    r"(?:.* )?"
    r"(?:LATIN (?:CAPITAL |SMALL )?LETTER (?:SMALL )?(?:CAPITAL )?|INDICATOR SYMBOL LETTER )"
    r"([A-Z])(?: .*)?"
)
_READ_AS = {
    "0": "oqd", "1": "ilt", "2": "z", "3": "e", "4": "a", "5": "s", "6": "bg", "7": "tl",
    "8": "b", "9": "gq", "i": "il", "l": "il", "u": "uv", "v": "uv",
    "а": "a", "б": "bgo", "в": "bv", "г": "rgtlis", "д": "adgo", "е": "e", "ж": "xzjk",
    "з": "zesc", "и": "iune", "к": "kcx", "л": "lanvj", "м": "mt", "н": "hn", "о": "o", "п": "np",
    "р": "pr", "с": "csx", "т": "tm", "у": "yuv", "ф": "fop", "х": "xhk", "ц": "ucs", "ч": "chuqy",
    "ш": "wms", "щ": "wms", "ъ": "b", "ы": "biy", "ь": "b", "э": "ecs", "ю": "uio", "я": "ra",
    "і": "il", "ј": "j", "ѕ": "s", "ѵ": "v", "һ": "h", "ӏ": "il", "ԁ": "d", "ԛ": "q", "ԝ": "w",
    "α": "a", "β": "bvs", "γ": "ygrvtl", "δ": "dao", "ε": "ec", "ζ": "zsc", "η": "nhi",
    "θ": "oet", "ι": "il", "κ": "kcx", "λ": "alvxn", "μ": "um", "ν": "vnu", "ξ": "exsc",
    "ο": "o", "π": "npt", "ρ": "pr", "σ": "oseczm", "τ": "tir", "υ": "uvyi", "φ": "fopi",
    "χ": "xkc", "ψ": "psuwyv", "ω": "wovun", "ϳ": "j",
    "ա": "awuo", "բ": "bpf", "գ": "gqk", "դ": "dtnr", "ե": "etby", "զ": "zqgs", "է": "eht",
    "ը": "enrpa", "թ": "tpfoc", "ժ": "jzdt", "ի": "ihlr", "լ": "lji", "խ": "xhkucg", "ծ": "tscdo",
    "կ": "kgulcx", "հ": "hzn", "ձ": "dzjsa", "ղ": "gnrlu", "ճ": "jxcst", "մ": "mun", "յ": "yjh",
    "ն": "nuhl", "շ": "sczx", "ո": "onvu", "չ": "cszj", "պ": "pbun", "ջ": "jzogx", "ռ": "nr",
    "ս": "uswx", "վ": "vuk", "տ": "tsun", "ր": "rpn", "ց": "cgtszx", "ւ": "uvilr", "փ": "pfo",
    "ք": "kqpfcx", "օ": "o", "ֆ": "fspo",
}  # fmt: skip
_WRITTEN_SCRIPTS = frozenset(
    {
        "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "IDEOGRAPHIC", "ARABIC", "HEBREW", "DEVANAGARI",
        "BENGALI", "GUJARATI", "GURMUKHI", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA",
        "THAI", "LAO", "KHMER", "MYANMAR", "GEORGIAN", "ETHIOPIC",
    }
)  # fmt: skip
"""Text in these scripts alone imitates no Latin text, although single letters may
resemble Latin ones.
"""
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
"""Invisible characters whose Unicode category is "letter"."""
_TAGS = range(0xE0020, 0xE007F)
"""Invisible copies of the ASCII characters."""
_BRAILLE = range(0x2800, 0x2900)


@dataclass(frozen=True, slots=True)
class CharacterReading:
    """One reading of a character of a decomposition.

    - `letters`: the lower-case letters that it can be, itself included.
    - `is_any`: it may be taken for any letter.
    - `is_silent`: a reader may overlook it between two letters.
    - `opens`: it looks like an opening bracket.
    - `is_written`: it is a letter of a script in `_WRITTEN_SCRIPTS`.
    """

    letters: str = ""
    is_any: bool = False
    is_silent: bool = False
    opens: bool = False
    is_written: bool = False


@lru_cache(16_384)
def looks(character: str) -> tuple[CharacterReading, ...]:
    """Returns one reading per character of the compatibility decomposition."""
    code = ord(character)
    if code in _TAGS:
        return tuple(
            CharacterReading(one.letters, one.is_any, True, one.opens)
            for one in looks(chr(code - 0xE0000))
        )
    return tuple(_look(one) for one in unicodedata.normalize("NFKD", character))


def _look(character: str) -> CharacterReading:
    category = unicodedata.category(character)
    opens = (
        category in ("Ps", "Pi")
        or character in "<|"
        or (category in ("So", "Sm") and 0x2300 <= ord(character) < 0x2580)
    )
    named = _letter_of_name(character)
    if named is not None:  # a letter above another one can be read or overlooked
        return CharacterReading(_read_as(named), is_silent=category == "Mn")
    if category in ("Cn", "Co") or ord(character) in _BRAILLE:
        return CharacterReading(character, is_any=True, is_silent=True)
    if category in ("Lm", "Sk") or (category[0] in "PS" and character not in _FILLERS):
        return CharacterReading(is_any=True, is_silent=True, opens=opens)
    if category[0] in "MZC" or character in _FILLERS:
        return CharacterReading(is_silent=True)
    folded = character.casefold()[:1]
    if folded in _READ_AS or (folded.isascii() and folded.isalnum()):
        return CharacterReading(_read_as(folded))
    script = unicodedata.name(character, "").partition(" ")[0]
    return CharacterReading(folded, is_any=True, is_written=script in _WRITTEN_SCRIPTS)


def _read_as(letter: str) -> str:
    return letter + _READ_AS.get(letter, "")


def _letter_of_name(character: str) -> str | None:
    """Returns the Latin letter in the Unicode name of a character outside ASCII, if any."""
    if character.isascii():
        return None
    match = _LETTER_NAME.fullmatch(unicodedata.name(character, ""))
    return match[1].lower() if match is not None else None
