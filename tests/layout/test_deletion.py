"""Every table that names a message is erased with it, and every table of a tenant with the tenant."""

import re
from pathlib import Path

from storage.postgres.sql import queries
from streams.repair.removal import KEPT, TABLES

SCHEMA = (Path(__file__).parents[2] / "storage" / "postgres" / "schema.sql").read_text()
_TABLE = re.compile(r"^CREATE TABLE (\w+) \((.*?)^\)", re.MULTILINE | re.DOTALL)
ENDED_FIRST = {"webhook_endpoints", "api_keys"}
"""Tables of credentials, which `tenants remove` ends first."""


def tables_with(schema: str, *columns: str) -> set[str]:
    named = re.compile(rf"^    (?:{'|'.join(columns)})\s", re.MULTILINE)
    return {table for table, body in _TABLE.findall(schema) if named.search(body)}


def erased(statement: str) -> set[str]:
    return set(re.findall(r"DELETE FROM (\w+)", statement))


def test_every_table_that_names_a_message_is_erased_with_it() -> None:
    naming = tables_with(SCHEMA, "message_key", "provider_message_id", "record_key")
    assert naming == erased(queries("erased")["delete_erased"])
    more = SCHEMA + "\nCREATE TABLE later (\n    message_key text\n);\n"
    assert tables_with(more, "message_key", "record_key") - naming == {"later"}


def test_every_table_of_a_tenant_goes_with_it_or_is_kept_on_purpose() -> None:
    of_tenants = tables_with(SCHEMA, "tenant_id")
    assert of_tenants == {"chat_messages", *TABLES} | set(KEPT) | ENDED_FIRST
    statements = queries("removal")
    assert [table for table in TABLES if f"DELETE FROM {table} " not in statements[f"delete_some_{table}"]] == []  # fmt: skip
