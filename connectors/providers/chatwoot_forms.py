"""Answers to Chatwoot's forms: choices, fields, surveys. They come as updates of the
question and are the customer's words.
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
    """What a customer chose or filled in; nothing when the event says nothing of that."""
    if event.get("event") != "message_updated" or is_private(event):
        return {}
    content = part(event, "content_attributes")
    given = _loaded(content.get("submitted_values"))
    survey = part(given, "csat_survey_response") if isinstance(given, dict) else {}
    values = [_value(one) for one in _values(given)[:MOST_ITEMS]]
    return present(
        values=[value for value in values if value],
        email=name_of(content, "submitted_email"),
        rating=text(survey, "rating", 20),
        feedback=text(survey, "feedback_message", 20_000),
    )


def _loaded(given: object) -> object:
    """The value, also where its JSON was written as text."""
    if not isinstance(given, str):
        return given
    try:
        return msgspec.json.decode(given.encode(errors="replace"))  # it may hold half a pair
    except (msgspec.DecodeError, RecursionError):
        return None


def _values(given: object) -> list[object]:
    """The answers: a list of them, a single one, or an object of names and answers."""
    if isinstance(given, list):
        return given
    if not isinstance(given, dict):
        return []
    if given.keys() <= _OF_ONE_ANSWER and not given.keys().isdisjoint(("title", "value")):
        return [given]
    return [
        {"name": name, "value": answer}
        for name, answer in given.items()
        if name != "csat_survey_response" and answer is not None
    ]


def _value(one: object) -> dict[str, str]:
    """Name, title and value of an answer, as text."""
    fields = one if isinstance(one, dict) else {"value": one}
    said = {name: _said(fields.get(name)) for name in ("name", "title", "value")}
    return texts(said, _ANSWER_CHARS, *said)


def _said(answer: object, depth: int = _DEEPEST_ANSWER) -> str | None:
    """An answer in words: of an object its title or its value, else all that it holds."""
    if isinstance(answer, bool):
        return "true" if answer else "false"
    if not isinstance(answer, dict | list):
        return text({"": answer}, "", _ANSWER_CHARS)
    if depth == 0:
        return None
    if isinstance(answer, dict):
        for name in ("title", "value"):
            if (said := _said(answer.get(name), depth - 1)) is not None:
                return said
        pairs = ((name, _said(one, depth - 1)) for name, one in _first(answer.items()))
        told = [storable(f"{name[:200]}: {said}") for name, said in pairs if said is not None]
    else:
        told = [said for one in _first(answer) if (said := _said(one, depth - 1)) is not None]
    return ", ".join(told) or None


def _first(of: Iterable[T]) -> Iterator[T]:
    return islice(of, MOST_ITEMS)


def submission_suffix(event: Document) -> str:
    """Makes an answer a message of its own: each other answer to a question gets
    another key, each delivery of one the same.
    """
    submitted = _submitted(event)
    if not submitted:
        return ""
    digest = hashlib.sha256(json.dumps(submitted, sort_keys=True).encode()).hexdigest()
    return f"/submitted-{digest[:16]}"


def submission(found: str, event: Document, conversation_id: str) -> ChatMessage:
    """An answer to a form, as the customer's words. The event is about the question;
    who answered is in its conversation.
    """
    talk, question = part(event, "conversation"), identifier(event.get("id"))
    submitted = _submitted(event)
    customer = part(part(talk, "meta"), "sender")
    values = [value for value in submitted.get("values", ()) if value]
    said = [_answer_line(value) for value in values] + [
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
        content="\n".join(line for line in said if line) or None,
        occurred_at=_changed_at(talk, question),
        sender_id=identifier(customer.get("id")),
        sender_name=name_of(customer, "name"),
        attributes=safe,
    )


def _answer_line(value: Document) -> str:
    """A choice by its title; a field of a form with its name."""
    answer = text(value, "title") or text(value, "value") or ""
    name = text(value, "name")
    return f"{name}: {answer}" if name else answer


def _changed_at(talk: Document, message_id: str | None) -> datetime | None:
    """When the message was changed last, if the conversation says so; its own time is
    the question's.
    """
    for one in parts(talk, "messages"):
        if identifier(one.get("id")) == message_id:
            return moment(one.get("updated_at"))
    return None
