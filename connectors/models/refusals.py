"""Whether an answer holds nothing but a refusal.

A description often begins with what the model cannot tell ("I can't identify the person, but …"),
so the first words decide nothing. An answer is a refusal when it is short, says in one of the
known languages that the model will not or cannot do what it was asked, and every other word of it
belongs to the vocabulary of refusals as well: the picture, the request, the rules, apologies,
offers of other help. The first word about something in the picture makes it a description.
"""

import re
import unicodedata
from dataclasses import dataclass

from connectors.models.refusal_words import LANGUAGES, Vocabulary

LONGEST_REFUSAL_CHARS = 700
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ＇`´ʹ′‛", "'"))
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True, slots=True)
class _Language:
    core: re.Pattern[str]
    about_the_picture: re.Pattern[str]
    word: re.Pattern[str]


def _compiled(vocabulary: Vocabulary) -> _Language:
    words = "|".join(
        re.escape(word[:-1]) + r"[\w']*" if word.endswith("*") else re.escape(word)
        for word in vocabulary.words.split()
    )
    return _Language(
        re.compile("|".join(rf"\b(?:{core})" for core in vocabulary.cores)),
        re.compile(vocabulary.about_the_picture),
        re.compile(words),
    )


_LANGUAGES = tuple(_compiled(vocabulary) for vocabulary in LANGUAGES)


def is_refusal(text: str) -> bool:
    """Whether the text says that the model will not answer, and nothing else."""
    if not text or len(text) > LONGEST_REFUSAL_CHARS:
        return False
    words = _WORD.findall(_plain(text))
    said = " ".join(words)
    return any(
        language.core.search(said) is not None
        and language.about_the_picture.search(said) is None
        and all(language.word.fullmatch(word) is not None for word in words)
        for language in _LANGUAGES
    )


def _plain(text: str) -> str:
    """Lower case, without accents, and with one form of the apostrophe."""
    apart = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES).casefold())
    return "".join(character for character in apart if not unicodedata.combining(character))
