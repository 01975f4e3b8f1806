"""What an error of an API means: whose trouble it is, and what to do about it."""

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

from connectors.models.complaints import Complaint
from schemas.outcomes import Unavailable

LONGEST_RETRY_AFTER_SECONDS = 300.0
BAD_KEY_SECONDS = 30.0
NO_QUOTA_SECONDS = 120.0
SHORTEST_SPLIT_SECONDS = 30.0
"""No sound is cut into smaller parts: a misread error must not become thousands of calls."""

Trouble = Literal[
    "model_rejected_key",  # 401, or a code that says so
    "model_not_served",  # the account does not have the model, or it has ended
    "model_rejects_request",  # a parameter, a language or a route that cannot be adapted
    "model_cannot_see",  # a text model was asked about a picture
    "model_account",  # billing, permission, region
    "model_out_of_quota",
    "model_rate_limited",
    "model_takes_nothing",  # each of the last files was answered "not this", whatever it was
    "model_timeout",
    "model_unreachable",
    "model_server_error",
    "model_malformed_answer",
]
"""The first word of Unavailable.detail. A closed list: metrics and advice go by it."""


class ModelUnavailable(Unavailable):
    """Unavailable of what="model", with the trouble as a value."""

    def __init__(
        self, trouble: Trouble, retry_after: float, *, hold: bool = False, more: str = ""
    ) -> None:
        detail = f"{trouble}: {more}" if more else trouble
        super().__init__("model", retry_after, hold, detail)

    @property
    def trouble(self) -> str:
        return self.detail.partition(":")[0]


class ModelNotServed(ModelUnavailable):
    """This model, and not the next of a list."""

    def __init__(self, more: str) -> None:
        super().__init__("model_not_served", BAD_KEY_SECONDS, hold=True, more=more)


class Declined(Exception):
    """The API's policy declines this file."""


class NotTaken(Exception):
    """The server does not take this file in this form. It is no verdict about what the file
    holds."""


class SoundTooShort(Exception):
    """The sound is shorter than the model takes."""


@dataclass(slots=True)
class SoundTooLong(Exception):
    """The sound is longer than the model takes; `seconds` is the most it takes, as far as it
    said."""

    seconds: float


class ParameterRejected(Exception):
    """The request has to be formed in another way."""


_POLICY_CODES = frozenset(
    {
        "content_filter", "content_policy", "content_policy_violation", "policy_violation",
        "image_content_policy_violation", "responsible_ai_policy_violation",
        "responsibleaipolicyviolation", "content_moderation", "content_moderated",
        "moderation_blocked", "moderation", "moderation_error", "safety", "safety_error",
        "safety_violation", "safety_violations", "unsafe_content", "sexual_content",
        "invalid_prompt", "usage_policy_violation", "flagged", "content_blocked",
        "data_inspection_failed", "datainspectionfailed", "prohibited_content",
    }
)  # fmt: skip
_KEY_CODES = frozenset(
    {"invalid_api_key", "incorrect_api_key", "invalid_authentication", "authentication_error"}
)
_ACCOUNT_CODES = frozenset(
    {
        "billing_not_active", "billing_hard_limit_reached", "account_deactivated",
        "account_suspended", "organization_restricted", "permission_denied", "permission_error",
        "insufficient_permissions", "unsupported_country_region_territory", "access_terminated",
        "project_not_found", "organization_not_found", "ip_not_authorized", "access_denied",
        "payment_required", "insufficient_balance", "model_permission_denied",
    }
)  # fmt: skip
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "quota_exceeded"})
_NOT_SERVED_CODES = frozenset(
    {
        "model_not_found", "model_decommissioned", "model_deprecated", "model_retired",
        "model_not_available", "model_unavailable", "model_terms_required", "invalid_model",
        "model_not_supported", "model_blocked", "modelnotfound", "deploymentnotfound",
        "deployment_not_found", "unknown_model", "model_access_denied",
    }
)  # fmt: skip
_NOT_SERVED = re.compile(
    r"\bmodel\b.{0,120}?(?:not (?:be )?(?:found|exist|available|loaded|installed|downloaded|served)"
    r"|(?:does|do|did)(?:n['’]t| not) exist|no longer|decommissioned|deprecated|retired|shut ?down"
    r"|has been removed|unknown|not have access)"
    r"|(?:no such|unknown|invalid|not have access to|no access to)(?: the)? model\b|try pulling it",
    re.IGNORECASE | re.DOTALL,
)
_CANNOT_SEE = re.compile(
    r"mmproj|image input is not supported|(?:image|images|vision|image_url|multimodal)\b.{0,60}?"
    r"(?:not|n['’]t) (?:be )?support(?:ed)?(?: by| with| for| on)(?: this| the)? model"
    r"|(?:not|n['’]t) (?:a multimodal|support(?: the)? (?:image|vision|multimodal))"
    r"|image_url is only supported by certain models|at most 0 image",
    re.IGNORECASE | re.DOTALL,
)
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
_OF_THE_FILE = frozenset(
    {
        "file", "image", "images", "image_url", "url", "messages", "content", "audio", "input",
        "input_audio", "input_image", "data", "body",
    }
)  # fmt: skip


