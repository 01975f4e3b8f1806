"""Postgres roles that may read the rows of this namespace and nothing else."""

import hashlib
import hmac
import re
import secrets
from base64 import b64encode
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from schemas.topics import Names
from storage.errors import StorageError
from storage.postgres.sql import queries

READABLE = (
    "ai_usage",
    "arrivals",
    "chat_messages",
    "conversation_aliases",
    "feed_eras",
    "inbound_messages",
    "media_objects",
    "message_steps",
    "steps",
)
"""The tables and views for readers.

They exclude keys, endpoints, settings, positions, quarantined records and model
answers.
"""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
CONNECTIONS = 20
STATEMENT_SECONDS = 300


class ReaderRefused(StorageError):
    """The role cannot be created or removed. The message says why and what to do."""


class Readers:
    """`readers add|list|remove`, on a connection whose role may create roles."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", names: Names) -> None:
        self._connection = connection
        self._schema = names.postgres_schema
        self._comment = f"Sensorium: reads schema {self._schema}"
        self._sql = queries("readers")

    async def add(self, name: str) -> str:
        """Creates the role, or gives an existing reader a new password. Returns the password.

        The role only has SELECT on READABLE. Its statements, and its idle time within a
        transaction, are limited to STATEMENT_SECONDS, and its connections to
        CONNECTIONS.
        """
        role, password = self._role(name), secrets.token_urlsafe(24)
        async with self._connection.transaction():
            known = await self._connection.fetchrow(self._sql["role"], role)
            if known is not None and known["comment"] != self._comment:
                raise ReaderRefused(f"there is a role {role} that this command did not make")
            if known is None:
                await self._run(
                    f'CREATE ROLE "{role}" NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT'
                )
                await self._run(f"COMMENT ON ROLE \"{role}\" IS '{self._comment}'")
            # This statement takes no parameters, and the server logs its text if it
            # logs such statements or refuses this one. So only the verifier is sent.
            proof = verifier_of(password, secrets.token_bytes(16))
            await self._run(
                f"ALTER ROLE \"{role}\" LOGIN PASSWORD '{proof}' CONNECTION LIMIT {CONNECTIONS}"
            )
            await self._run(f'ALTER ROLE "{role}" SET search_path = "{self._schema}"')
            await self._run(f'ALTER ROLE "{role}" SET default_transaction_read_only = on')
            await self._run(f"ALTER ROLE \"{role}\" SET statement_timeout = '{STATEMENT_SECONDS}s'")
            # An open transaction prevents vacuum from removing dead rows of all tables.
            await self._run(
                f'ALTER ROLE "{role}" SET idle_in_transaction_session_timeout = '
                f"'{STATEMENT_SECONDS}s'"
            )
            await self._run(f'GRANT USAGE ON SCHEMA "{self._schema}" TO "{role}"')
            for table in await self.tables():
                await self._run(f'GRANT SELECT ON "{self._schema}"."{table}" TO "{role}"')
        return password

    async def tables(self) -> list[str]:
        """The names of the tables and views that a reader sees."""
        rows = await self._connection.fetch(self._sql["readable"], list(READABLE))
        return [row["relname"] for row in rows]

    async def all(self) -> list[dict[str, Any]]:
        rows = await self._connection.fetch(self._sql["readers"], self._comment)
        return [{"name": row["rolname"], "sessions": row["sessions"]} for row in rows]

    async def remove(self, name: str) -> None:
        """Removes the role and ends its sessions."""
        role = self._role(name)
        async with self._connection.transaction():
            known = await self._connection.fetchrow(self._sql["role"], role)
            if known is None or known["comment"] != self._comment:
                raise ReaderRefused(f"there is no reader {role}: sensorium readers list")
            await self._run(f'ALTER ROLE "{role}" NOLOGIN')
            # Only members and superusers may end a role's sessions and revoke its rights.
            await self._run(f'GRANT "{role}" TO CURRENT_USER')
            await self._connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", role
            )
            await self._run(f'DROP OWNED BY "{role}"')
            await self._run(f'DROP ROLE "{role}"')

    def _role(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ReaderRefused(
                f"{name!r} is not a name for a reader: a lower-case letter, then "
                "letters, digits or underscores"
            )
        return name

    async def _run(self, statement: str) -> None:
        try:
            await self._connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError as error:
            raise ReaderRefused(
                f"the product's own role may not do this ({error}): ask the database's "
                "owner for CREATEROLE, or to run it"
            ) from None


def verifier_of(password: str, salt: bytes, rounds: int = 4096) -> str:
    """The verifier that Postgres stores for an ASCII password (SCRAM-SHA-256, RFC 5803).

    The text contains no quote.
    """
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    as_text = [b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${rounds}:{as_text[0]}${as_text[1]}:{as_text[2]}"


def dsn_of(own: str, role: str, password: str) -> str:
    """The product's DSN with the reader's user and password."""
    parts = urlsplit(own)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password, safe='')}@{place}"))
