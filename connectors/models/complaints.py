"""Reads the error answers of APIs, in any of the forms that servers use.

OpenAI: {"error": {message, type, param, code}}. Ollama, LM Studio, whisper.cpp:
{"error": "text"}. vLLM and FastAPI: {"detail": [{loc, msg, type}]} or {"detail":
"text"}, and the fields of OpenAI at the top level. Azure: a second code in
`innererror`. Anything else is treated as text.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

MOST_CHARS = 2_000
Sort = Literal["parameter", "value", "missing"]
"""The kinds of errors about a parameter.

`parameter` means that its name is unknown, `value` that its value is not accepted, and
`missing` that it has to be sent.
"""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One error answer.

    `codes` are all its codes and types in lower case. `parameter` is the last part of a
    path such as messages[0].role.
    """

    status: int
    message: str
    codes: frozenset[str]
    path: str = ""

    @property
    def parameter(self) -> str:
        names = [name for name in re.split(r"[.\[\]/]+", self.path) if name and not name.isdigit()]
        return _ALIASES.get(names[-1], names[-1]) if names else ""

    @property
    def is_about_the_system_role(self) -> bool:
        return _SYSTEM_ROLE.search(self.message) is not None

    @property
    def summary(self) -> str:
        """The status, codes and parameter, for logs and operators, without any text of the API."""
        return " ".join([str(self.status), *sorted(self.codes), self.parameter]).strip()

    def sort(self) -> Sort:
        """The kind of error: the parameter is unknown, has a wrong value, or is missing."""
        if self.codes & _MISSING_CODES or _MISSING.search(self.message):
            return "missing"
        if self.codes & _UNKNOWN_CODES:
            return "parameter"
        if self.codes & _VALUE_CODES or _VALUE.search(self.message):
            return "value"
        return "parameter" if _UNKNOWN.search(self.message) else "value"

    def names(self, parameters: Collection[str]) -> str:
        """The parameter that the error is about, or an empty string.

        It is the declared one, or the one of `parameters` that the text names or
        describes.
        """
        if self.parameter:
            return self.parameter
        named = next((name for name in parameters if _named(name, self.message)), "")
        return named or next(
            (
                name
                for name in parameters
                if name in _DESCRIBED and _DESCRIBED[name].search(self._codes_and_message)
            ),
            "",
        )

    @property
    def _codes_and_message(self) -> str:
        return " ".join((*sorted(self.codes), self.message))


_ALIASES = {
    "effort": "reasoning_effort",
    "reasoning": "reasoning_effort",
    "think": "reasoning_effort",
    "thinking": "reasoning_effort",
}
_OF_LANGUAGE = re.compile(
    r"\b(?:unknown|unsupported|invalid)[ _]language|\blanguage\b.{0,40}?\bnot supported",
    re.IGNORECASE,
)
_DESCRIBED = {
    "temperature": re.compile(r"\btemperature\b", re.IGNORECASE),
    "reasoning_effort": re.compile(
        r"\bsupport (?:thinking|reasoning)\b|\b(?:think|reasoning) value\b|\bthinking mode\b"
        r"|\breasoning[ .]effort\b",
        re.IGNORECASE,
    ),
    "prompt": re.compile(
        r"\bprompt(?:ing|s)? (?:is|are) (?:not |un)(?:be )?support", re.IGNORECASE
    ),
    "language": _OF_LANGUAGE,
    "languages": _OF_LANGUAGE,
}
"""Parameters that a text may describe without using their names."""
_SYSTEM_ROLE = re.compile(
    r"\bsystem (?:role|messages?|instructions?)\b[^.]{0,30}?(?:\bnot|n['’]t|\bun)\s?(?:be )?"
    r"(?:support|allow)|\bonly user and assistant roles\b|\broles must alternate\b",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"\b(?:think|reasoning) value\b|\bbudget \d|\bunknown language\b", re.IGNORECASE
)
_MISSING_CODES = frozenset({"missing", "missing_required_parameter", "value_error.missing"})
_UNKNOWN_CODES = frozenset(
    {
        "unsupported_parameter", "unknown_parameter", "unrecognized_parameter", "extra_forbidden",
        "value_error.extra", "unexpected_keyword_argument", "invalid_parameter_name",
        "list_type",
    }
)  # fmt: skip
_VALUE_CODES = frozenset(
    {
        "unsupported_value", "invalid_value", "invalid_language_format", "literal_error", "enum",
        "integer_above_max_value", "integer_below_min_value", "less_than_equal",
        "greater_than_equal", "string_above_max_length", "decimal_above_max_value", "invalid_type",
        "unsupported_language",
    }
)  # fmt: skip
_MISSING = re.compile(
    r"\b(?:missing|(?:is|are) required|has to be (?:given|set|provided|sent|specified)"
    r"|must be (?:given|set|provided|sent|specified)(?! to| in| as)|field required)\b",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"unsupported (?:parameter|argument|field)|un(?:known|recogni[sz]ed|expected)\b"
    r"|not (?:a |an )?(?:valid |known |supported )?(?:parameter|argument|field)"
    r"|extra inputs|extra_forbidden|valid list\b"
    r"|not (?:permitted|allowed)|(?:not|n't) (?:be )?support|not (?:be )?available",
    re.IGNORECASE,
)


