"""Routes of the Kafka records behind a message, at each of its steps and deliveries.

Secrets are masked.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.pages.conversations import customer_of, may_see
from connectors.console.pages.delivered import delivery_at
from connectors.console.pages.messages import message_row
from connectors.console.pages.parts import PageParts
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from schemas.keys import TenantId

MOST_FIELDS = 400
_WORDS = r"secret|token|authorization|signature|api[-_]?key|password|cookie|hmac"
_SECRET = re.compile(_WORDS, re.I)
_PAIR = re.compile(rf'("[^"\\]*(?:{_WORDS})[^"\\]*"\s*:\s*)"(?:[^"\\]|\\.)*"?', re.I)
"""Finds secret fields in JSON that is itself a string, such as the body of a webhook."""
_QUERY = re.compile(
    r"(https?:(?:\\?/){2}[^\s\"'<>?\\]*(?:\\/[^\s\"'<>?\\]*)*)"
    r"\?(?:[^\s\"'<>\\]|\\u[0-9a-fA-F]{4}|\\/)+"
)
r"""Allows for JSON that escapes a slash as `\/`, or an ampersand as six characters."""
MASK = "•••"


def add_raw_records(router: APIRouter, pages: PageParts) -> None:
    """Adds the routes.

    A step is identified by its number on the page of the message, a delivery by its
    partition and offset.
    """
    reading = pages.reading

    @router.get("/t/{tenant}/m/{ref}/record/{index}", name="record")
    async def record(request: Request, tenant: str, ref: str, index: int) -> Response:
        visit, tenant_id, row = await _message_of(pages, request, tenant, ref)
        steps = await reading.fetch("steps_of", tenant_id, row["message_key"])
        if not 0 <= index < len(steps):
            raise PageProblem(404, "problem.404")
        return await _page(pages, visit, tenant_id, row, steps[index], steps[index]["stage"])

    @router.get("/t/{tenant}/m/{ref}/delivery/{partition}/{index}", name="delivery")
    async def delivery(
        request: Request, tenant: str, ref: str, partition: int, index: int
    ) -> Response:
        visit, tenant_id, row = await _message_of(pages, request, tenant, ref)
        place = await delivery_at(reading, tenant_id, row, partition, index)
        if place is None:
            raise PageProblem(404, "problem.404")
        return await _page(pages, visit, tenant_id, row, place, "dedupe")


async def _message_of(
    pages: PageParts, request: Request, tenant: str, ref: str
) -> tuple[Visit, TenantId, dict[str, Any]]:
    visit = visit_of(request)
    tenant_id = visit.at(tenant, "viewer")
    return visit, tenant_id, await message_row(pages.reading, pages, tenant_id, ref)


async def _page(
    pages: PageParts,
    visit: Visit,
    tenant_id: TenantId,
    row: dict[str, Any],
    place: Mapping[str, Any],
    stage: str,
) -> Response:
    """Shows the record at a position, and logs in the audit log that its content was viewed."""
    at = (place["topic"], place["partition"], place["offset"])
    async with pages.kafka.turn(tenant_id):
        found = await pages.other_roles.read_record(*at)
    is_ours = found is not None and found.tenant == tenant_id
    sees = await may_see(pages, visit, tenant_id, row["conversation_id"])
    if is_ours and sees:
        what = f"{row['message_key']} {at[0]}[{at[1]}]@{at[2]}"
        await pages.people.note(tenant_id, visit.person.name, "record_seen", what)
    return visit.page(
        "record.html",
        tenant=tenant_id,
        section="conversations",
        ref=pages.refs.of(tenant_id, "m", row["message_key"]),
        place=place,
        stage=stage,
        record=found if is_ours else None,
        headers=list(fields_of(found.headers)) if is_ours and found is not None else [],
        fields=list(fields_of(found.value)) if is_ours and sees and found is not None else [],
        sees=sees,
        key=found.key if is_ours and sees and found is not None else "",
        customer=customer_of(row["conversation_id"]) if sees else "",
    )


def fields_of(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yields each field with its path; values of secret fields and link queries are masked."""
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
    """Masks secret fields, and the queries of links, because providers put signatures there."""
    return _PAIR.sub(rf'\1"{MASK}"', _QUERY.sub(rf"\1?{MASK}", text))
