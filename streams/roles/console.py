"""The role `console`: HTTP for bots, and pages for people."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

import asyncpg
import structlog

from connectors.console.accepted import Accepted
from connectors.console.app import FETCHES_PER_TENANT, create_console
from connectors.console.changes import Changes
from connectors.console.links import Links
from connectors.console.pages.parts import page_parts
from connectors.console.parts import Parts
from connectors.console.queries import Announced, ConsoleQueries, ContextBounds
from connectors.media.addresses import allowed_hosts
from connectors.media.download import Downloaded, Downloader
from connectors.providers.catalogue import download_candidates
from connectors.providers.downloads import (
    DownloadCandidate,
    Endpoints,
    ForeignHost,
    authority,
)
from schemas.fetching import FileGone, FileNotThere
from schemas.keys import TenantId
from schemas.settings import Settings
from schemas.topics import Names
from storage.background import retry_forever
from storage.objects.store import ObjectStore
from storage.postgres.directory import Directory
from storage.postgres.pool import create_pool
from storage.postgres.repairs import Repairs
from storage.postgres.tenant_removals import TenantRemovals
from storage.postgres.vault import Vault
from streams.lanes.counts import PartitionCounts
from streams.repair.applying import RepairWork
from streams.repair.redo import KafkaRedo
from streams.repair.removing import TenantRemoving
from streams.roles.http import connections_allowed, serve_until_signal
from streams.roles.other_roles import other_roles_of
from streams.roles.port_claims import installation_of
from streams.roles.protocol import AddressLimit, BoundedProtocol

log = structlog.get_logger()
DRAIN_SECONDS = 10.0


async def run(settings: Settings) -> None:
    """Runs until SIGTERM.

    Waiting requests are then answered with the messages that exist.
    """
    names, vault = Names(settings.namespace), Vault(settings.secrets.key)
    counts = PartitionCounts(settings.kafka, names.topics)
    pool = await create_pool(settings.postgres, names, "console")
    page_pool = await create_pool(settings.postgres, names, "console-pages", size=6)
    directory = Directory(settings.postgres, names, vault)
    async with Downloader(
        allowed_private_hosts=settings.media.allowed_private_hosts,
        most_per_owner=FETCHES_PER_TENANT,
    ) as downloader:
        parts = _parts(settings, names, vault, (pool, page_pool), directory, downloader, counts)
        pages, accepted = parts.pages, parts.accepted
        assert pages is not None and accepted is not None

        def drain() -> None:
            parts.changes.end()
            accepted.end()

        removing = TenantRemoving(settings, TenantRemovals(pool))
        await directory.start()
        await parts.changes.start()
        beside = _started(
            repairs=pages.work.run(), removals=removing.run(), partition_counts=_watched(counts)
        )
        try:
            await serve_until_signal(
                create_console(parts),
                settings.console.host,
                settings.console.port,
                installation=installation_of(settings.namespace, settings.secrets.key),
                draining=drain,
                drain_seconds=DRAIN_SECONDS,
                http=bounded(settings.console.header_seconds),
            )
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await parts.changes.stop()
            await directory.stop()
            await pages.shown_files.close()
            await parts.store.close()
            accepted.close()
            pool.terminate()
            page_pool.terminate()


def _started(**work: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    """Starts each as a task of its name."""
    return [asyncio.create_task(one, name=name) for name, one in work.items()]


async def _watched(counts: PartitionCounts) -> None:
    """Compares the partition counts until it is cancelled."""

    def failed(error: Exception) -> None:
        log.warning("partition_counts_not_read", what=type(error).__name__)

    await retry_forever(counts.watch, failed, lambda: 0.0)


def _parts(
    settings: Settings,
    names: Names,
    vault: Vault,
    pools: "tuple[asyncpg.Pool[asyncpg.Record], asyncpg.Pool[asyncpg.Record]]",
    directory: Directory,
    downloader: Downloader,
    counts: PartitionCounts,
) -> Parts:
    """Builds what the console needs. Nothing is started yet.

    The second pool is that of the pages' reading.
    """
    pool, page_pool = pools
    console, reading = settings.console, ConsoleQueries(pool)

    async def fetch(tenant_id: TenantId, announced: Announced, url: str) -> Downloaded:
        candidates = original_candidates(directory, settings, tenant_id, announced, url)
        return await _first_file(downloader, candidates, settings, tenant_id)

    around = other_roles_of(settings)
    repairs = RepairWork(Repairs(pool), KafkaRedo(settings, pool))
    return Parts(
        names=names,
        directory=directory,
        reading=reading,
        accepted=Accepted(settings.kafka, names, reading, lambda: counts.trouble),
        changes=Changes(settings.postgres, names),
        store=ObjectStore(settings.objects),
        links=Links(vault.derived_keys("media-links"), settings.media.link_seconds),
        fetch=fetch,
        allowed_origins=tuple(
            origin.strip() for origin in console.allowed_origins.split(",") if origin.strip()
        ),
        public_url=console.public_url.rstrip("/"),
        bounds=ContextBounds(total_bytes=console.context_bytes),
        pages=page_parts(pool, vault, repairs, console.public_url, around, page_pool),
    )


def bounded(header_seconds: float) -> "partial[BoundedProtocol]":
    """The console's protocol with its bounds.

    One address may use half of the connections, because it may be a proxy.
    """
    most = connections_allowed()
    return partial(
        BoundedProtocol,
        head_seconds=header_seconds,
        max_connections=most,
        addresses=AddressLimit(max(1, most // 2)),
    )


def original_candidates(
    endpoints: Endpoints, settings: Settings, tenant_id: TenantId, announced: Announced, url: str
) -> tuple[DownloadCandidate, ...]:
    """The candidate requests for an original file.

    They use the credentials of the endpoint that received its message.
    """
    endpoint_authority = authority(endpoints, tenant_id, announced.provider, announced.origin)
    exempt = allowed_hosts(settings.media.allowed_private_hosts)
    try:
        return download_candidates(url, None, endpoint_authority, settings.providers, exempt)
    except ForeignHost:
        raise FileGone("media_refused_address") from None


async def _first_file(
    downloader: Downloader,
    candidates: tuple[DownloadCandidate, ...],
    settings: Settings,
    tenant_id: TenantId,
) -> Downloaded:
    """Returns the file of the first request that gives it, or raises the error of the last one."""
    last: Exception = FileGone("media_refused_address")
    for candidate in candidates:
        try:
            return await downloader.fetch(
                candidate.url,
                headers=candidate.headers,
                max_bytes=settings.media.max_bytes,
                deadline_seconds=settings.media.download_seconds,
                owner=tenant_id,
            )
        except (FileNotThere, FileGone) as error:
            last = error
    raise last
