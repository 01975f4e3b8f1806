"""Every index of schema.sql has a statement that reads by it, because each one costs writes."""

import re
from pathlib import Path

from storage.postgres.sql import queries

SCHEMA = (Path(__file__).parents[2] / "storage" / "postgres" / "schema.sql").read_text()
_INDEX = re.compile(r"^CREATE (?:UNIQUE )?INDEX (\w+)\s+ON (\w+) ([^;]+);", re.MULTILINE)
READERS: dict[str, tuple[str, str]] = {
    "arrival_records_by_id": ("pages", "deliveries_of_message"),
    "audit_log_by_id": ("pages", "audit_page"),
    "audit_log_by_tenant": ("overview", "audit_log"),
    "chat_messages_by_attachment": ("causes", "cause_found"),
    "chat_messages_by_conversation": ("console", "context_keys"),
    "chat_messages_by_sender": ("erased", "conversations_of_contact"),
    "chat_messages_by_time": ("audit", "rows"),
    "chat_messages_changed": ("console", "changes"),
    "chat_messages_degraded": ("pages", "newest_degraded"),
    "chat_messages_latest": ("pages", "newest"),
    "chat_messages_pending": ("pages", "newest_pending"),
    "chat_messages_words": ("pages", "words_found"),
    "conversation_aliases_back": ("console", "conversation_ids"),
    "directory_changes_by_change": ("directory", "changed_since"),
    "ended_tokens_by_time": ("deliveries", "forget_old"),
    "inbound_messages_by_id": ("pages", "deliveries_of_message"),
    "login_failures_since": ("people", "sweep_failures"),
    "media_objects_by_content": ("erased", "delete_answers_unshown"),
    "media_objects_by_message": ("erased", "files_of"),
    "media_objects_by_original": ("console", "stored_by_original"),
    "media_objects_by_time": ("audit", "objects"),
    "people_roles_by_person": ("people", "roles_of_person"),
    "people_sessions_by_person": ("people", "end_sessions_of"),
    "quarantined_messages_by_key": ("pages", "quarantined_of"),
    "quarantined_messages_by_place": ("repair", "quarantined_whole"),
    "quarantined_messages_by_tenant": ("orphans", "undecided_tenants"),
    "repairs_open": ("repairs", "hold_repair"),
    "repairs_running": ("repairs", "under_way"),
    "tenants_removed": ("sink", "removed_tenants"),
    "webhook_deliveries_by_endpoint": ("deliveries", "deliveries"),
}
UNREAD = {"job_attempts_by_time"}
"""`forget_old` compares its column or another one, which has no index, so Postgres reads the table.

That has the failures of 30 days only.
"""


def unread(schema: str, readers: dict[str, tuple[str, str]]) -> list[str]:
    """The indexes without a statement that names their table and what they begin with."""
    missing = []
    for name, table, rest in _INDEX.findall(schema):
        statement = queries(readers[name][0])[readers[name][1]] if name in readers else ""
        words = set(re.findall(r"\w+", statement))
        if table not in words or not words & beginnings_of(rest):
            missing.append(name)
    return missing


def beginnings_of(rest: str) -> set[str]:
    """The first column or function after the tenant, and the column of a condition."""
    rest = re.sub(r'USING \w+|\w+_ops|COLLATE "C"|\btenant_id\b', "", rest)
    columns, _, condition = rest.partition("WHERE")
    return {found[0] for part in (columns, condition) if (found := re.findall(r"[a-z]\w*", part))}


def test_every_index_has_a_statement_that_reads_by_it() -> None:
    assert unread(SCHEMA, READERS) == sorted(UNREAD)
    assert set(READERS) | UNREAD == {name for name, _, _ in _INDEX.findall(SCHEMA)}


def test_an_index_that_nothing_reads_by_is_seen() -> None:
    later = "\nCREATE INDEX later ON chat_messages (tenant_id, sender_name);\n"
    assert "later" in unread(SCHEMA + later, READERS)
    assert "later" in unread(SCHEMA + later, {**READERS, "later": ("console", "changes")})
    assert "later" not in unread(SCHEMA + later, {**READERS, "later": ("pages", "heads")})
