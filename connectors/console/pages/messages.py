"""The page of one message."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.pages.bubbles import AttachedFile, bubble
from connectors.console.pages.conversations import Desk, customer_of, may_see, opened, stream
from connectors.console.pages.delivered import RecordPlace, deliveries_of
from connectors.console.pages.parts import PageParts
from connectors.console.pages.reading import PageReading
from connectors.console.pages.records import record_href
from connectors.console.pages.rendering import render
from connectors.console.pages.visits import PageProblem, Visit, visit_of
from schemas.keys import TenantId

VERSIONS = 1_000
"""Versions per generation: a version is the generation times this, plus a step."""


@dataclass(frozen=True, slots=True)
class StepShown:
    """A step of a message, and why it failed or was skipped (`reason`).

    `seconds` is the time since the step before, or None for the first step of a
    generation.
    """

    stage: str
    outcome: str
    topic: str
    partition: int
    offset: int
    at: datetime
    seconds: float | None
    reason: str = ""


def add_messages(router: APIRouter, desk: Desk) -> None:
    """Adds the routes."""
    pages, reading = desk.pages, desk.reading

    @router.get("/t/{tenant}/m/{ref}", name="message")
    async def message(request: Request, tenant: str, ref: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        row = await message_row(reading, pages, tenant_id, ref)
        values = await _values(reading, pages, visit, tenant_id, row)
        values |= {"tenant": tenant_id, "ref": ref, "is_live": False}
        return visit.page("message.html", section="conversations", **values)

    @router.get("/t/{tenant}/m/{ref}/live")
    async def live(request: Request, tenant: str, ref: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        names = await _conversation_ids(desk, tenant_id, ref)

        async def fragment() -> str:
            row = await message_row(reading, pages, tenant_id, ref)
            values = await _values(reading, pages, visit, tenant_id, row)
            values |= {"tenant": tenant_id, "ref": ref, "is_live": True}
            return render("_message.html", visit=visit, t=visit.words, **values)

        return stream(desk, visit, tenant_id, names, fragment)

    _add_deliveries(router, pages)


def _add_deliveries(router: APIRouter, pages: PageParts) -> None:
    reading = pages.reading

    @router.get("/t/{tenant}/m/{ref}/deliveries", name="message-deliveries")
    async def deliveries(request: Request, tenant: str, ref: str) -> Response:
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        row = await message_row(reading, pages, tenant_id, ref)
        steps = shown_steps(await reading.fetch("steps_of", tenant_id, row["message_key"]))
        before = request.query_params.get("before", "")
        delivered = await deliveries_of(reading, tenant_id, row, opened_by(steps), before)
        if not delivered.rows:
            raise PageProblem(404, "problem.404")
        sees = await may_see(pages, visit, tenant_id, row["conversation_id"])
        return visit.page(
            "delivered.html",
            tenant=tenant_id,
            section="conversations",
            ref=ref,
            row={"deliveries": row["deliveries"]},
            delivered=delivered,
            customer=_customer(row) if sees else "",
        )


async def _conversation_ids(desk: Desk, tenant_id: TenantId, ref: str) -> list[str]:
    """Returns the ids of the message's conversation.

    There are none for a message that was erased: its stream opens and says so.
    """
    row = await desk.reading.message(tenant_id, opened(desk.pages, tenant_id, "m", ref))
    if row is None:
        return []
    return await desk.parts.reading.conversation_ids(tenant_id, row["conversation_id"])


async def message_row(
    reading: PageReading, pages: PageParts, tenant_id: TenantId, ref: str
) -> dict[str, Any]:
    """Returns the message behind a reference. Raises PageProblem 404."""
    row = await reading.message(tenant_id, opened(pages, tenant_id, "m", ref))
    if row is None:
        raise PageProblem(404, "problem.no_message")
    return row


async def _values(
    reading: PageReading, pages: PageParts, visit: Visit, tenant_id: TenantId, row: dict[str, Any]
) -> dict[str, Any]:
    sees = await may_see(pages, visit, tenant_id, row["conversation_id"])
    key = row["message_key"]
    steps = shown_steps(await reading.fetch("steps_of", tenant_id, key))
    delivered = await deliveries_of(reading, tenant_id, row, opened_by(steps))
    digests = _digests(row["attributes"])
    calls = await reading.fetch("model_calls", tenant_id, digests)
    texts = await reading.fetch("texts_of", tenant_id, digests) if sees else []
    quarantined = await reading.fetch("quarantined_of", tenant_id, key)

    def refer(message_key: str) -> str:
        return pages.refs.of(tenant_id, "m", message_key)

    one = bubble(row, refer, is_masked=not sees)
    return {
        "row": {
            name: row[name]
            for name in (
                "provider", "role", "kind", "status", "version", "occurred_at", "received_at",
                "enriched_at", "endpoint_id", "topic", "partition", "offset", "deliveries",
            )
        },
        "generation": row["version"] // VERSIONS,
        "bubble": one,
        "whys": [(file, why_key(file, steps)) for file in one.files],
        "steps": steps,
        "total_seconds": total_seconds(steps),
        "delivered": delivered,
        "calls": calls,
        "attempts": await reading.fetch("attempts_of", tenant_id, key),
        "readings": several(texts),
        "quarantined": [
            {**one, "href": record_href(tenant_id, one)}
            for one in quarantined
        ],
        "sees": sees,
        "may_repair": visit.person.may(tenant_id, "operator"),
        "message_key": key if sees else "",
        "customer": _customer(row) if sees else "",
        "conversation_ref": pages.refs.of(tenant_id, "c", row["conversation_id"]),
    }  # fmt: skip


def _customer(row: Mapping[str, Any]) -> str:
    """Returns the customer's name if the message has it, otherwise the customer's number."""
    name = row["sender_name"] if row["role"] == "user" else None
    return name or customer_of(row["conversation_id"])


def several(texts: list[Any]) -> list[list[Any]]:
    """Returns the models' texts for each file that has more than one, by recipe, oldest first."""
    by_file: dict[str, list[Any]] = {}
    for one in texts:
        by_file.setdefault(one["sha256"], []).append(one)
    return [readings for readings in by_file.values() if len(readings) > 1]


