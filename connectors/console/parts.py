"""The dependencies that the routes of the console share."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache

from connectors.console.accepted import Accepted
from connectors.console.authentication import KeyDirectory
from connectors.console.changes import Changes
from connectors.console.facts import spoken
from connectors.console.links import Links
from connectors.console.marker import DEFAULT_TEXTS, Marker
from connectors.console.pages.parts import PageParts
from connectors.console.queries import Announced, ConsoleQueries, ContextBounds
from connectors.media.download import Downloaded
from schemas.keys import TenantId
from schemas.topics import Names
from storage.objects.store import ObjectStore


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the console gets from outside.

    `fetch` downloads an original file from its provider, with the same guards as the
    pipeline. `accepted` checks that all accepted messages have been stored; without it,
    no answer is known to be in order.
    """

    names: Names
    directory: KeyDirectory
    reading: ConsoleQueries
    changes: Changes
    store: ObjectStore
    links: Links
    fetch: Callable[[TenantId, Announced, str], Awaitable[Downloaded]]
    allowed_origins: tuple[str, ...] = ()
    public_url: str = ""
    accepted: Accepted | None = None
    bounds: ContextBounds = field(default_factory=ContextBounds)
    pages: PageParts | None = None

    def marker(self, tenant_id: TenantId) -> Marker:
        tenant = self.directory.tenant(tenant_id)
        own = tenant.settings.context_text if tenant is not None else None
        return marker_of(own or DEFAULT_TEXTS[spoken(self.language(tenant_id))])

    def language(self, tenant_id: TenantId) -> str:
        """Returns the language of the console's own words in a context."""
        tenant = self.directory.tenant(tenant_id)
        return (tenant.settings.language if tenant is not None else None) or "es"

    def sign(self, path: str) -> str:
        """Returns a signed link: absolute if there is a public address, otherwise only its path."""
        return self.public_url + self.links.signed(path, time.time())


@lru_cache(256)
def marker_of(frame: str | None) -> Marker:
    """Markers are cached, because each takes a millisecond to build and serves many requests."""
    return Marker(frame)
