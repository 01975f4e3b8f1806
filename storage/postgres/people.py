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
SESSIONS_PER_PORTAL = 200
"""All people of a portal share its account, so more of its sessions are live at once."""
LINK_SECONDS = 15 * 60.0
MOST_LISTED = 50
"""How many tenants the session of a person names, besides the one that a request is about."""
UNMASK_SECONDS = 15 * 60.0
FAILURE_SECONDS = 15 * 60.0
MOST_BUCKETS = 100_000
_SEEN_AGAIN = timedelta(minutes=1)


class PeopleError(StorageError):
    """The request cannot be carried out. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is logged in.

    `name` is how the audit log names the person. The people of a portal share its
    account, so theirs ends with the name of the login link. `roles`: tenant → role, for
    the tenants that were asked for and, by name, the first of those that the person may
    see. `is_chief`: the person is admin of every tenant. `has_more`: the person may see
    more tenants than `roles` names.
    """

    token: str = field(repr=False)
    person_id: str
    name: str
    roles: dict[TenantId, str]
    is_chief: bool
    has_more: bool = False

    @property
    def is_portal(self) -> bool:
        """True for the account that the people of a tenant share. It has no password."""
        return self.name.startswith(PORTAL)

    def may(self, tenant_id: TenantId, role: PersonRole) -> bool:
        """True if the person has this role or a higher one at the tenant."""
        return RANKS.get(self.roles.get(tenant_id, ""), 0) >= RANKS[role]


def link_name(token: str) -> str:
    """The name of a login link in the audit log, with which nobody can log in."""
    return token[:6]


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

    async def set_own_password(
        self, session: Session, former_hash: str | None, password_hash: str
    ) -> None:
        """Replaces the password of a person who is logged in; sessions and login links end.

        Raises PeopleError if the password is not the former one any more, or if the
        session has ended meanwhile; the caller's transaction must then be rolled back. It
        looks for the session after it has locked the account, so that it sees what a
        concurrent `admit` has ended.
        """
        arguments = (session.person_id, password_hash, former_hash)
        if not await self._fetch("set_own_password", *arguments):
            raise PeopleError("the password was changed meanwhile")
        await self._fetch("end_links_of", session.person_id)
        ended = await self._fetch("end_sessions_of", session.person_id)
        if sha256(session.token) not in {row["session_sha256"] for row in ended}:
            raise PeopleError("the session has ended meanwhile")

    async def account(self, person_id: str) -> Any | None:
        """`has_password`, and how many `sessions` are live; None if the person was removed."""
        rows = await self._fetch("account", person_id, IDLE_SECONDS, ABSOLUTE_SECONDS)
        return rows[0] if rows else None

    async def remove(self, name: str) -> None:
        """Removes the person, including sessions, links and roles."""
        if not await self._fetch("remove_person", name):
            raise PeopleError(f"there is no person {name!r}: sensorium users list")

    async def set_role(self, tenant: str, person_id: str, role: PersonRole) -> None:
        """Sets the role of a person at one tenant, or at all (`*`)."""
        await self._fetch("set_role", tenant, person_id, role)

    async def admit(self, tenant: str, person_id: str, role: PersonRole) -> None:
        """Gives a role at a tenant, or at all (`*`), to an account that was made for others.

        Whoever made the account has its first login link. An account that had no role
        here, and no password from a command, therefore loses its sessions, its links and
        the password that was chosen in the console.
        """
        known = await self.roles(person_id)
        is_new = tenant not in known and EVERY_TENANT not in known
        if is_new and await self._fetch("end_own_password", person_id):
            await self.end_sessions(person_id)
        await self.set_role(tenant, person_id, role)

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

    async def begin(self, person_id: str, link: str = "") -> str:
        """Starts a session and returns its token, which begins with the name of the link, if any.

        The person's oldest sessions beyond the limit end.
        """
        token = secrets.token_urlsafe(32)
        if link:
            token = f"{link}.{token}"
        await self._fetch("begin_session", sha256(token), person_id)
        most = (SESSIONS_PER_PERSON, SESSIONS_PER_PORTAL, PORTAL)
        await self._fetch("sweep_sessions", person_id, IDLE_SECONDS, ABSOLUTE_SECONDS, *most)
        return token

    async def session(
        self, token: str, *, is_use: bool = True, about: str = "", most: int = MOST_LISTED
    ) -> Session | None:
        """The session of a token. With `is_use` false it is not marked as used.

        Its roles are those at the tenant `about` and at the first `most` tenants by name.
        """
        digest = sha256(token)
        rows = await self._fetch("session", digest, IDLE_SECONDS, ABSOLUTE_SECONDS, about, most + 1)
        if not rows:
            return None
        row = rows[0]
        if is_use and row["now"] - row["seen_at"] > _SEEN_AGAIN:
            await self._fetch("see_session", digest)
        given: dict[TenantId, list[str]] = {}
        for entry in row["roles"]:
            tenant, _, role = entry.partition(":")
            given.setdefault(TenantId(tenant), []).append(role)
        listed = sorted(given)[:most] + [one for one in sorted(given)[most:] if one == about]
        roles = {one: _highest(given[one]) for one in listed}
        name = _audit_name(row["name"], token)
        return Session(token, row["person_id"], name, roles, row["is_chief"], len(given) > most)

    async def tenants(
        self, person_id: str, holding: str = "", after: str = "", most: int | None = None
    ) -> dict[TenantId, str]:
        """Maps the tenants that a person may see to the person's role, by name.

        Only those after a name whose names hold the text are returned, at most `most`.
        """
        rows = await self._fetch("tenants_of_person", person_id, holding, after, most)
        return {TenantId(row["tenant_id"]): _highest(row["roles"]) for row in rows}

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


def _audit_name(name: str, token: str) -> str:
    """How the audit log names the person of a session; `begin` made its token."""
    link, dot, _ = token.partition(".")
    return f"{name}#{link}" if dot and name.startswith(PORTAL) else name


def _highest(roles: Sequence[str]) -> str:
    return max(roles, key=lambda role: RANKS[role])


def _by_bucket(rows: Sequence[Any]) -> dict[bytes, tuple[int, float]]:
    return {row["bucket"]: (row["failures"], row["left_seconds"]) for row in rows}
