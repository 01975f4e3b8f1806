"""What the pages need beside what the API has."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from connectors.console.pages.refs import Refs
from connectors.console.pages.repairing import Redo, RepairWork
from storage.postgres.people import People
from storage.postgres.repairs import Repairs


@dataclass(frozen=True, slots=True)
class PageParts:
    """`public_url` is where people reach the console; with https its cookies are Secure."""

    pool: "asyncpg.Pool[asyncpg.Record]"
    people: People
    refs: Refs
    repairs: Repairs
    redo: Redo
    work: RepairWork
    public_url: str = ""


def page_parts(
    pool: "asyncpg.Pool[asyncpg.Record]", ref_keys: Sequence[bytes], redo: Redo, public_url: str
) -> PageParts:
    """From what the role has; `ref_keys` are those of the vault, newest first."""
    repairs = Repairs(pool)
    work = RepairWork(repairs, redo)
    return PageParts(pool, People(pool), Refs(ref_keys), repairs, redo, work, public_url)
