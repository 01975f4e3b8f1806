"""Times as providers and services write them. One reading for every adapter."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Literal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_YEAR = 2000
"""An earlier time is a clock that was never set, or a zero: year 1, 1900, 1970, 1980."""
LATEST_YEAR = 2100
"""A later time is a placeholder such as 9999-12-31, the end of a calendar."""
_UNIX_UNITS = (1, 10**3, 10**6, 10**9)
"""Seconds, milliseconds, microseconds, nanoseconds."""
_LEAST_UNIX_SECONDS = 10**9
_MOST_UNIX_SECONDS = 4_102_444_800
"""September 2001 to the end of 2099: 10 digits, so that 13, 16 and 19 digits are the
finer units and no other length is a time.
"""
_LONGEST_NUMBER = 40
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_FULL = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[Tt]| +)"
    r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?"
    r" *(?:([Zz]|UTC|GMT)|([+-])([0-9]{2}):?([0-9]{2})?(?::[0-9]{2})?(?: [A-Z]{3})?)?"
)
_USUAL = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.[0-9]{3})?Z")
"""What providers write nearly always. Python reads it in a tenth of the time that
`_FULL` takes, to the same instant.
"""
_OTHER_ISO = re.compile(r"[0-9-]*W?[0-9-]+T[0-9:.,]+(?:Z|[+-][0-9:]+)?")
_ZERO_DATE = re.compile(r"0000-00-00(?:[Tt ].*)?|[01][0-9]{3}-[01][0-9]-[0-3][0-9]")
"""MySQL's zero, and a date alone of a year that is a zero.

Another date alone is not a time.
"""

Unset = Literal["unset"]
"""A value that a program writes where it has no time."""


def moment(value: object) -> datetime | None:
    """The instant in UTC; None where none is given, or where the value is not a time."""
    found = _reading(value)
    return found if isinstance(found, datetime) else None


def may_be_moment(value: object) -> bool:
    """Whether the value may stand where a time is expected: it is a time, or a zero
    that says "no time given".
    """
    return _reading(value) is not None


def _reading(value: object) -> datetime | Unset | None:
    """RFC 3339 (also in lower case, with a space, without an offset for UTC), or Unix
    time in one of four units.
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
        year if is_near else EARLIEST_YEAR,  # the other fields must be valid in any year
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
        return "unset"  # a conversion would leave the calendar in its first and last year
    utc = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    return utc if EARLIEST_YEAR <= utc.year < LATEST_YEAR else "unset"