def raise_meaning(
    complaint: Complaint, headers: Mapping[str, str], *, sound_seconds: float | None = None
) -> None:
    """Raises what the error means; ParameterRejected where another form of the request may help.

    `sound_seconds` is the length of the sound that was sent; None when it was a picture.
    """
    status, codes = complaint.status, complaint.codes
    if status == 429 or codes & _QUOTA_CODES:
        raise _too_much(complaint, headers)
    if codes & _POLICY_CODES and status < 500:
        raise Declined(complaint.summary)
    if status == 401 or codes & _KEY_CODES:
        raise ModelUnavailable(
            "model_rejected_key", BAD_KEY_SECONDS, hold=True, more=complaint.summary
        )
    if sound_seconds is None and _CANNOT_SEE.search(complaint.message):
        raise _held("model_cannot_see", complaint)
    if status in (408, 409, 425) or status >= 500:
        raise ModelUnavailable(
            "model_timeout" if status in (408, 504) else "model_server_error",
            retry_after(headers),
            more=complaint.summary,
        )
    if codes & _NOT_SERVED_CODES or status == 410 or complaint.parameter == "model":
        raise ModelNotServed(complaint.summary)
    if _says_not_served(complaint):
        raise ModelNotServed(complaint.summary)
    if codes & _ACCOUNT_CODES or status in (402, 403, 407):
        raise _held("model_account", complaint)
    if status not in (400, 413, 415, 422):
        raise _held("model_rejects_request", complaint)
    if sound_seconds is not None:
        _raise_of_length(complaint, sound_seconds)
    if status in (400, 422) and not _is_about_the_file(complaint):
        raise ParameterRejected(complaint.summary)
    raise NotTaken(complaint.summary)


def is_about_the_request(complaint: Complaint) -> bool:
    """Whether an error that could not be adapted to speaks of the request rather than of the
    file."""
    return bool(
        complaint.parameter
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


def _held(trouble: Trouble, complaint: Complaint) -> ModelUnavailable:
    return ModelUnavailable(trouble, BAD_KEY_SECONDS, hold=True, more=complaint.summary)


def _too_much(complaint: Complaint, headers: Mapping[str, str]) -> ModelUnavailable:
    if complaint.codes & _QUOTA_CODES or "insufficient_quota" in complaint.message:
        return ModelUnavailable("model_out_of_quota", NO_QUOTA_SECONDS, hold=True, more="429")
    return ModelUnavailable("model_rate_limited", retry_after(headers), hold=True, more="429")


def _says_not_served(complaint: Complaint) -> bool:
    of_the_model = complaint.status in (403, 404) or complaint.parameter in ("", "model")
    return of_the_model and _NOT_SERVED.search(complaint.message) is not None


def _raise_of_length(complaint: Complaint, sent_seconds: float) -> None:
    """Raises SoundTooLong or SoundTooShort when the error speaks of the length of the sound."""
    if complaint.status == 413:
        raise SoundTooLong(max(SHORTEST_SPLIT_SECONDS, sent_seconds / 2))
    message = complaint.message
    lengths = [_in_seconds(found) for found in _DURATION.finditer(message)]
    of_length = bool(complaint.codes & {"audio_too_long", "audio_duration_exceeded"})
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
    """Seconds, as the server asked by number or by date, within reason."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        asked = _seconds(headers.get(name, ""))
        if asked is not None:
            return min(max(asked / scale, 0.1), LONGEST_RETRY_AFTER_SECONDS)
    return 2.0


def _seconds(value: str) -> float | None:
    try:
        asked = float(value)
    except ValueError:
        try:
            asked = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(asked) else asked


MALFORMED = (
    json.JSONDecodeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    RecursionError,
)
"""What reading an answer of another shape raises."""
