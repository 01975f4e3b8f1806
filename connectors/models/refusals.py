"""Whether an answer holds nothing but a refusal.

A description often begins with what the model cannot tell ("I can't identify the
person, but …"), so the first words decide nothing. An answer is a refusal when it is
short, says in one of the known languages that the model will not or cannot do what it
was asked, and every other word of it belongs to the vocabulary of refusals as well: the
picture, the request, the rules, apologies, offers of other help. The first word about
something in the picture makes it a description. A refusal that the text only quotes is
writing in the picture.
"""

import html
import re
import unicodedata
from dataclasses import dataclass

from connectors.models.refusal_words import LANGUAGES, ORGANISATION, UNCLEAR_THING, Vocabulary

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
    """Whether the text says that the model will not answer, and nothing else."""
    if not text or len(text) > LONGEST_REFUSAL_CHARS:
        return False
    plain = _plain(text)
    said = _words(plain)
    unquoted = _words(_QUOTED.sub(" ", plain))
    if not unquoted and _ORGANISATION.search(said) is not None:
        return False  # A notice, read from the picture.
    if _UNCLEAR_THING.search(said) is not None:
        return False
    return any(_refuses(language, said, unquoted) for language in _LANGUAGES)


def _refuses(language: _Language, said: str, unquoted: str) -> bool:
    return (
        language.core.search(unquoted or said) is not None
        and language.about_the_picture.search(said) is None
        and all(map(language.word.fullmatch, language.offer.sub(" ", said).split()))
    )


def _words(plain: str) -> str:
    return " ".join(_WORD.findall(plain))


def _plain(text: str) -> str:
    """Lower case, without accents and tags, and with one form of the apostrophe."""
    lower = _TAG.sub(" ", html.unescape(text).casefold()).translate(_APOSTROPHES)
    apart = unicodedata.normalize("NFKD", lower)
    return "".join(character for character in apart if not unicodedata.combining(character))
