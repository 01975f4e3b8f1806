"""People of the console: accounts, roles, sessions, login links and failed logins.

Tokens of sessions and links are stored as digests. Passwords are hashed by the caller.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import asyncpg

from schemas.keys import TenantId
from storage.errors import StorageError
from storage.postgres.pool import as_unavailable
from storage.postgres.sql import queries

PersonRole = Literal["viewer", "reader", "operator", "admin"]
RANKS: dict[str, int] = {"viewer": 1, "reader": 2, "operator": 3, "admin": 4}
"""The rank of each role. A role includes the rights of all lower ones."""
EVERY_TENANT = "*"
PORTAL = "portal@"
"""The prefix of accounts that `sensorium portal` creates."""
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")

IDLE_SECONDS = 2 * 3600.0
ABSOLUTE_SECONDS = 24 * 3600.0
SESSIONS_PER_PERSON = 20
LINK_SECONDS = 15 * 60.0
UNMASK_SECONDS = 15 * 60.0
FAILURE_SECONDS = 15 * 60.0
MOST_BUCKETS = 100_000
_SEEN_AGAIN = timedelta(minutes=1)


class PeopleError(StorageError):
    """The request cannot be carried out. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is logged in.

    `roles` maps each tenant that the person may see to the role. `is_chief`: the person
    is an admin of every tenant.
    """

    token: str = field(repr=False)
    person_id: str
    name: str
    roles: dict[TenantId, str]
    is_chief: bool

    def may(self, tenant_id: TenantId, role: PersonRole) -> bool:
        """True if the person has this role or a higher one at the tenant."""
        return RANKS.get(self.roles.get(tenant_id, ""), 0) >= RANKS[role]


def sha256(token: str) -> bytes:
    """The form in which a token is stored."""
    return hashlib.sha256(token.encode()).digest()


class People:
    """Uses a pool or a connection.

    Raises Unavailable while Postgres cannot be reached.
    """

    def __init__(self, database: "asyncpg.Pool[Any] | asyncpg.Connection[Any]") -> None:
        self._database = database
        self._sql = queries("people")

    async def add(self, name: str, password_hash: str | None) -> str:
        """Adds a person and returns the id.

        Raises PeopleError for a taken or invalid name.
        """
        if not NAME_PATTERN.fullmatch(name):
            raise PeopleError(
                f"{name!r} is not a name: lower-case letters, digits and . _ @ + -, at most 100"
            )
        rows = await self._fetch("add_person", f"per_{secrets.token_hex(8)}", name, password_hash)
        if not rows:
            raise PeopleError(f"there is a person {name!r} already: sensorium users list")
        return str(rows[0]["person_id"])

    async def named(self, name: str) -> Any | None:
        """`person_id`, `name` and `password` (hashed), or None."""
        rows = await self._fetch("person_by_name", name)
        return rows[0] if rows else None

    async def list(self, tenant: str | None = None) -> list[dict[str, Any]]:
        """Each person with their `roles`, sorted by name."""
        people: dict[str, dict[str, Any]] = {}
        for row in await self._fetch("list_people", tenant):
            person = people.setdefault(
                row["name"],
                {
                    "name": row["name"],
                    "has_password": row["has_password"],
                    "created_at": row["created_at"],
                    "roles": {},
                },
            )
            if row["tenant_id"] is not None:
                person["roles"][row["tenant_id"]] = row["role"]
        return list(people.values())

    async def set_password(self, person_id: str, password_hash: str) -> None:
        """Replaces the password and ends every session and login link of the person."""
        await self._fetch("set_password", person_id, password_hash)
        await self._fetch("end_links_of", person_id)
        await self._fetch("end_sessions_of", person_id)

    async def remove(self, name: str) -> None:
        """Removes the person, including sessions, links and roles."""
        if not await self._fetch("remove_person", name):
            raise PeopleError(f"there is no person {name!r}: sensorium users list")

    async def set_role(self, tenant: str, person_id: str, role: PersonRole) -> None:
        """Sets the role of a person at one tenant, or at all (`*`)."""
        await self._fetch("set_role", tenant, person_id, role)

    async def roles(self, person_id: str) -> dict[str, PersonRole]:
        """Maps each tenant to the role; `*` stands for every tenant."""
        rows = await self._fetch("roles_of_person", person_id)
        return {row["tenant_id"]: row["role"] for row in rows}

    async def end_role(self, tenant: str, person_id: str) -> None:
        """Removes a role. With the last one, the person's sessions and login links end too.

        Otherwise they would become valid again with a later role.
        """
        await self._fetch("end_role", tenant, person_id)
        if not await self.roles(person_id):
            await self.end_sessions(person_id)

    async def begin(self, person_id: str) -> str:
        """Starts a session and returns its token.

        The person's oldest sessions beyond the limit end.
        """
        token = secrets.token_urlsafe(32)
        await self._fetch("begin_session", sha256(token), person_id)
        await self._fetch(
            "sweep_sessions", person_id, IDLE_SECONDS, ABSOLUTE_SECONDS, SESSIONS_PER_PERSON
        )
        return token

    async def session(self, token: str, *, is_use: bool = True) -> Session | None:
        """The session of a token. With `is_use` false it is not marked as used."""
        digest = sha256(token)
        rows = await self._fetch("session", digest, IDLE_SECONDS, ABSOLUTE_SECONDS)
        if not rows:
            return None
        row = rows[0]
        if is_use and row["now"] - row["seen_at"] > _SEEN_AGAIN:
            await self._fetch("see_session", digest)
        roles: dict[TenantId, str] = {}
        for entry in row["roles"]:
            tenant, _, role = entry.partition(":")
            if RANKS[role] > RANKS.get(roles.get(TenantId(tenant), ""), 0):
                roles[TenantId(tenant)] = role
        return Session(token, row["person_id"], row["name"], roles, row["is_chief"])

    async def members(self, tenant: str) -> Sequence[Any]:
        """Everyone who may see the tenant.

        Each row has the role here, the role everywhere, other tenants, sessions, and
        the time last seen.
        """
        rows: Sequence[Any] = await self._fetch("members", tenant, IDLE_SECONDS, ABSOLUTE_SECONDS)
        return rows

    async def end_sessions(self, person_id: str) -> None:
        """Logs a person out everywhere and ends their login links."""
        await self._fetch("end_links_of", person_id)
        await self._fetch("end_sessions_of", person_id)

    async def end(self, token: str) -> None:
        await self._fetch("end_session", sha256(token))

    async def add_link(self, person_id: str, seconds: float = LINK_SECONDS) -> str:
        """A token that logs this person in once."""
        token = secrets.token_urlsafe(32)
        await self._fetch("sweep_links")
        await self._fetch("add_link", sha256(token), person_id, seconds)
        return token

    async def use_link(self, token: str) -> str | None:
        """The person's id on first use. None later, or once the link has expired."""
        rows = await self._fetch("use_link", sha256(token))
        return str(rows[0]["person_id"]) if rows else None

    async def failures(self, buckets: Sequence[bytes]) -> dict[bytes, tuple[int, float]]:
        """Maps each bucket to its number of failed logins and the seconds until they end."""
        return _by_bucket(await self._fetch("failures", list(buckets), FAILURE_SECONDS))

    async def count_failure(self, buckets: Sequence[bytes]) -> dict[bytes, tuple[int, float]]:
        """Adds one failure to each bucket and returns what `failures` would.

        Bounds the table.
        """
        rows = await self._fetch("count_failure", list(buckets), FAILURE_SECONDS)
        await self._fetch("sweep_failures", FAILURE_SECONDS, MOST_BUCKETS)
        return _by_bucket(rows)

    async def forget_failures(self, buckets: Sequence[bytes]) -> None:
        await self._fetch("forget_failures", list(buckets))

    async def uncount_failure(self, buckets: Sequence[bytes]) -> None:
        await self._fetch("uncount_failure", list(buckets))

    async def unmask(self, session: Session, tenant_id: TenantId, conversation_id: str) -> None:
        """Shows the conversation to this session for UNMASK_SECONDS."""
        digest = sha256(session.token)
        await self._fetch("unmask", tenant_id, conversation_id, digest, UNMASK_SECONDS)

    async def is_unmasked(
        self, session: Session, tenant_id: TenantId, conversation_id: str
    ) -> bool:
        digest = sha256(session.token)
        rows = await self._fetch("is_unmasked", tenant_id, conversation_id, digest)
        return bool(rows[0][0])

    async def note(self, tenant: str, person: str, action: str, detail: str) -> None:
        """Writes to the audit log who did what."""
        await self._fetch("write_audit", tenant, action, detail, person)

    async def _fetch(self, name: str, *arguments: Any) -> Any:
        with as_unavailable():
            return await self._database.fetch(self._sql[name], *arguments)


def _by_bucket(rows: Sequence[Any]) -> dict[bytes, tuple[int, float]]:
    return {row["bucket"]: (row["failures"], row["left_seconds"]) for row in rows}
