from datetime import UTC, datetime

import pytest

from schemas.settings import Settings
from storage.postgres.erased import ERASED_BYTES
from streams.audit.facts import AuditScope
from streams.audit.findings import Finding, Report
from streams.commands import audit

SINCE = datetime(2026, 11, 24, tzinfo=UTC)
TENANTS = [f"tenant-{number}" for number in range(300)]


def test_every_tenant_belongs_to_one_part() -> None:
    parts = [AuditScope(SINCE, None, frozenset(("tenant-7",)), part, 5) for part in range(5)]
    counts = [sum(part.includes(tenant) for part in parts) for tenant in TENANTS]
    assert counts == [0 if tenant == "tenant-7" else 1 for tenant in TENANTS]
    assert all(30 < sum(map(part.includes, TENANTS)) < 90 for part in parts)


def test_one_tenant_is_looked_at_whole() -> None:
    wanted = AuditScope(SINCE, "acme")
    assert wanted.includes("acme") and not wanted.includes("other") and not wanted.is_everybody


def report(*findings: Finding, receipts: int = 10, rows: int = 3) -> Report:
    made = Report(checked={"receipts": receipts, "rows": rows}, reopened=1)
    for tenant in {one.tenant for one in findings if one.tenant}:
        made.hour(tenant, 0).received = 2
    made.add(findings)
    return made


def test_parts_say_together_what_one_audit_would() -> None:
    chain = Finding("unexplained", "dedupe", "receipts have a gap")
    acme, other = (Finding("lost", "dedupe", "gone", tenant) for tenant in ("acme", "other"))
    together = Report()
    for part in (report(chain, acme), report(chain, other), report(rows=4, receipts=12)):
        together.join(part)
    assert sorted(together.findings, key=str) == sorted([chain, acme, other], key=str)
    assert together.checked == {"receipts": 12, "rows": 10}
    assert together.reopened == 3
    totals = together.document()["totals"]
    assert (totals["received"], totals["lost"], totals["unexplained"]) == (4, 2, 1)


class Records:
    """A topic with some records."""

    def __init__(self, _settings: Settings, _scope: AuditScope) -> None:
        pass

    def source_records(self) -> int:
        return 100


@pytest.mark.parametrize(("erased", "count"), [(0, 1), (100 * 2**20 // ERASED_BYTES, 2)])
async def test_erased_messages_count_for_the_memory_of_a_part(
    monkeypatch: pytest.MonkeyPatch, erased: int, count: int
) -> None:
    monkeypatch.setattr(audit, "Gathering", Records)
    work = audit._Parts(Settings(), AuditScope(SINCE, None), 60.0, 64, None)
    assert await work._parts_for(AuditScope(SINCE, None), erased) == count