def shown_steps(rows: list[Any]) -> list[StepShown]:
    """Returns the steps in order, each with the time since the step before."""
    shown: list[StepShown] = []
    for row in rows:
        is_first = not shown or row["stage"] == "dedupe"
        seconds = None if is_first else (row["at"] - shown[-1].at).total_seconds()
        outcome, _, reason = row["outcome"].partition(":")
        place = (row["topic"], row["partition"], row["offset"])
        shown.append(StepShown(row["stage"], outcome, *place, row["at"], seconds, reason))
    return shown


def total_seconds(steps: list[StepShown]) -> float | None:
    """Returns how long the latest generation took, or None if it has only one step."""
    latest = steps[_latest_opening(steps) :]
    return (latest[-1].at - latest[0].at).total_seconds() if len(latest) > 1 else None


def _latest_opening(steps: list[StepShown]) -> int:
    return max((number for number, one in enumerate(steps) if one.stage == "dedupe"), default=0)


def opened_by(steps: list[StepShown]) -> set[RecordPlace]:
    """Returns the places of the deliveries that opened the message."""
    return {(one.topic, one.partition, one.offset) for one in steps if one.stage == "dedupe"}


def why_key(file: AttachedFile, steps: list[StepShown]) -> str:
    """Returns the catalogue key of the sentence that explains why a file has a text or has none."""
    if file.status in ("described", "transcribed"):
        return f"why.{file.status}"
    if file.status == "pending":
        latest = steps[_latest_opening(steps) :]
        is_stored = file.is_kept or any(step.stage == "store_media" for step in latest)
        return "why.waits_model" if is_stored else "why.waits_download"
    if file.reason:
        return f"reason.{file.reason}"
    return "why.stored" if file.status == "stored" else "why.unknown"


def _digests(attributes: Mapping[str, Any]) -> list[str]:
    found = attributes.get("attachments")
    return [
        one["sha256"]
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict) and isinstance(one.get("sha256"), str)
    ]
