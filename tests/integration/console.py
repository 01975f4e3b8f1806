"""A console in this process, with a schema and objects of its own on the real servers."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec

from connectors.console.app import create_console
from connectors.console.changes import Changes
from connectors.console.links import Links
from connectors.console.pages.other_roles import OtherRoles
from connectors.console.pages.parts import page_parts
from connectors.console.parts import Parts
from connectors.console.queries import Announced, ConsoleQueries
from connectors.media.download import Downloaded
from connectors.postgres.rows import notifications
from schemas.keys import MessageKey, TenantId, message_key
from schemas.records import Attachment, EnrichedMessage
from schemas.settings import Postgres, Settings
from schemas.topics import Names
from storage.objects.keys import object_key, public_path
from storage.objects.store import ObjectStore
from storage.postgres.directory import Directory
from storage.postgres.repair_plans import Counted, HeldRepair, RepairRequest
from storage.postgres.repairs import Repairs
from storage.postgres.sql import queries
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.repair.applying import Opened, Redo, RepairWork
from streams.roles.other_roles import other_roles_of
from streams.stages.message import attributes_json, status_of
from tests.integration.databases import Connection, merge, pooled, schema
from tests.unit.records import message

CONVERSATION = "15550109999~15550100001"
ORIGIN = "https://chat.example.com"
Fetch = Callable[[TenantId, Announced, str], Awaitable[Downloaded]]


class NoRedo:
    """The redo of a console that repairs nothing."""

    async def next_generation(self, detail: str) -> int:
        raise AssertionError("nothing was to be repaired")

    async def check(self, asked: RepairRequest) -> None:
        raise AssertionError("nothing was to be repaired")

    async def count(self, asked: RepairRequest) -> Counted:
        raise AssertionError("nothing was to be repaired")

    def opened(self, held: HeldRepair) -> AbstractAsyncContextManager[Opened]:
        raise AssertionError("nothing was to be repaired")


async def _nothing(tenant_id: TenantId, announced: Announced, url: str) -> Downloaded:
    raise AssertionError("nothing was to be fetched")


@dataclass
class Console:
    """A console and its data.

    `keys` maps (tenant, scope) to a key. `fetch` is the download that the proxy uses.
    """

    app: Any
    parts: Parts
    client: httpx.AsyncClient
    connection: Connection
    names: Names
    vault: Vault
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    fetch: Fetch = _nothing

    async def get(
        self,
        path: str,
        tenant: str = "acme",
        scope: str = "read",
        method: str = "GET",
        **headers: str,
    ) -> httpx.Response:
        """Sends a GET. With scope "" it sends no key."""
        sent = {name.replace("_", "-"): value.encode("latin-1") for name, value in headers.items()}
        if scope:
            sent["authorization"] = f"Bearer {self.keys[tenant, scope]}".encode()
        return await self.client.request(method, path, headers=sent)

    async def write(self, *messages: EnrichedMessage) -> None:
        """Writes messages as the sink does, and notifies waiting readers."""
        statements = queries("sink")
        touched = await merge(self.connection, *messages)
        await self.connection.execute(
            statements["tell"],
            f"{self.names.postgres_schema}_messages",
            notifications(touched),
        )

    async def keep(
        self,
        data: bytes,
        mime: str,
        extension: str,
        *,
        tenant: str = "acme",
        of: str = "1",
        index: int = 0,
    ) -> Attachment:
        """Stores a file as an attachment of message `of`."""
        prefix = self.names.object_prefix
        key = object_key(
            prefix, TenantId(tenant), key_of(of, tenant), index, f"{hash(data):x}", extension
        )
        await self.parts.store.put_bytes(key, data, mime)
        return Attachment(
            index=index, type="other", status="stored", url=public_path(prefix, key), object_key=key, mime_type=mime, bytes=len(data),
            original_url=f"https://files.example.com/{of}/{index}",
        )  # fmt: skip


def key_of(identifier: str, tenant: str = "acme") -> MessageKey:
    return message_key(TenantId(tenant), "ycloud", identifier)


def row(
    identifier: str,
    *attachments: Attachment,
    tenant: str = "acme",
    attributes: dict[str, Any] | None = None,
    **fields: Any,
) -> EnrichedMessage:
    """A message as its last version has it, which arrived now."""
    now = datetime.now(UTC)
    return message(
        *attachments,
        **{
            "tenant_id": tenant,
            "message_key": key_of(identifier, tenant),
            "provider_message_id": identifier,
            "conversation_id": CONVERSATION,
            "content_attributes": attributes_json(attachments, attributes or {}),
            "status": status_of(attachments),
            "occurred_at": now,
            "received_at": now,
            "enriched_at": now,
            **fields,
        },
    )


@asynccontextmanager
async def running(
    stack: Settings,
    names: Names,
    *,
    origins: tuple[str, ...] = (ORIGIN,),
    loaded: bool = True,
    postgres: Postgres | None = None,
    redo: Redo | None = None,
    other_roles: OtherRoles | None = None,
) -> AsyncIterator[Console]:
    """Runs a console with the tenants acme and other, and a key of each scope for both.

    `postgres` replaces the settings of Postgres.
    """
    own = msgspec.structs.replace(stack, namespace=names.namespace)
    vault, store = Vault(str(stack.secrets.key)), ObjectStore(stack.objects)
    await store.ensure_bucket()
    async with (
        schema(stack.postgres, names) as connection,
        pooled(postgres or stack.postgres, names) as pool,
    ):
        tenancy, keys = Tenancy(connection, vault), dict[tuple[str, str], str]()
        for tenant in ("acme", "other"):
            await tenancy.add_tenant(tenant)
            for scope in ("chat", "read", "admin"):
                keys[tenant, scope] = await tenancy.add_key(tenant, scope)  # type: ignore[arg-type]
        directory, changes = Directory(stack.postgres, names, vault), Changes(stack.postgres, names)
        if loaded:
            await directory.start()
            await directory.wait_loaded()
        await changes.start()

        async def fetch(tenant_id: TenantId, announced: Announced, url: str) -> Downloaded:
            return await console.fetch(tenant_id, announced, url)

        parts = Parts(
            names=names,
            directory=directory,
            reading=ConsoleQueries(pool),
            changes=changes,
            store=store,
            links=Links(vault.derived_keys("media-links"), 300),
            fetch=fetch,
            allowed_origins=origins,
            pages=page_parts(
                pool,
                vault,
                RepairWork(Repairs(pool), redo or NoRedo()),
                "",
                other_roles or other_roles_of(own),
            ),
        )
        app = create_console(parts)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        try:
            async with httpx.AsyncClient(
                transport=transport, base_url="http://console", timeout=60
            ) as client:
                console = Console(app, parts, client, connection, names, vault, keys)
                yield console
        finally:
            assert parts.pages is not None
            await parts.pages.shown_files.close()
            await changes.stop()
            await directory.stop()
            async for one in store.list(names.object_prefix):
                await store.delete(one.key)
            await store.close()


def spooled(data: bytes, content_type: str = "") -> Downloaded:
    """A file in the spool, as a download leaves it."""
    return Downloaded(io.BytesIO(data), len(data), "ab" * 32, content_type, data[:4096])


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem details of an error answer. Fails if they do not have the usual form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert (document["type"], document["status"]) == ("about:blank", status) and document[
        "title"
    ] not in ("", "Error")
    return document
