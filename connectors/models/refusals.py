"""Recognises answers that contain nothing but a refusal.

A description often begins with what the model cannot tell ("I can't identify the
person, but …"), so the first words decide nothing. An answer is a refusal if it is
short, says in one of the known languages that the model will not or cannot do what it
was asked, and contains only words from the vocabulary of refusals: the picture, the
request, the rules, apologies, offers of other help. The first word about something in
the picture makes it a description. A refusal that the text only quotes is writing in
the picture.
"""

import html
import re
import unicodedata
from dataclasses import dataclass

from connectors.models.refusal_words import LANGUAGES
from connectors.models.refusal_words.vocabulary import (
    ORGANISATION,
    UNCLEAR_THING,
    Vocabulary,
)

LONGEST_REFUSAL_CHARS = 700
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘‚ʼ＇`´ʹ′‛", "'"))
_TAG = re.compile(r"</?[a-z][^<>]*>")
_QUOTED = re.compile(r"""["“”„«»][^"“”„«»]*(?:["“”„«»]|$)|(?<!\w)'.+?'(?!\w)""", re.DOTALL)
_ORGANISATION = re.compile(rf"\b(?:{ORGANISATION})\b")
_UNCLEAR_THING = re.compile(rf"\b(?:{UNCLEAR_THING})")
_ARTICLE = r"(?:(?:[cdjlmnst]|qu|un|all|dall|dell|nell|sull)')?"
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True, slots=True)
class _Language:
    core: re.Pattern[str]
    about_the_picture: re.Pattern[str]
    offer: re.Pattern[str]
    word: re.Pattern[str]


def _compiled(vocabulary: Vocabulary) -> _Language:
    words = "|".join(
        re.escape(word[:-1]) + r"[\w']*" if word.endswith("*") else re.escape(word)
        for word in vocabulary.words.split()
    )
    return _Language(
        re.compile("|".join(rf"\b(?:{core})" for core in vocabulary.cores)),
        re.compile(vocabulary.about_the_picture),
        re.compile(rf"(?<!no )(?<!nao )(?<!non )(?<!ne )\b(?:{vocabulary.offer})"),
        re.compile(rf"{_ARTICLE}(?:{words})"),
    )


_LANGUAGES = tuple(_compiled(vocabulary) for vocabulary in LANGUAGES)


def is_refusal(text: str) -> bool:
    """True if the text says that the model will not answer, and nothing else."""
    if not text or len(text) > LONGEST_REFUSAL_CHARS:
        return False
    plain = _plain(text)
    words = _words(plain)
    unquoted = _words(_QUOTED.sub(" ", plain))
    if not unquoted and _ORGANISATION.search(words) is not None:
        return False  # the text of a notice in the picture
    if _UNCLEAR_THING.search(words) is not None:
        return False
    return any(_refuses(language, words, unquoted) for language in _LANGUAGES)


def _refuses(language: _Language, words: str, unquoted: str) -> bool:
    return (
        language.core.search(unquoted or words) is not None
        and language.about_the_picture.search(words) is None
        and all(map(language.word.fullmatch, language.offer.sub(" ", words).split()))
    )


def _words(plain: str) -> str:
    return " ".join(_WORD.findall(plain))


def _plain(text: str) -> str:
    """Converts to lower case without accents and tags, and unifies apostrophes."""
    lower = _TAG.sub(" ", html.unescape(text).casefold()).translate(_APOSTROPHES)
    apart = unicodedata.normalize("NFKD", lower)
    return "".join(character for character in apart if not unicodedata.combining(character))
