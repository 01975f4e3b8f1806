"""The store_media stage as a Faust app: downloads, the spool and the object store."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import structlog

from connectors.media.addresses import allowed_hosts
from connectors.media.download import Downloaded, Downloader, NotThere, Refused, sweep_spool
from connectors.media.sniff import Sniffed, sniff_file
from connectors.providers.downloads import ForeignHost, Way, ways
from schemas import metrics
from schemas.outcomes import Forward, Unavailable
from schemas.records import MediaJob
from schemas.settings import Settings
from schemas.tenants import TenantSettings
from schemas.topics import Names
from storage.objects.keys import object_key, public_path
from storage.objects.store import ObjectMissing, ObjectStore, ObjectStoreMisconfigured
from storage.postgres.directory import Directory
from storage.postgres.media_objects import MediaObjects
from storage.postgres.pool import create_pool
from storage.postgres.vault import Vault
from streams.apps.encoding import utc_now
from streams.apps.jobs import JobStage, Turn, job_app
from streams.apps.object_trouble import waiting_for_a_person
from streams.lanes.app import LaneApp
from streams.stages import store_media as stage
from streams.stages.store_media import FileGone, FileNotThere, store_media

log = structlog.get_logger()
SPOOL_STALE_SECONDS = 3_600.0


class MediaWorld:
    """The stage's ports on real clients."""

    def __init__(self, settings: Settings) -> None:
        self._names = names = Names(settings.namespace)
        self.directory = Directory(settings.postgres, names, Vault(settings.secrets.key))
        self._settings = settings
        self._prefix = names.object_prefix
        self._store = ObjectStore(settings.objects)
        self._spool = Path(tempfile.gettempdir()) / f"sensorium-spool-{names.prefix or 'main'}"
        self._exempt = allowed_hosts(settings.media.allowed_private_hosts)
        self._downloader = Downloader(
            allowed_private_hosts=settings.media.allowed_private_hosts, spool_dir=self._spool
        )

    async def open(self) -> None:
        await self.directory.start()
        await self.directory.wait_loaded()
        self._pool = await create_pool(self._settings.postgres, self._names, "store-media", size=2)
        self._objects = MediaObjects(self._pool)
        await self._downloader.__aenter__()
        await self._have_bucket()
        await asyncio.to_thread(sweep_spool, self._spool, SPOOL_STALE_SECONDS)

    async def _have_bucket(self) -> None:
        while True:
            try:
                return await self._store.ensure_bucket()
            except Unavailable as trouble:
                log.warning("object_store_unreachable", detail=trouble.detail)
                await asyncio.sleep(trouble.retry_after)

    def healthy(self) -> bool:
        return self.directory.healthy

    async def close(self) -> None:
        await self._downloader.__aexit__(None, None, None)
        await self.directory.stop()
        self._pool.terminate()
        await self._store.close()

    def ways(self, job: MediaJob) -> Sequence[Way]:
        if self.directory.is_removed(job.tenant_id):
            raise FileGone("media_gone")
        endpoint = self.directory.endpoint_by_id(job.endpoint_id) if job.endpoint_id else None
        ours = endpoint is not None and endpoint.tenant_id == job.tenant_id
        key = endpoint.api_key if endpoint is not None and ours else None
        if (
            key is None and job.endpoint_id
        ):  # the endpoint is gone, or a repair chose another one of the tenant's
            key = self.directory.provider_key(job.tenant_id, job.provider)
        try:
            return ways(
                job,
                api_key=key,
                ycloud_api_base=self._settings.providers.ycloud.api_base,
                exempt=self._exempt,
            )
        except ForeignHost:
            raise FileGone("media_refused_address") from None

    async def stored_before(self, job: MediaJob) -> Downloaded | None:
        found = await self._objects.find(job.tenant_id, job.message_key, job.index, job.url)
        if found is None:
            return None
        try:
            return await self._downloader.spool(
                self._store.stream(found.object_key), found.mime_type, found.bytes
            )
        except (ObjectMissing, Refused):  # gone, or not what was stored: the provider may have it
            return None
        except ObjectStoreMisconfigured as wrong:
            raise waiting_for_a_person(wrong) from wrong

    async def fetch(self, way: stage.Way, max_bytes: int) -> Downloaded:
        try:
            return await self._downloader.fetch(
                way.url,
                headers=way.headers,
                max_bytes=max_bytes,
                deadline_seconds=self._settings.media.download_seconds,
            )
        except NotThere:
            raise FileNotThere from None
        except Refused as refused:
            raise FileGone(refused.reason, try_next_way=refused.status in (401, 403)) from None

    async def sniff(self, fetched: stage.Fetched, announced: str | None) -> Sniffed:
        return await asyncio.to_thread(sniff_file, fetched.path, fetched.head, announced)

    async def keep(self, job: MediaJob, fetched: stage.Fetched, kept: stage.Kept) -> str:
        if job.declared_sha256 is not None and job.declared_sha256 != fetched.sha256:
            metrics.MEDIA_HASH_MISMATCH.labels(
                job.provider if job.provider in ("ycloud", "chatwoot") else "direct"
            ).inc()
            log.warning(
                "media_hash_mismatch",
                tenant=job.tenant_id,
                message_key=job.message_key,
                stage="store_media",
            )
        key = object_key(
            self._prefix, job.tenant_id, job.message_key, job.index, fetched.sha256, kept.extension
        )
        try:
            await self._store.put_file(key, fetched.path, kept.mime)
        except ObjectStoreMisconfigured as wrong:
            raise waiting_for_a_person(wrong) from wrong
        metrics.MEDIA_BYTES.labels(job.type).inc(fetched.bytes)
        return key

    def public_path(self, object_key: str) -> str:
        return public_path(self._prefix, object_key)


def create_app(settings: Settings) -> LaneApp:
    """The app; its worker is started by the `stream` role."""
    world = MediaWorld(settings)

    async def work(turn: Turn[MediaJob]) -> Forward:
        tenant = world.directory.tenant(turn.job.tenant_id)
        return await store_media(
            turn.job,
            ports=world,
            limits=settings.media,
            tenant=tenant.settings if tenant is not None else TenantSettings(),
            source=turn.arrival.source,
            waited_seconds=turn.waited_seconds,
            now=utc_now(),
        )

    return job_app(settings, JobStage("store_media", MediaJob, work, world))
