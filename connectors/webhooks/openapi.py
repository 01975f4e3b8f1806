"""The receiver's description at `/openapi.json`, which tests compare with the real answers."""

import json
from functools import cache
from typing import Any

from schemas.keys import CONVERSATION_CHARS, PROVIDER_ID_MAX_CHARS
from schemas.problems import MEDIA_TYPE
from schemas.providers import PROVIDERS
from schemas.versions import program_version

_MAX_MEDIA = 50
_MEDIA_TYPES = ("image", "audio", "video", "document", "sticker", "other")
_LIMITS = {
    405: "The method is not POST.",
    408: "The headers were not complete within 10 s, or the body within RECEIVER__BODY_SECONDS.",
    413: "The body is over RECEIVER__MAX_BODY_BYTES.",
    415: "The body has a Content-Encoding: send it without one.",
    429: "The tenant has exceeded its rate: send it again after Retry-After.",
    431: "The request target and headers exceed 16 KiB.",
    503: "Not stored, because Kafka is unavailable, too many bodies are in memory, the receiver is "
    "starting, or the endpoint has no secret yet: send it again after Retry-After.",
}
_EXAMPLE = {
    "provider": "myapp",
    "provider_message_id": "42",
    "conversation_id": "customer-7",
    "sender": {"id": "7", "name": "Ana"},
    "text": "¿Cuánto cuesta?",
    "media": [{"type": "image", "url": "https://files.example.com/42.jpg"}],
    "occurred_at": "2026-11-27T12:00:00Z",
}
_ANSWER_OF_A_BOT = {
    "provider": "myapp",
    "provider_message_id": "43",
    "conversation_id": "customer-7",
    "sender": {"id": "bot"},
    "text": "Cuesta 20 euros.",
    "direction": "outbound",
}


@cache
def document() -> bytes:
    """The OpenAPI document as JSON."""
    return json.dumps(openapi()).encode()


