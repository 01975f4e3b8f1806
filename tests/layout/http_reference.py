"""Writes the HTTP reference as Markdown, from the OpenAPI documents of console and receiver."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import httpx

from connectors.console.app import create_console
from connectors.webhooks.openapi import openapi
from schemas.topics import Names

Document = dict[str, Any]
_INTRODUCTION = """# HTTP API

This page is made from the OpenAPI documents of the receiver and of the console, which both serve at `/openapi.json`.
Do not edit it: change the routes, then run `make docs`.

The **receiver** is what providers reach from outside; the **console** is for your bots, people and operators. Errors of both are
problem details (RFC 9457, `application/problem+json`) with `title`, `status` and, where there is more to say, `detail`.
"""


def http_api_page() -> str:
    parts = [_INTRODUCTION]
    for title, document in (("Receiver", openapi()), ("Console", console_document())):
        parts.append(f"\n## {title}\n")
        parts += [_route(document, *one) for one in _operations(document)]
        parts += [_schema(document, *one) for one in _schemas(document)]
    return "".join(parts)


def console_document() -> Document:
    """The console's document. The parts of the console are never called for it."""
    parts = MagicMock()
    parts.names, parts.allowed_origins = Names(""), ()

    async def fetched() -> Document:
        transport = httpx.ASGITransport(create_console(parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://console") as client:
            answer = await client.get("/openapi.json")
            answer.raise_for_status()
            document: Document = answer.json()
            return document

    return asyncio.run(fetched())


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """The operations in the order of the document.

    The registry comes last, because it follows a contract of others.
    """
    every = [
        (method.upper(), path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    yield from sorted(every, key=lambda one: "registry" in one[2].get("tags", []))


def _route(document: Document, method: str, path: str, operation: Document) -> str:
    text = f"\n### `{method} {path}`\n\n{operation['summary']}."
    if described := operation.get("description"):
        text += f" {_line(described)}"
    text += " Needs `Authorization: Bearer <key>`.\n" if operation.get("security") else "\n"
    if parameters := operation.get("parameters"):
        text += "\n| Parameter | In | Type | Default | Meaning |\n|---|---|---|---|---|\n"
        text += "".join(_parameter(one) for one in parameters)
    text += "".join(
        _body(one) for one in operation.get("requestBody", {}).get("content", {}).values()
    )
    text += "\n| Answer | Meaning |\n|---|---|\n"
    return text + "".join(
        f"| {status} | {_meaning(answer)}{_named(answer)} |\n"
        for status, answer in sorted(operation["responses"].items())
    )


def _meaning(answer: Document) -> str:
    """The description. FastAPI's own words become OK, because they say nothing."""
    return _line(answer.get("description", "")).replace("Successful Response", "OK")


def _parameter(one: Document) -> str:
    schema = one.get("schema", {})
    name = f"`{one['name']}`" + (" (required)" if one.get("required") else "")
    default = f"`{schema['default']}`" if schema.get("default") not in (None, [], "") else ""
    meaning = one.get("description") or schema.get("description", "")
    return f"| {name} | {one['in']} | {_kind(schema)} | {default} | {_line(meaning)} |\n"


def _body(content: Document) -> str:
    text = f"\nThe body is {_kind(content['schema'])}.\n" if content["schema"] else ""
    for name, example in content.get("examples", {}).items():
        text += f"\nExample, {name}:\n\n```json\n{_pretty(example['value'])}\n```\n"
    return text


def _named(answer: Document) -> str:
    """The content of an answer: the name of its schema, or its fields."""
    for kind, content in answer.get("content", {}).items():
        schema = content.get("schema", {})
        shown = ", ".join(f"`{one}`" for one in schema.get("properties", {})) or _kind(schema)
        if "problem" not in kind and shown:
            return f" ({shown})"
    return ""


def _schemas(document: Document) -> Iterator[tuple[str, Document]]:
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        if schema.get("properties"):
            yield name, schema


def _schema(document: Document, name: str, schema: Document) -> str:
    text = f"\n### {name}\n\n"
    if described := schema.get("description"):
        text += f"{_line(described)}\n\n"
    text += "| Field | Type | Meaning |\n|---|---|---|\n"
    required = schema.get("required", [])
    for field, one in schema["properties"].items():
        mark = " (required)" if field in required else ""
        text += f"| `{field}`{mark} | {_kind(one)} | {_line(one.get('description', ''))} |\n"
        for inner, what in one.get("properties", {}).items():
            mark = " (required)" if inner in one.get("required", []) else ""
            text += f"| `{field}.{inner}`{mark} | {_kind(what)} | {_line(what.get('description', ''))} |\n"
    return text


def _kind(schema: Document) -> str:
    """A type in one or two words, with its bounds."""
    if reference := schema.get("$ref"):
        return str(reference.rpartition("/")[2])
    if options := schema.get("anyOf"):
        return " or ".join(kind for one in options if (kind := _kind(one)))
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"] if one is not None)
    kind = schema.get("type", "")
    name = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if "items" in schema and (inner := _kind(schema["items"])):
        name = name.replace("array", f"array of {inner}")
    return name + _bounds(schema)


_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "maxLength": "at most {} characters",
    "maxItems": "at most {}",
    "pattern": "`{}`",
    "format": "{}",
}


def _bounds(schema: Document) -> str:
    found = [text.format(schema[name]) for name, text in _BOUNDS.items() if name in schema]
    return f", {', '.join(found)}" if found else ""


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
