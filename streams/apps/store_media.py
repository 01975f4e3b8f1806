"""The store_media stage as a Faust app: downloads, the spool and the object store."""

import asyncio
from collections.abc import Hashable, Sequence

import structlog

from connectors.media.addresses import allowed_hosts
from connectors.media.download import Downloaded, Downloader
from connectors.media.held_files import HeldFiles
from connectors.media.sniff import Sniffed, sniff_file
from connectors.providers.catalogue import DIRECT, PROVIDERS, download_candidates
from connectors.providers.downloads import DownloadCandidate, ForeignHost, authority
from schemas import metrics
from schemas.fetching import FileGone
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
from streams.apps.jobs import JobStage, StageAttempt, job_app
from streams.apps.store_errors import waiting_for_a_person
from streams.lanes.app import LaneApp
from streams.stages import store_media as stage
from streams.stages.store_media import store_media

log = structlog.get_logger()


class MediaClients:
    """The ports of store_media on real clients."""

    def __init__(self, settings: Settings) -> None:
        self._names = names = Names(settings.namespace)
        self.directory = Directory(settings.postgres, names, Vault(settings.secrets.key))
        self._settings = settings
        self._prefix = names.object_prefix
        self._store = ObjectStore(settings.objects)
        self._held = HeldFiles()
        self._exempt = allowed_hosts(settings.media.allowed_private_hosts)
        self._downloader = Downloader(allowed_private_hosts=settings.media.allowed_private_hosts)

    async def open(self) -> None:
        await self.directory.start()
        await self.directory.wait_loaded()
        self._pool = await create_pool(self._settings.postgres, self._names, "store-media", size=2)
        self._objects = MediaObjects(self._pool)
        await self._downloader.__aenter__()
        await self._have_bucket()

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
        self._held.close()
        await self._downloader.__aexit__(None, None, None)
        await self.directory.stop()
        self._pool.terminate()
        await self._store.close()

    def candidates(self, job: MediaJob) -> Sequence[DownloadCandidate]:
        if self.directory.is_removed(job.tenant_id):
            raise FileGone("media_gone")
        try:
            return download_candidates(
                job.url,
                job.media_id,
                authority(self.directory, job.tenant_id, job.provider, job.endpoint_id),
                self._settings.providers,
                self._exempt,
            )
        except ForeignHost:
            raise FileGone("media_refused_address") from None

    def held(self, job: MediaJob) -> Downloaded | None:
        return self._held.take(_held_key(job))

    def hold(self, job: MediaJob, fetched: stage.Fetched) -> None:
        assert isinstance(fetched, Downloaded)  # the stage returns what `fetch` gave it
        self._held.hold(_held_key(job), job.tenant_id, fetched)

    async def stored_before(self, job: MediaJob) -> Downloaded | None:
        stored = await self._objects.find(job.tenant_id, job.message_key, job.index, job.url)
        if stored is None:
            return None
        try:
            return await self._downloader.spool(
                self._store.stream(stored.object_key), stored.mime_type, stored.bytes
            )
        except (ObjectMissing, FileGone):  # gone or altered: the provider may still have it
            return None
        except ObjectStoreMisconfigured as wrong:
            raise waiting_for_a_person(wrong) from wrong

    async def fetch(self, candidate: stage.CandidateRequest, max_bytes: int) -> Downloaded:
        return await self._downloader.fetch(
            candidate.url,
            headers=candidate.headers,
            max_bytes=max_bytes,
            deadline_seconds=self._settings.media.download_seconds,
        )

    async def sniff(self, fetched: stage.Fetched, announced: str | None) -> Sniffed:
        try:
            return await asyncio.to_thread(sniff_file, fetched.file, fetched.head, announced)
        except OSError as error:  # the spool cannot be read: that says nothing about the file
            raise Unavailable("disk", 5.0, detail=type(error).__name__) from error

    async def keep(self, job: MediaJob, fetched: stage.Fetched, content: stage.ContentType) -> str:
        if job.declared_sha256 is not None and job.declared_sha256 != fetched.sha256:
            metrics.MEDIA_HASH_MISMATCH.labels(
                job.provider if job.provider in PROVIDERS else DIRECT.name
            ).inc()
            log.warning(
                "media_hash_mismatch",
                tenant=job.tenant_id,
                message_key=job.message_key,
                stage="store_media",
            )
        key = object_key(
            self._prefix,
            job.tenant_id,
            job.message_key,
            job.index,
            fetched.sha256,
            content.extension,
        )
        try:
            await self._store.put_file(key, fetched.file, fetched.bytes, content.mime)
        except ObjectStoreMisconfigured as wrong:
            raise waiting_for_a_person(wrong) from wrong
        metrics.MEDIA_BYTES.labels(job.type).inc(fetched.bytes)
        return key

    def public_path(self, object_key: str) -> str:
        return public_path(self._prefix, object_key)


def _held_key(job: MediaJob) -> Hashable:
    """The key under which a file is held, the same for every try of a job and unique to the job."""
    return job.tenant_id, job.message_key, job.index, job.generation, job.url


def create_app(settings: Settings) -> LaneApp:
    """Builds the app. The `stream` role starts its worker."""
    clients = MediaClients(settings)

    async def work(attempt: StageAttempt[MediaJob]) -> Forward:
        tenant = clients.directory.tenant(attempt.job.tenant_id)
        return await store_media(
            attempt.job,
            ports=clients,
            limits=settings.media,
            tenant=tenant.settings if tenant is not None else TenantSettings(),
            source=attempt.arrival.source,
            waited_seconds=attempt.waited_seconds,
            now=utc_now(),
        )

    return job_app(settings, JobStage("store_media", MediaJob, work, clients))
