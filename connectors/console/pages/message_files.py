"""Routes of the files of messages: as they came, and as a page shows them."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from connectors.console.files import answer_bytes, answer_stored
from connectors.console.pages.conversations import may_see
from connectors.console.pages.messages import message_row
from connectors.console.pages.parts import PageParts
from connectors.console.pages.shown_files import MOST_SOURCE_BYTES, Form, browsers_show
from connectors.console.pages.visits import PageProblem, visit_of
from connectors.console.parts import Parts
from connectors.console.problems import ConsoleProblem
from schemas.keys import TenantId
from storage.objects.keys import key_of_path
from storage.objects.store import Stored
from storage.postgres.people import sha256

MOST_NOTED = 10_000
Look = tuple[bytes, str, int]
"""The digest of a session, the message and the file."""


def add_message_files(router: APIRouter, parts: Parts, pages: PageParts) -> None:
    """Adds the routes."""
    noted = _Noted()

    async def looked_at(
        request: Request, tenant: str, ref: str, index: int
    ) -> tuple[TenantId, Stored]:
        """Returns the tenant and the file, and notes the look. Raises PageProblem."""
        visit = visit_of(request)
        tenant_id = visit.at(tenant, "viewer")
        row = await message_row(pages.reading, pages, tenant_id, ref)
        if not await may_see(pages, visit, tenant_id, row["conversation_id"]):
            raise PageProblem(403, "problem.masked")
        prefix = parts.names.object_prefix
        path = _path_of(row["attributes"], index)
        stored = await parts.store.stat(key_of_path(prefix, path)) if path else None
        if stored is None or not stored.key.startswith(f"{prefix}media/{tenant_id}/"):
            raise PageProblem(404, "problem.404")
        look = (sha256(visit.person.token), ref, index)
        if look not in noted:
            what = f"{row['message_key']} file {index}"
            await pages.people.note(tenant_id, visit.person.name, "media_seen", what)
            noted.add(look)  # not before: a look whose note failed is noted at the next one
        return tenant_id, stored

    @router.get("/t/{tenant}/m/{ref}/file/{index}", name="file")
    async def file(request: Request, tenant: str, ref: str, index: int) -> Response:
        _, stored = await looked_at(request, tenant, ref, index)
        return _as_it_came(parts, stored, request.headers)

    @router.get("/t/{tenant}/m/{ref}/file/{index}/{form}", name="shown-file")
    async def shown(request: Request, tenant: str, ref: str, index: int, form: Form) -> Response:
        tenant_id, stored = await looked_at(request, tenant, ref, index)
        made = await pages.shown_files.get(
            tenant_id,
            stored,
            form,
            lambda: parts.store.get(stored.key, max_bytes=MOST_SOURCE_BYTES),
        )
        if made is None:
            if form == "picture" and not browsers_show(stored.mime):
                raise PageProblem(404, "problem.404")
            return _as_it_came(parts, stored, request.headers)
        etag = f"{stored.etag}-{form}"
        return _of_this_site(lambda: answer_bytes(made.data, made.mime, etag, request.headers))


def _as_it_came(parts: Parts, stored: Stored, headers: Mapping[str, str]) -> Response:
    return _of_this_site(lambda: answer_stored(parts.store, stored, headers, head=False))


def _of_this_site(answer: Callable[[], Response]) -> Response:
    """Returns the answer, which other sites cannot embed. Raises PageProblem."""
    try:
        answered = answer()
    except ConsoleProblem as problem:
        raise PageProblem(problem.status, "problem.404") from None
    answered.headers["cross-origin-resource-policy"] = "same-origin"
    answered.headers["cache-control"] = "private, no-cache"  # rights may end while a page is open
    return answered


class _Noted:
    """Remembers which views are already in the audit log, because a player requests a
    file in many pieces.
    """

    def __init__(self) -> None:
        self._seen: dict[Look, None] = {}

    def __contains__(self, look: Look) -> bool:
        return look in self._seen

    def add(self, look: Look) -> None:
        self._seen[look] = None
        if len(self._seen) > MOST_NOTED:
            del self._seen[next(iter(self._seen))]


def _path_of(attributes: Mapping[str, Any], index: int) -> str | None:
    """Returns the path of the stored file with this index."""
    found = attributes.get("attachments")
    for one in found if isinstance(found, list) else []:
        if isinstance(one, dict) and one.get("index") == index and isinstance(one.get("url"), str):
            return str(one["url"])
    return None
