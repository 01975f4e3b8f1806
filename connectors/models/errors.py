"""Classifies the errors of model APIs: whose fault each is, and what to do about it."""

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

from connectors.errors import ConnectorsError
from connectors.models import error_words as words
from connectors.models.complaints import Complaint
from schemas.outcomes import Unavailable

LONGEST_RETRY_AFTER_SECONDS = 300.0
BAD_KEY_SECONDS = 30.0
NO_QUOTA_SECONDS = 120.0
SHORTEST_SPLIT_SECONDS = 30.0
"""The shortest part into which a sound is cut.

A misread error must not lead to thousands of calls.
"""

ModelTrouble = Literal[
    "model_rejected_key",  # 401, or a code that says so
    "model_not_served",  # the account does not have the model, or it has ended
    # A parameter, a language or a route that cannot be adapted.
    "model_rejects_request",
    "model_cannot_see",  # a text model was asked about a picture
    "model_account",  # billing, permission, region
    "model_out_of_quota",
    "model_rate_limited",
    "model_takes_nothing",  # the server refused each of the last files
    "model_timeout",
    "model_unreachable",
    "model_server_error",
    "model_malformed_answer",
]
"""The first word of Unavailable.detail: a closed list, which metrics and advice use."""


class ModelUnavailable(Unavailable):
    """Unavailable with what="model" and the trouble as a value."""

    def __init__(
        self, trouble: ModelTrouble, retry_after: float, *, hold: bool = False, more: str = ""
    ) -> None:
        detail = f"{trouble}: {more}" if more else trouble
        super().__init__("model", retry_after, hold, detail)

    @property
    def trouble(self) -> str:
        return self.detail.partition(":")[0]


class ModelNotServed(ModelUnavailable):
    """The server does not serve this model.

    The next model of a list may still be served.
    """

    def __init__(self, more: str) -> None:
        super().__init__("model_not_served", BAD_KEY_SECONDS, hold=True, more=more)


class Declined(ConnectorsError):
    """The API's policy declines this file."""


class FileRefused(ConnectorsError):
    """The server does not accept this file in this form.

    That says nothing about its content.
    """


class SoundTooShort(ConnectorsError):
    """The sound is shorter than the model accepts."""


@dataclass(slots=True)
class SoundTooLong(ConnectorsError):
    """The sound is longer than the model accepts.

    `seconds` is the maximum, as far as the server stated it.
    """

    seconds: float


class ParameterRejected(ConnectorsError):
    """The request has to be sent in another form."""


_DURATION = re.compile(
    r"(?P<number>\d+(?:[.,]\d+)?)\s*"
    r"(?P<unit>milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h)\b",
    re.IGNORECASE,
)
_UNITS = {"mi": 60.0, "m": 60.0, "h": 3600.0, "s": 1.0, "ms": 0.001, "milli": 0.001}
_TOO_LONG = re.compile(
    r"\b(?:longer|too long|over|exceed\w*|maximum|max|at most|limit\w*|larger|too large)\b",
    re.IGNORECASE,
)
_TOO_SHORT = re.compile(r"\b(?:shorter|too short|minimum|at least)\b", re.IGNORECASE)
_OF_SOUND = re.compile(
    r"\b(?:audio|sound|duration|recording|speech|length|clip|file)\b", re.IGNORECASE
)
_TOO_LONG_CODES = frozenset({"audio_too_long", "audio_duration_exceeded", "input_too_large"})
_TOO_SHORT_CODES = frozenset({"audio_too_short", "audio_duration_too_short"})
_A_SOUND = r"\b(?:audio|sound|recording|speech|clip|duration)\b[^.]{0,40}?"
_SOUND_TOO_LONG = re.compile(
    rf"{_A_SOUND}\btoo long\b|\b(?:file|content|payload|body)\b[^.]{{0,40}}?\btoo large\b"
    r"|\bmaximum (?:file|content) size\b",
    re.IGNORECASE,
)
_SOUND_TOO_SHORT = re.compile(rf"{_A_SOUND}\btoo short\b", re.IGNORECASE)
_CONTENT = re.compile(r"messages\W+\d+\W+content(?:\W+\w*str\w*)?\W*\Z")
_OF_THE_FILE = frozenset(
    {
        "file", "image", "images", "image_url", "url", "messages", "content", "audio", "input",
        "input_audio", "input_image", "data", "body",
    }
)  # fmt: skip


