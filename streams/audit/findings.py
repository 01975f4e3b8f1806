"""The findings of an audit, and their totals."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

FindingKind = Literal["lost", "twice", "stuck", "unexplained"]
KINDS: tuple[FindingKind, ...] = ("lost", "twice", "stuck", "unexplained")
HOUR_MS = 3_600_000
_OF_ALL = ("receipts", "quarantined")
"""Each part of an audit reads these of all tenants, so their counts must not be added."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One discrepancy.

    lost: it should exist. twice: it should exist once. stuck: it waits too long.
    unexplained: it exists without a cause.
    """

    kind: FindingKind
    stage: str
    what: str
    tenant: str = ""
    message_key: str = ""
    at_ms: int = 0
    age_seconds: float | None = None


def tenant_of(key: bytes) -> str:
    return key.partition(b":")[0].decode(errors="replace")


@dataclass(slots=True)
class Hour:
    """The records of one tenant in one hour, by outcome."""

    received: int = 0
    redone: int = 0
    in_flight: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: Counter[FindingKind] = field(default_factory=Counter)

    def document(self) -> dict[str, Any]:
        counted = {
            name: self.outcomes[name]
            for name in ("forwarded", "duplicate", "skipped", "quarantined")
        }
        return {
            "received": self.received,
            "redone": self.redone,
            "in_flight": self.in_flight,
            **counted,
            **{kind: self.findings[kind] for kind in KINDS},
        }


@dataclass(slots=True)
class Report:
    """The result of an audit.

    `balanced` means that nothing is lost, twice, stuck or unexplained. `reopened` counts
    the messages that came in again when dedupe no longer knew them: the topic ends with
    another version than the row, as docs/decisions/0023 explains.
    """

    findings: list[Finding] = field(default_factory=list)
    hours: dict[tuple[str, int], Hour] = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)
    reopened: int = 0

    def hour(self, tenant: str, at_ms: int) -> Hour:
        return self.hours.setdefault((tenant, at_ms // HOUR_MS), Hour())

    def add(self, findings: Iterable[Finding]) -> None:
        for one in findings:
            self.findings.append(one)
            self.hour(one.tenant, one.at_ms).findings[one.kind] += 1

    def join(self, part: "Report") -> None:
        """Adds the report of other tenants.

        A finding without a tenant is found in every part, and counts once.
        """
        before_part = {one for one in self.findings if not one.tenant}
        self.hours.update({place: hour for place, hour in part.hours.items() if place[0]})
        self.findings += [one for one in part.findings if one.tenant]
        self.add(one for one in part.findings if not one.tenant and one not in before_part)
        for name, count in part.checked.items():
            before = self.checked.get(name, 0)
            self.checked[name] = max(before, count) if name in _OF_ALL else before + count
        self.reopened += part.reopened

    @property
    def balanced(self) -> bool:
        return not self.findings

    def document(self, most: int = 1_000) -> dict[str, Any]:
        """The document that `audit --json` prints, with `most` findings at most."""
        total = Hour()
        for hour in self.hours.values():
            total.received += hour.received
            total.redone += hour.redone
            total.in_flight += hour.in_flight
            total.outcomes += hour.outcomes
            total.findings += hour.findings
        return {
            "balanced": self.balanced,
            "totals": total.document(),
            "checked": self.checked,
            "reopened": self.reopened,
            "hours": [
                {
                    "tenant": tenant,
                    "hour": datetime.fromtimestamp(number * HOUR_MS / 1000, UTC).isoformat(),
                    **hour.document(),
                }
                for (tenant, number), hour in sorted(self.hours.items())
            ],
            "findings": [asdict(one) for one in self.findings[:most]],
        }
