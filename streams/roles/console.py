"""The role `console`."""

from connectors.console.app import Parts, create_console
from connectors.console.changes import Changes
from connectors.console.links import Links
from connectors.console.reading import Announced, Reading
from connectors.media.addresses import allowed_hosts
from connectors.media.download import Downloaded, Downloader, NotThere, Refused
from connectors.providers.downloads import Endpoints, ForeignHost, Way, authority, ways_to
from schemas.keys import TenantId
from schemas.settings import Settings
from schemas.topics import Names
from storage.objects.store import ObjectStore
from storage.postgres.directory import Directory
from storage.postgres.pool import create_pool
from storage.postgres.vault import Vault
from streams.roles.http import serve_until_told
from streams.roles.port_claims import installation_of

DRAIN_SECONDS = 10.0
FETCHES_PER_TENANT = 8


async def run(settings: Settings) -> None:
    """Until SIGTERM; who waits is answered with what there is."""
    names, vault, wanted = Names(settings.namespace), Vault(settings.secrets.key), settings.console
    directory = Directory(settings.postgres, names, vault)
    changes = Changes(settings.postgres, names)
    pool = await create_pool(settings.postgres, names, "console")
    store = ObjectStore(settings.objects)
    async with Downloader(
        allowed_private_hosts=settings.media.allowed_private_hosts,
        most_per_owner=FETCHES_PER_TENANT,
    ) as downloader:

        async def fetch(tenant_id: TenantId, announced: Announced, url: str) -> Downloaded:
            found = original_ways(directory, settings, tenant_id, announced, url)
            return await _first(downloader, found, settings, tenant_id)

        app = create_console(
            Parts(
                names=names,
                directory=directory,
                reading=Reading(pool),
                changes=changes,
                store=store,
                links=Links(vault.derived_keys("media-links"), settings.media.link_seconds),
                fetch=fetch,
                allowed_origins=tuple(
                    origin.strip() for origin in wanted.allowed_origins.split(",") if origin.strip()
                ),
            )
        )
        await directory.start()
        await changes.start()
        try:
            await serve_until_told(
                app,
                wanted.host,
                wanted.port,
                installation=installation_of(settings.namespace, settings.secrets.key),
                draining=changes.end,
                drain_seconds=DRAIN_SECONDS,
            )
        finally:
            await changes.stop()
            await directory.stop()
            await store.close()
            pool.terminate()


def original_ways(
    endpoints: Endpoints, settings: Settings, tenant_id: TenantId, announced: Announced, url: str
) -> tuple[Way, ...]:
    """The requests for an original file, in the name of the endpoint that received its message."""
    given = authority(endpoints, tenant_id, announced.provider, announced.origin)
    exempt = allowed_hosts(settings.media.allowed_private_hosts)
    try:
        return ways_to(url, None, given, settings.providers.ycloud.api_base, exempt)
    except ForeignHost:
        raise Refused("media_refused_address") from None


async def _first(
    downloader: Downloader, found: tuple[Way, ...], settings: Settings, tenant_id: TenantId
) -> Downloaded:
    """The first way that gives the file; what the last one said, when none does."""
    said: Exception = Refused("media_refused_address")
    for way in found:
        try:
            return await downloader.fetch(
                way.url,
                headers=way.headers,
                max_bytes=settings.media.max_bytes,
                deadline_seconds=settings.media.download_seconds,
                owner=tenant_id,
            )
        except (NotThere, Refused) as error:
            said = error
    raise said