def raise_meaning(
    complaint: Complaint, headers: Mapping[str, str], *, sound_seconds: float | None = None
) -> None:
    """Raises the exception for an error of the API.

    ParameterRejected means that another form of the request may be accepted.
    `sound_seconds` is the length of the sound that was sent, or None for a picture.
    """
    status, codes, message = complaint.status, complaint.codes, complaint.message
    _raise_of_rate_or_policy(complaint, headers)
    if status == 401 or codes & words.KEY_CODES or _says(words.KEY, complaint):
        raise _held("model_rejected_key", complaint)
    if sound_seconds is None:
        _raise_of_sight(complaint)
    elif words.CANNOT_HEAR.search(message):
        raise _held("model_rejects_request", complaint)
    if status in (408, 409, 425) or status >= 500:
        late = status in (408, 504)
        raise _later("model_timeout" if late else "model_server_error", complaint, headers)
    if codes & words.NOT_SERVED_CODES or status == 410 or complaint.parameter == "model":
        raise ModelNotServed(complaint.summary)
    if _says_not_served(complaint):
        raise ModelNotServed(complaint.summary)
    if codes & words.ACCOUNT_CODES or status in (402, 403, 407) or _says(words.ACCOUNT, complaint):
        raise _held("model_account", complaint)
    if status not in (400, 413, 415, 422):
        raise _held("model_rejects_request", complaint)
    _raise_of_the_server(complaint, headers)
    if sound_seconds is not None:
        _raise_of_length(complaint, sound_seconds)
    if status in (400, 422) and not _is_about_the_file(complaint):
        raise ParameterRejected(complaint.summary)
    raise FileRefused(complaint.summary)


def _raise_of_rate_or_policy(complaint: Complaint, headers: Mapping[str, str]) -> None:
    """Raises for a rate limit or a refusal by policy.

    This is checked before the status, because gateways use 400, 403 and 413 for these
    errors too.
    """
    status, codes = complaint.status, complaint.codes
    is_quota = bool(codes & words.QUOTA_CODES) or words.QUOTA.search(complaint.message) is not None
    if is_quota and (status < 500 or codes & words.QUOTA_CODES):
        raise ModelUnavailable("model_out_of_quota", NO_QUOTA_SECONDS, hold=True, more=str(status))
    is_policy = bool(codes & words.POLICY_CODES) or (
        status not in (401, 402)
        and not codes & words.ACCOUNT_CODES
        and words.ACCOUNT.search(complaint.message) is None
        and words.POLICY.search(complaint.message) is not None
    )
    if status != 429 and status < 500 and is_policy:
        raise Declined(complaint.summary)
    if status == 429 or codes & words.RATE_CODES or _says(words.RATE, complaint):
        raise ModelUnavailable(
            "model_rate_limited", retry_after(headers), hold=True, more=str(status)
        )


def _raise_of_sight(complaint: Complaint) -> None:
    """Raises if the model accepts no pictures, or no system message beside one."""
    wants_text = "string_type" in complaint.codes and _CONTENT.search(complaint.path) is not None
    if wants_text or words.CANNOT_SEE.search(complaint.message):
        raise _held("model_cannot_see", complaint)
    if complaint.is_about_the_system_role:
        raise ParameterRejected(complaint.summary)


