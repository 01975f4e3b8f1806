"""Routes of the raw records behind a message: what was on the topic at a step.

Secrets are masked.
"""

import re
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.pages.conversations import customer_of, may_see, opened
from connectors.console.pages.parts import PageParts
from connectors.console.pages.visits import PageProblem, visit_of
from schemas.keys import TenantId

MOST_FIELDS = 400
_WORDS = r"secret|token|authorization|signature|api[-_]?key|password|cookie|hmac"
_SECRET = re.compile(_WORDS, re.I)
_PAIR = re.compile(rf'("[^"\\]*(?:{_WORDS})[^"\\]*"\s*:\s*)"(?:[^"\\]|\\.)*"?', re.I)
"""A field of JSON that is text here: the body of a webhook is one string."""
_QUERY = re.compile(
    r"(https?:(?:\\?/){2}[^\s\"'<>?\\]*(?:\\/[^\s\"'<>?\\]*)*)"
    r"\?(?:[^\s\"'<>\\]|\\u[0-9a-fA-F]{4}|\\/)+"
)
"""JSON may write a slash as `\\/`, and an ampersand as six characters."""
MASK = "•••"


def add_raw_records(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes.

    A place is the number of a step as the page of the message counts them.
    """
    reading = pages.reading

    @router.get("/t/{tenant}/m/{ref}/record/{index}", name="record")
    async def record(request: Request, tenant: str, ref: str, index: int) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        key = opened(pages, tenant_id, "m", ref)
        row = await reading.message(tenant_id, key)
        steps = await reading.fetch("steps_of", tenant_id, key)
        if row is None or not 0 <= index < len(steps):
            raise PageProblem(404, "problem.404")
        step = steps[index]
        async with pages.kafka.turn(tenant_id):
            found = await pages.other_roles.read_record(
                step["topic"], step["partition"], step["offset"]
            )
        is_ours = found is not None and found.tenant == tenant_id
        sees = await may_see(pages, visit, tenant_id, row["conversation_id"])
        if is_ours and sees:
            place = f"{step['topic']}[{step['partition']}]@{step['offset']}"
            await pages.people.note(tenant_id, visit.person.name, "record_seen", f"{key} {place}")
        return visit.page(
            "record.html",
            tenant=tenant_id,
            section="conversations",
            ref=ref,
            step=step,
            record=found if is_ours else None,
            headers=list(fields_of(found.headers)) if is_ours and found is not None else [],
            fields=list(fields_of(found.value)) if is_ours and sees and found is not None else [],
            sees=sees,
            key=found.key if is_ours and sees and found is not None else "",
            customer=_name(pages, tenant_id, row, sees=sees),
        )


def _name(pages: PageParts, tenant_id: TenantId, row: dict[str, Any], *, sees: bool) -> str:
    return customer_of(row["conversation_id"]) if sees else ""


def fields_of(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each field with its path; what a field's name
    says is secret, and queries of links, are masked.
    """
    for count, (name, inner) in enumerate(_flat(value, path)):
        if count >= MOST_FIELDS:
            yield "…", "…"
            return
        yield name, MASK if _SECRET.search(name.rpartition(".")[2]) and inner else masked(inner)


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, dict) and value:
        pairs = list(value.items())
    elif isinstance(value, list | tuple) and value:
        pairs = list(enumerate(value))
    else:
        yield path, "" if value is None or value in ({}, [], ()) else str(value)
    for name, inner in pairs:
        yield from _flat(inner, f"{path}.{name}" if path else str(name))


def masked(text: str) -> str:
    """A link keeps its address and loses its query, because providers
    sign links there; a field that its name calls secret loses its value.
    """
    return _PAIR.sub(rf'\1"{MASK}"', _QUERY.sub(rf"\1?{MASK}", text))