def openapi() -> dict[str, Any]:
    """The OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sensorium receiver",
            "version": program_version(),
            "description": "Providers and your own services send messages here. "
            "A 2xx is given only after Kafka has acknowledged what was sent.",
        },
        "paths": {
            "/webhooks/{provider}/{token}": {"post": _webhook()},
            "/chat": {"post": _chat()},
            **{path: {"get": _operation(*texts)} for path, texts in _OPERATIONS.items()},
        },
        "components": {
            "schemas": {
                "ChatMessage": _chat_message(),
                "Media": _media(),
                "ProblemDetails": _problem_details(),
            },
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key with the scope chat: "
                    "sensorium keys add TENANT --scope chat",
                }
            },
        },
    }


def _webhook() -> dict[str, Any]:
    return {
        "operationId": "webhook",
        "tags": ["providers"],
        "summary": "A delivery of a provider",
        "description": "`sensorium endpoints add` prints this address; the guides for YCloud and "
        "Chatwoot say where to paste it. The signature is checked on the raw bytes. A signed body "
        "that is not understood is stored and answered 200 too, because providers suspend "
        "addresses that refuse.",
        "parameters": [
            {
                "name": "provider",
                "in": "path",
                "required": True,
                "description": "The provider that the endpoint was made for",
                "schema": {"type": "string", "enum": sorted(PROVIDERS)},
            },
            {
                "name": "token",
                "in": "path",
                "required": True,
                "description": "Names the endpoint, and is secret",
                "schema": {"type": "string"},
            },
        ],
        "requestBody": {
            "required": True,
            "description": "What the provider sends, in its own form",
            "content": {"application/json": {"schema": {}}},
        },
        "responses": {
            "200": _json_answer(
                "Stored in Kafka.",
                {"accepted": {"type": "integer", "description": "Records stored"}},
            ),
            "401": _problem(
                "Refused. The answer is the same for an unknown or removed token, the token of "
                "another provider, a missing or wrong signature, and a time outside "
                "the window. `sensorium endpoints deliveries` tells the "
                "operator which of them it was."
            ),
            **_limits(),
        },
    }


def _chat() -> dict[str, Any]:
    return {
        "operationId": "chat",
        "tags": ["your own messages"],
        "summary": "A message from your own service",
        "description": "What a customer wrote or, with `direction` `outbound`, what your bot "
        "answered. This is how a bot's own answer gets into the conversation, with the role "
        "`assistant`, and into the next context. A message that was answered 202 is never refused "
        "later for its form. It is safe to send a message again: the same `provider_message_id` "
        "is a duplicate and is dropped.",
        "security": [{"key": []}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/ChatMessage"},
                    "examples": {
                        "a customer": {"value": _EXAMPLE},
                        "the bot's own answer": {"value": _ANSWER_OF_A_BOT},
                    },
                }
            },
        },
        "responses": {
            "202": _json_answer(
                "Stored in Kafka.",
                {
                    "message_key": {
                        "type": "string",
                        "description": "`tenant:provider:provider_message_id`, the key of the "
                        "message in every route, for example in `wait_for`",
                    }
                },
            ),
            "400": _problem("The body is not JSON."),
            "401": _problem("The key is missing or unknown."),
            "403": _problem("The key has another scope than chat or admin."),
            "422": _problem(
                "The body is not a message. `errors` says what is wrong, field by field."
            ),
            **_limits(),
        },
    }


def _chat_message() -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["provider", "provider_message_id", "conversation_id", "sender"],
        "anyOf": [{"required": ["text"]}, {"required": ["media"]}],
        "properties": _who_and_where() | _what_and_when(),
    }


def _who_and_where() -> dict[str, Any]:
    return {
        "provider": _text(
            "Names your source. If you give the name of a built-in provider (ycloud, "
            "chatwoot), the id in the key is `direct/<id>`, so your message and the "
            "provider's own delivery of it are two messages",
            pattern="^[a-z0-9_]+$",
            maxLength=32,
        ),
        "provider_message_id": {
            **_text(
                "Identifies the message within the provider; printable characters",
                minLength=1,
                maxLength=PROVIDER_ID_MAX_CHARS,
            ),
        },
        "conversation_id": _text(
            "Ask for the context by this id. A bot's answer (`outbound`) goes into the "
            "conversation that has this id, even if that came through YCloud or "
            "Chatwoot; a customer's message (`inbound`) never does",
            minLength=1,
            maxLength=CONVERSATION_CHARS,
        ),
        "sender": {
            "type": "object",
            "description": "Who wrote it",
            "required": ["id"],
            "properties": {
                "id": {"type": ["string", "integer"]},
                "name": {"type": ["string", "null"]},
            },
        },
    }


def _what_and_when() -> dict[str, Any]:
    return {
        "text": _text("Required if there is no media", nullable=True),
        "media": {
            "type": ["array", "null"],
            "description": "Files by their URL. Required if there is no text",
            "maxItems": _MAX_MEDIA,
            "items": {"$ref": "#/components/schemas/Media"},
        },
        "occurred_at": {
            "type": ["string", "number", "null"],
            "description": "RFC 3339, or a Unix time; without it, the time of arrival",
        },
        "direction": {
            "type": ["string", "null"],
            "enum": ["inbound", "outbound", None],
            "default": "inbound",
            "description": "`inbound`: a customer wrote it (role `user`). `outbound`: your bot "
            "wrote it (role `assistant`); it is part of the next context, and its files are not "
            "sent to a model unless the tenant's setting `describe-outgoing` says so",
        },
    }


def _media() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", "url"],
        "properties": {
            "type": {"type": "string", "enum": list(_MEDIA_TYPES)},
            "url": _text(
                "A public https URL. The file is downloaded soon after the answer; if that "
                "fails, it is tried again for about ten minutes",
                maxLength=8192,
            ),
            "mime_type": _text(
                "MIME type; the stored type is determined from the content", nullable=True
            ),
            "filename": _text("File name for people", nullable=True),
        },
    }


def _text(description: str, *, nullable: bool = False, **bounds: Any) -> dict[str, Any]:
    kind: Any = ["string", "null"] if nullable else "string"
    return {"type": kind, "description": description, **bounds}


def _problem_details() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "string"}},
        },
    }


def _json_answer(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


def _limits() -> dict[str, Any]:
    return {str(status): _problem(description) for status, description in _LIMITS.items()}


_OPERATIONS = {
    "/livez": ("Whether the process lives", "alive", ""),
    "/readyz": (
        "Whether it takes deliveries",
        "ready",
        "Kafka is unavailable, the tenants are not loaded yet, or the role is ending.",
    ),
    "/metrics": ("Metrics for Prometheus", "metrics", ""),
}


def _operation(summary: str, name: str, not_ready: str) -> dict[str, Any]:
    text = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    answers: dict[str, Any] = {"200": {"description": "As text.", **text}}
    if not_ready:
        answers["503"] = {"description": not_ready, **text}
    return {
        "operationId": name,
        "tags": ["operations"],
        "summary": summary,
        "responses": answers,
    }
