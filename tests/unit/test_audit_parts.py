from datetime import UTC, datetime

from streams.audit.facts import AuditScope
from streams.audit.findings import Finding, Report

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
    made = Report(checked={"receipts": receipts, "rows": rows})
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
    totals = together.document()["totals"]
    assert (totals["received"], totals["lost"], totals["unexplained"]) == (4, 2, 1)
