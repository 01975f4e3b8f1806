"""The dependencies that the pages need in addition to those of the API."""

from dataclasses import dataclass, field

import asyncpg

from connectors.console.pages.other_roles import OtherRoles
from connectors.console.pages.reading import PageReading
from connectors.console.pages.refs import Refs, page_refs
from connectors.console.pages.repairer import Repairer
from connectors.console.pages.shown_files import ShownFiles
from connectors.console.tenant_queue import KafkaTurns
from storage.postgres.people import People
from storage.postgres.repairs import Repairs
from storage.postgres.vault import Vault


@dataclass(frozen=True, slots=True)
class PageParts:
    """`public_url` is the address at which people reach the console; with https its
    cookies are Secure.

    `reading` and `kafka` limit how much each tenant runs at once, so all pages share
    one of each.
    """

    pool: "asyncpg.Pool[asyncpg.Record]"
    people: People
    refs: Refs
    repairs: Repairs
    work: Repairer
    vault: Vault
    other_roles: OtherRoles
    reading: PageReading
    kafka: KafkaTurns
    public_url: str = ""
    shown_files: ShownFiles = field(default_factory=ShownFiles)


def page_parts(
    pool: "asyncpg.Pool[asyncpg.Record]",
    vault: Vault,
    work: Repairer,
    public_url: str,
    other_roles: OtherRoles,
    reading_pool: "asyncpg.Pool[asyncpg.Record] | None" = None,
) -> PageParts:
    """Builds the dependencies from those of the role.

    What pages read comes from `reading_pool`, if there is one, so that it takes no
    connection of the bots.
    """
    refs = page_refs(vault)
    return PageParts(
        pool,
        People(pool),
        refs,
        Repairs(pool),
        work,
        vault,
        other_roles,
        PageReading(reading_pool or pool),
        KafkaTurns(),
        public_url,
    )