def _raise_of_the_server(complaint: Complaint, headers: Mapping[str, str]) -> None:
    """Raises if a 4xx is about the server itself, a route or a setting."""
    status, message = complaint.status, complaint.message
    if complaint.codes & words.SERVER_CODES or words.LATER.search(message):
        raise _later("model_server_error", complaint, headers)
    if status in (413, 415) or _is_about_the_file(complaint):
        return
    if words.TIMED_OUT.search(message):
        raise _later("model_timeout", complaint, headers)
    if complaint.codes & words.REQUEST_CODES or words.REQUEST.search(message):
        raise _held("model_rejects_request", complaint)


def is_about_the_request(complaint: Complaint) -> bool:
    """True if an error without a known adaptation is about the request, not about the file."""
    return bool(
        complaint.parameter
        or complaint.is_about_the_system_role
        or complaint.names(("reasoning_effort", "temperature"))
        or complaint.codes
        & {
            "unsupported_parameter", "unknown_parameter", "unsupported_value", "extra_forbidden",
            "missing_required_parameter", "invalid_language_format", "missing", "invalid_model",
        }
    )  # fmt: skip


def _is_about_the_file(complaint: Complaint) -> bool:
    name = complaint.parameter
    in_a_message = "messages" in complaint.path and name not in ("role", "detail")
    return in_a_message or name in _OF_THE_FILE


def _held(trouble: ModelTrouble, complaint: Complaint) -> ModelUnavailable:
    return ModelUnavailable(trouble, BAD_KEY_SECONDS, hold=True, more=complaint.summary)


def _later(
    trouble: ModelTrouble, complaint: Complaint, headers: Mapping[str, str]
) -> ModelUnavailable:
    return ModelUnavailable(trouble, retry_after(headers), more=complaint.summary)


def _says(words_of_it: re.Pattern[str], complaint: Complaint) -> bool:
    return complaint.status < 500 and words_of_it.search(complaint.message) is not None


def _says_not_served(complaint: Complaint) -> bool:
    of_the_model = complaint.status in (403, 404) or complaint.parameter in ("", "model")
    return of_the_model and words.NOT_SERVED.search(complaint.message) is not None


def _raise_of_length(complaint: Complaint, sent_seconds: float) -> None:
    """Raises SoundTooLong or SoundTooShort if the error is about the length of the sound."""
    if complaint.status == 413:
        raise SoundTooLong(max(SHORTEST_SPLIT_SECONDS, sent_seconds / 2))
    message = complaint.message
    lengths = [_in_seconds(found) for found in _DURATION.finditer(message)]
    of_length = bool(complaint.codes & _TOO_LONG_CODES) or _SOUND_TOO_LONG.search(message)
    if complaint.codes & _TOO_SHORT_CODES or _SOUND_TOO_SHORT.search(message):
        raise SoundTooShort(complaint.summary)
    if not of_length and not (lengths and _OF_SOUND.search(message)):
        return
    if _TOO_SHORT.search(message) and not re.search(r"longer|too long|exceed", message, re.I):
        raise SoundTooShort(complaint.summary)
    if of_length or _TOO_LONG.search(message):
        smaller = [length for length in lengths if SHORTEST_SPLIT_SECONDS <= length < sent_seconds]
        raise SoundTooLong(max(smaller, default=max(SHORTEST_SPLIT_SECONDS, sent_seconds / 2)))


def _in_seconds(found: re.Match[str]) -> float:
    unit = found["unit"].lower()
    key = next(key for key in ("milli", "ms", "mi", "m", "h", "s") if unit.startswith(key))
    return float(found["number"].replace(",", ".")) * _UNITS[key]


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds to wait that the server asked for, as a number or a date, within limits."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        seconds = _seconds(headers.get(name, ""))
        if seconds is not None:
            return min(max(seconds / scale, 0.1), LONGEST_RETRY_AFTER_SECONDS)
    return 2.0


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(seconds) else seconds


MALFORMED = (
    json.JSONDecodeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    RecursionError,
)
"""The exceptions that reading an answer of another shape raises."""
