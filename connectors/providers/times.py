"""Reads times in all notations of providers and services, for every adapter alike."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Literal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_YEAR = 2000
"""An earlier time comes from a clock that was never set, or means "none" (year 1, 1900, 1970)."""
LATEST_YEAR = 2100
"""A later time is a placeholder, such as 9999-12-31."""
_UNIX_UNITS = (1, 10**3, 10**6, 10**9)
"""Units per second, for Unix times in seconds, milliseconds, microseconds and nanoseconds."""
_LEAST_UNIX_SECONDS = 10**9
_MOST_UNIX_SECONDS = 4_102_444_800
"""The limits are September 2001 and the end of 2099, between which seconds have 10 digits.

So 13, 16 and 19 digits are the finer units, and a number of another length is not a time.
"""
_LONGEST_NUMBER = 40
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_FULL = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[Tt]| +)"
    r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?"
    r" *(?:([Zz]|UTC|GMT)|([+-])([0-9]{2}):?([0-9]{2})?(?::[0-9]{2})?(?: [A-Z]{3})?)?"
)
_USUAL = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.[0-9]{3})?Z")
"""The notation of nearly all providers.

Python reads it ten times faster than `_FULL` does.
"""
_OTHER_ISO = re.compile(r"[0-9-]*W?[0-9-]+T[0-9:.,]+(?:Z|[+-][0-9:]+)?")
_ZERO_DATE = re.compile(r"0000-00-00(?:[Tt ].*)?|[01][0-9]{3}-[01][0-9]-[0-3][0-9]")
"""MySQL's zero, and a date without a time in a year before 2000, which also means "none".

Any other date without a time is not a time.
"""

Unset = Literal["unset"]
"""The result for a value that programs write if they have no time."""


def moment(value: object) -> datetime | None:
    """The instant in UTC, or None if the value is not a time or means that there is none."""
    found = _reading(value)
    return found if isinstance(found, datetime) else None


def may_be_moment(value: object) -> bool:
    """True if the value is a time, or a value that means that there is none."""
    return _reading(value) is not None


def _reading(value: object) -> datetime | Unset | None:
    """Reads RFC 3339, or a Unix time in one of four units.

    RFC 3339 may be in lower case, have a space instead of the T, and lack the offset of UTC.
    """
    try:
        if isinstance(value, bool):
            return None
        if isinstance(value, int | float):
            return _of_number(value)
        if isinstance(value, str):
            return _of_text(value.strip())
    except (ValueError, OverflowError):
        return None
    return None


def _of_number(value: int | float) -> datetime | Unset | None:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value <= 0:  # also before 1970: the zeros of Go and .NET as Unix times
        return "unset"
    for unit in _UNIX_UNITS:
        if _LEAST_UNIX_SECONDS * unit <= value < _MOST_UNIX_SECONDS * unit:
            micros = value * 10**6 // unit if isinstance(value, int) else round(value / unit * 1e6)
            return _EPOCH + timedelta(microseconds=micros)
    return None


def _of_text(text: str) -> datetime | Unset | None:
    if _USUAL.fullmatch(text):
        return datetime.fromisoformat(text)
    if not text or _ZERO_DATE.fullmatch(text):
        return "unset"
    if len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text):
        return _of_number(float(text) if "." in text else int(text))
    match = _FULL.fullmatch(text)
    if match is not None:
        return _of_fields(match)
    if _OTHER_ISO.fullmatch(text.upper()):
        return _within_reason(datetime.fromisoformat(text.upper()))
    return None


def _of_fields(match: re.Match[str]) -> datetime | Unset | None:
    year, month, day, hour, minute = (int(match[number]) for number in range(1, 6))
    second, fraction = int(match[6] or 0), (match[7] or "0")[:6].ljust(6, "0")
    is_near = EARLIEST_YEAR - 1 <= year <= LATEST_YEAR
    is_leap = second == 60
    local = datetime(
        # The other fields must be valid in any year.
        year if is_near else EARLIEST_YEAR,
        month,
        day,
        hour,
        minute,
        59 if is_leap else second,
        int(fraction),
    )
    utc = _in_utc(local, match) + timedelta(seconds=is_leap)
    return _within_reason(utc) if is_near else "unset"


def _in_utc(local: datetime, match: re.Match[str]) -> datetime:
    if match[9] is None:
        return local.replace(tzinfo=UTC)
    hours, minutes = int(match[10]), int(match[11] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError("no offset is that large")
    offset = timedelta(hours=hours, minutes=minutes) * (-1 if match[9] == "-" else 1)
    return (local - offset).replace(tzinfo=UTC)


def _within_reason(instant: datetime) -> datetime | Unset:
    if not EARLIEST_YEAR - 1 <= instant.year <= LATEST_YEAR:
        # A conversion would leave the calendar in its first and last year.
        return "unset"
    utc = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    return utc if EARLIEST_YEAR <= utc.year < LATEST_YEAR else "unset"