def _named(name: str, message: str) -> bool:
    """True if the text quotes the name or calls it a parameter.

    A name with an underscore is enough by itself, because it is not an ordinary word.
    """
    spelled = re.escape(name).replace("_", "[ _]")
    if "_" in name:
        return re.search(rf"\b{spelled}\b", message, re.IGNORECASE) is not None
    about = rf"['\"`]{spelled}['\"`]|\b{spelled} (?:parameter|argument|field|code)\b"
    about += (
        rf"|\b(?:parameter|argument|field|invalid|unsupported)(?: supplied| name)?:? {spelled}\b"
    )
    return re.search(about, message, re.IGNORECASE) is not None


def complaint_of(status: int, body: bytes) -> Complaint:
    """Reads an error answer. Never raises, whatever the bytes."""
    text = body[: 100 * MOST_CHARS].decode(errors="replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return Complaint(status, text[:MOST_CHARS], frozenset())
    return _read(status, document)


def _read(status: int, document: Any, *, is_inner: bool = False) -> Complaint:
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return Complaint(status, str(document)[:MOST_CHARS], frozenset())
    codes = _codes(document)
    inner = document.get("error") or document.get("detail") or document
    path = document.get("param")
    if isinstance(inner, list) and inner and isinstance(inner[0], dict):
        inner = inner[0]
        location = inner.get("loc")
        path = ".".join(map(str, location)) if isinstance(location, list) else path
    if isinstance(inner, dict):
        codes |= _codes(inner) | _codes(inner.get("innererror")) | _reasons(inner)
        path = inner.get("param") or inner.get("parameter") or path
        text = inner.get("message") or inner.get("msg") or inner.get("error") or inner
    else:
        text = inner
    message = text if isinstance(text, str) else json.dumps(text)
    path = path[:200] if isinstance(path, str) else ""
    complaint = Complaint(status, message[:MOST_CHARS], codes, path)
    passed_on = inner.get("metadata") if isinstance(inner, dict) and not is_inner else None
    return _of_the_provider(complaint, passed_on) if isinstance(passed_on, dict) else complaint


def _of_the_provider(outer: Complaint, metadata: dict[str, Any]) -> Complaint:
    """OpenRouter's error, merged with the error of the provider behind it, which is in `raw`."""
    codes = outer.codes
    if metadata.get("reasons") or metadata.get("flagged_input"):
        codes |= {"flagged"}
    raw = metadata.get("raw")
    if not raw:
        return replace(outer, codes=codes)
    try:
        document = json.loads(raw) if isinstance(raw, str) else raw
    except (ValueError, RecursionError):
        document = raw
    inner = _read(outer.status, document, is_inner=True)
    message = f"{outer.message}: {inner.message}"[:MOST_CHARS]
    return Complaint(outer.status, message, codes | inner.codes, inner.path or outer.path)


def _reasons(error: dict[str, Any]) -> frozenset[str]:
    """Google's codes: a status, and the reason in each detail."""
    details = error.get("details")
    found = [error.get("status"), *(details if isinstance(details, list) else [])]
    codes = [entry.get("reason") if isinstance(entry, dict) else entry for entry in found]
    return frozenset(code.lower()[:80] for code in codes if isinstance(code, str) and code)


def _codes(part: Any) -> frozenset[str]:
    if not isinstance(part, dict):
        return frozenset()
    found = (part.get("code"), part.get("type"))
    return frozenset(code.lower()[:80] for code in found if isinstance(code, str) and code)
