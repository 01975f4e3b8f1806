"""Decides whether bytes are text.

A text may begin with words that look like the signature of a binary format.
"""

import codecs
import re
import unicodedata

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
"""Control characters that do not occur in text.

Tabs, line ends, form feeds and the escape character of terminals do occur.
"""
_MARKS = (  # the longer ones first, because that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNMARKED = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_SPACES = frozenset("\t\n\r\f\x1a\x1b")
_UNSEEN = frozenset({"Cf", "Co", "Zs", "Zl", "Zp"})
_MOST_HIGH_BYTES = 0.3
_LEAST_ASCII = 0.7
_MOST_ODD = 1 / 50
_SIGNATURE_BYTES = 4
_LONG_ENOUGH = 32
"""Every binary format has a control character within this many bytes."""


def plain_text(head: bytes) -> str | None:
    """The text that certainly begins with `head`, or None.

    It is UTF-8, or any Unicode encoding with a byte order mark. Formats of pictures,
    sound and programs have control characters within their first bytes, so what this
    accepts need not be checked for their signatures.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            text = _decoded(head[len(mark) :], encoding)
            if text is not None and _is_readable(text):
                return text
    text = _decoded(head, "utf-8")
    return text if text and not _CONTROLS.search(text) else None


def unmarked_text(head: bytes, is_declared_text: bool) -> str | None:
    """The text that `head` most probably is if it has no known signature, or None.

    It may be UTF-16 or UTF-32 without a byte order mark, UTF-8 with a few control
    characters, or an 8-bit code page.
    """
    if b"\0" in head:
        for encoding in _UNMARKED:
            text = _decoded(head, encoding)
            if text and _is_readable(text) and _ascii_share(text) >= _LEAST_ASCII:
                return text
        return None
    text = _decoded(head, "utf-8")
    return text if text is not None else _code_page_text(head, is_declared_text)


def words_of_a_code_page(head: bytes, is_declared_text: bool) -> str | None:
    """The text of an 8-bit code page, even if `head` begins with a signature, or None.

    A few bytes that are not all ASCII are too little evidence.
    """
    if len(head) < _LONG_ENOUGH and not head[:_SIGNATURE_BYTES].isascii():
        return None
    return _code_page_text(head, is_declared_text)


def _code_page_text(head: bytes, is_declared_text: bool) -> str | None:
    text = head.decode("latin-1")
    high = sum(byte >= 0x80 for byte in head) / len(head)
    is_text = not _CONTROLS.search(text) and (is_declared_text or high <= _MOST_HIGH_BYTES)
    return text if is_text else None


def _decoded(head: bytes, encoding: str) -> str | None:
    """Decodes `head`, whose last character may be incomplete; None if it is not valid."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None


def _is_readable(text: str) -> bool:
    """True if nearly all characters are ones that people write."""
    odd = sum(map(_is_odd, text))
    return odd <= max(1, len(text) * _MOST_ODD) and (odd == 0 or odd < len(text) / 2)


def _is_odd(character: str) -> bool:
    """True if the character hardly ever occurs in text.

    Private-use characters, and characters newer than this Python's tables, do occur.
    """
    if character.isprintable() or character in _SPACES:
        return False
    category = unicodedata.category(character)
    return category not in _UNSEEN if category != "Cn" else _is_never_assigned(ord(character))


def _is_never_assigned(number: int) -> bool:
    return number & 0xFFFE == 0xFFFE or 0xFDD0 <= number <= 0xFDEF


def _ascii_share(text: str) -> float:
    return sum(character.isascii() for character in text) / len(text)
