"""Entries of the audit log as a person reads them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.console.pages.audit import AuditFilter, known_actions, shown_entry
from connectors.console.pages.refs import Refs
from schemas.keys import TenantId

ACME = TenantId("acme")
REFS = Refs([b"key of the test"])
MESSAGE = REFS.of(ACME, "m", "acme:ycloud:m2")
CHAT = REFS.of(ACME, "c", "1555~2")


def entry(action: str, detail: str) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC), "actor": "ana", "action": action, "detail": detail, "tenant_id": "acme"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("action", "detail", "shown"),
    [
        ("media_seen", "acme:ycloud:m2 file 0", ("", f"/t/acme/m/{MESSAGE}", 1)),
        (
            "record_seen",
            "acme:ycloud:m2 raw-messages[3]@41",
            ("raw-messages[3]@41", f"/t/acme/m/{MESSAGE}", 0),
        ),
        ("record_seen", "acme:ycloud:m2 versions", ("versions", f"/t/acme/m/{MESSAGE}", 0)),
        ("context_seen", CHAT, ("", f"/t/acme/c/{CHAT}", 0)),
        ("context_seen", "no reference", ("no reference", "", 0)),
        ("conversation_unmasked", "1555~2: a: b", ("1555~2: a: b", f"/t/acme/c/{CHAT}", 0)),
        ("key_added", "key_1 read bot 1", ("key_1 read bot 1", "", 0)),
    ],
)
def test_an_entry_leads_to_what_was_looked_at(
    action: str, detail: str, shown: tuple[str, str, int]
) -> None:
    one = shown_entry(entry(action, detail), REFS, ACME)
    assert (one.detail, one.href, one.file) == shown


AT = datetime(2026, 7, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (AuditFilter(("acme",), 9, "", ""), "everything"),
        (AuditFilter(("acme",), 9, "ana", "login"), "ana login"),
        (AuditFilter(("acme",), 9, "", "", AT), "from 2026-07-14T00:00:00Z"),
        (
            AuditFilter(("acme",), 9, "ana", "", AT, AT + timedelta(hours=1)),
            "ana from 2026-07-14T00:00:00Z to 2026-07-14T01:00:00Z",
        ),
    ],
)
def test_an_export_says_what_was_chosen(wanted: AuditFilter, text: str) -> None:
    assert str(wanted) == text


def test_actions_without_an_entry_can_be_chosen_too() -> None:
    assert {"login_failed", "password_change_failed", "quarantine dismiss"} <= known_actions()
