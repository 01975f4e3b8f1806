"""Answers to Chatwoot's forms: choices, fields and surveys.

They arrive as updates of the question. Each answer becomes a message of the customer.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import msgspec

from connectors.providers.adapter import (
    Document,
    identifier,
    moment,
    name_of,
    part,
    parts,
    present,
    text,
    texts,
)
from connectors.providers.attributes import MOST_ITEMS, quoted
from connectors.providers.chatwoot_attributes import around, is_private
from schemas.records import ChatMessage
from schemas.text import storable, storable_deep

T = TypeVar("T")
_ANSWER_CHARS = 4_000
_DEEPEST_ANSWER = 4
_OF_ONE_ANSWER = frozenset({"name", "title", "value", "id", "label", "type", "description"})


def _submitted(event: Document) -> dict[str, Any]:
    """The answers that a customer submitted, or an empty object if the event contains none."""
    if event.get("event") != "message_updated" or is_private(event):
        return {}
    content = part(event, "content_attributes")
    answers = _loaded(content.get("submitted_values"))
    survey = part(answers, "csat_survey_response") if isinstance(answers, dict) else {}
    values = [_value(one) for one in _values(answers)[:MOST_ITEMS]]
    return present(
        values=[value for value in values if value],
        email=name_of(content, "submitted_email"),
        rating=text(survey, "rating", 20),
        feedback=text(survey, "feedback_message", 20_000),
    )


def _loaded(value: object) -> object:
    """The submitted value, decoded if it is JSON in a string."""
    if not isinstance(value, str):
        return value
    try:
        # The text may have a lone surrogate.
        return msgspec.json.decode(value.encode(errors="replace"))
    except (msgspec.DecodeError, RecursionError):
        return None


def _values(answers: object) -> list[object]:
    """The answers as a list. Chatwoot sends a list, a single answer, or answers by name."""
    if isinstance(answers, list):
        return answers
    if not isinstance(answers, dict):
        return []
    if answers.keys() <= _OF_ONE_ANSWER and not answers.keys().isdisjoint(("title", "value")):
        return [answers]
    return [
        {"name": name, "value": answer}
        for name, answer in answers.items()
        if name != "csat_survey_response" and answer is not None
    ]


def _value(one: object) -> dict[str, str]:
    """The name, title and value of an answer, as text."""
    fields = one if isinstance(one, dict) else {"value": one}
    values = {name: _answer_text(fields.get(name)) for name in ("name", "title", "value")}
    return texts(values, _ANSWER_CHARS, *values)


def _answer_text(answer: object, depth: int = _DEEPEST_ANSWER) -> str | None:
    """An answer as text. For an object this is its title, else its value, else all its fields."""
    if isinstance(answer, bool):
        return "true" if answer else "false"
    if not isinstance(answer, dict | list):
        return text({"": answer}, "", _ANSWER_CHARS)
    if depth == 0:
        return None
    if isinstance(answer, dict):
        for name in ("title", "value"):
            if (line := _answer_text(answer.get(name), depth - 1)) is not None:
                return line
        pairs = ((name, _answer_text(one, depth - 1)) for name, one in _first(answer.items()))
        lines = [storable(f"{name[:200]}: {line}") for name, line in pairs if line is not None]
    else:
        texts_of_items = (_answer_text(one, depth - 1) for one in _first(answer))
        lines = [line for line in texts_of_items if line is not None]
    return ", ".join(lines) or None


def _first(of: Iterable[T]) -> Iterator[T]:
    return islice(of, MOST_ITEMS)


def submission_suffix(event: Document) -> str:
    """The suffix that gives an answer a message key of its own, or an empty string.

    Different answers to a question get different keys, and each delivery of an answer gets
    the same key.
    """
    submitted = _submitted(event)
    if not submitted:
        return ""
    digest = hashlib.sha256(json.dumps(submitted, sort_keys=True).encode()).hexdigest()
    return f"/submitted-{digest[:16]}"


def submission(found: str, event: Document, conversation_id: str) -> ChatMessage:
    """An answer to a form, as a message of the customer.

    The event describes the question. The customer is in its conversation.
    """
    talk, question = part(event, "conversation"), identifier(event.get("id"))
    submitted = _submitted(event)
    customer = part(part(talk, "meta"), "sender")
    values = [value for value in submitted.get("values", ()) if value]
    lines = [_answer_line(value) for value in values] + [
        submitted[name] for name in ("email", "rating", "feedback") if name in submitted
    ]
    safe = storable_deep(
        around(event, talk)
        | {
            "in_reply_to": question,
            "quoted": quoted(question, text=text(event, "content", 2_000)),
            "submitted": submitted | present(question_id=question),
        }
    )
    assert isinstance(safe, dict)
    return ChatMessage(
        provider_message_id=found,
        conversation_id=conversation_id,
        role="user",
        direction="inbound",
        kind="interactive",
        content="\n".join(line for line in lines if line) or None,
        occurred_at=_changed_at(talk, question),
        sender_id=identifier(customer.get("id")),
        sender_name=name_of(customer, "name"),
        attributes=safe,
    )


def _answer_line(value: Document) -> str:
    """One line of text: the title of a choice, or the name and value of a field."""
    answer = text(value, "title") or text(value, "value") or ""
    name = text(value, "name")
    return f"{name}: {answer}" if name else answer


def _changed_at(talk: Document, message_id: str | None) -> datetime | None:
    """The time of the last change of the message, or None if the conversation does not say.

    The time of the event itself is that of the question.
    """
    for one in parts(talk, "messages"):
        if identifier(one.get("id")) == message_id:
            return moment(one.get("updated_at"))
    return None
