"""The two forms of a phone number in countries that changed their numbering."""

import re

_OTHER_FORMS = (
    # Mexico dropped the 1 of mobile numbers in 2019. Many WhatsApp accounts still have it.
    (re.compile(r"521([2-9][0-9]{9})"), r"52\1"),
    (re.compile(r"52([2-9][0-9]{9})"), r"521\1"),
    # Brazil put a 9 before mobile numbers until 2016. Older WhatsApp accounts do not have it.
    (re.compile(r"(55[1-9][1-9])9([6-9][0-9]{7})"), r"\1\2"),
    (re.compile(r"(55[1-9][1-9])([6-9][0-9]{7})"), r"\g<1>9\2"),
    # Argentina has a 9 before mobile numbers called from abroad. People often leave it out.
    (re.compile(r"549([1-3][0-9]{9})"), r"54\1"),
    (re.compile(r"54([1-3][0-9]{9})"), r"549\1"),
)
_COUNTRIES = ("52", "54", "55")
"""The country codes in the patterns. Other numbers need no comparison with them."""


def forms_of(digits: str) -> tuple[str, ...]:
    """The number as given, and its other form if it has one.

    Both forms belong to one subscriber: Brazilian landlines (8 digits that begin with 2 to
    5) have no ninth digit, and an Argentine number is either a mobile or a landline.
    """
    if not digits.startswith(_COUNTRIES):
        return (digits,)
    for pattern, other in _OTHER_FORMS:
        if pattern.fullmatch(digits):
            return digits, pattern.sub(other, digits)
    return (digits,)
