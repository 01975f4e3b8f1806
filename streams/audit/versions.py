"""Reads the enriched topic as a read_committed reader does.

The versions of each message must rise within a generation, and each must occur once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.records import GENERATION_STEPS, EnrichedMessage
from schemas.topics import HORIZON_MS
from streams.audit.findings import Finding, FindingKind, tenant_of
from streams.stages.message import OPENING_STEPS, opening_version

Opening = tuple[int, int, int]
"""Partition and offset of a raw record, and the generation in which it opened its message."""
VersionOf = tuple[str, int]
"""A message key and a version."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The highest version of a message in the topic, with the position of its last record.

    `first_ms` is when the first delivery of any of its versions was received.
    """

    version: int
    received_ms: int
    enriched_ms: int
    partition: int
    offset: int
    first_ms: int


@dataclass(slots=True)
class Reopened:
    """A message that dedupe opened once more, because it had no claim of the first delivery.

    `last` is its highest version since then.
    """

    received_ms: int
    last: int = 0


@dataclass(slots=True)
class Versions:
    """The versions of messages by message key.

    `last` is the highest version per message and generation. `repeated` has what was
    found of versions that are there twice.
    """

    newest: dict[str, Newest] = field(default_factory=dict)
    last: dict[tuple[str, int], int] = field(default_factory=dict)
    repeated: dict[VersionOf, list[tuple[Finding, Opening]]] = field(default_factory=dict)
    reopened: dict[str, Reopened] = field(default_factory=dict)
    openings: Counter[Opening] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def forgive(self, refused: Iterable[VersionOf]) -> None:
        """Drops the findings of versions that are there twice for a good reason.

        The sink refused the record, and `quarantine replay` wrote it once more for each
        record that was `refused`.
        """
        for version in refused:
            if repeats := self.repeated.get(version):
                finding, opening = repeats.pop(0)
                self.findings.remove(finding)
                if version[1] % OPENING_STEPS == 1:
                    self.openings[opening] -= 1

    def reopened_beside(self, rows: Mapping[str, Any]) -> set[str]:
        """The messages that dedupe opened once more, also those whose first versions are older.

        Of these the topic ends with the later delivery, and the row keeps the first one.
        """
        return self.reopened.keys() | {
            name
            for name, newest in self.newest.items()
            if (row := rows.get(name)) is not None
            and is_after_horizon(row, newest)
            and _is_forgotten(_received_ms(row), newest.received_ms, int(row["version"]))
        }


def versions(records: Iterable[tuple[int, int, bytes, EnrichedMessage | None]]) -> Versions:
    """Collects the versions and checks them.

    `records` are tuples of partition, offset, key and message. A record without a
    message is a tombstone, after which no row is expected.
    """
    collected = Versions()
    for partition, offset, key, message in records:
        if message is None:
            name = key.decode(errors="replace")
            collected.newest.pop(name, None)
            collected.reopened.pop(name, None)
        else:
            _collect(collected, partition, offset, key, message)
    return collected


def is_after_horizon(row: Any, newest: Newest) -> bool:
    """True if the difference comes from a delivery after the horizon.

    Such a delivery makes new versions but changes no row.
    """
    return newest.version < OPENING_STEPS and _received_ms(row) != newest.received_ms


def _collect(
    collected: Versions, partition: int, offset: int, key: bytes, message: EnrichedMessage
) -> None:
    name, generation = message.message_key, message.version // GENERATION_STEPS
    received_ms = int(message.received_at.timestamp() * 1000)
    where = f"enriched-messages[{partition}]@{offset}"

    def report(kind: FindingKind, what: str) -> Finding:
        topic, tenant = "enriched-messages", message.tenant_id
        finding = Finding(kind, topic, f"{where}: {what}", tenant, name, received_ms)
        collected.findings.append(finding)
        return finding

    if key != name.encode() or tenant_of(key) != message.tenant_id:
        report("unexplained", "key, message key and tenant do not belong together")
    reopened = _reopened(collected, message, received_ms)
    last = collected.last.get((name, generation), 0)
    before = last if reopened is None else reopened.last
    opening = message.source.partition, message.source.offset, generation
    if message.version <= before:
        twice = report("twice", f"version {message.version} follows {before}")
        collected.repeated.setdefault((name, message.version), []).append((twice, opening))
    collected.last[name, generation] = max(last, message.version)
    if reopened is not None:
        reopened.last = max(before, message.version)
    if message.version % OPENING_STEPS == 1:
        collected.openings[opening] += 1
    newest = collected.newest.get(name)
    if newest is not None and _is_overtaken(message, newest):
        report(
            "unexplained",
            f"version {message.version} comes after {newest.version}, and is what compaction keeps",
        )
    if newest is None or newest.version <= message.version:
        enriched_ms = int(message.enriched_at.timestamp() * 1000)
        first_ms = received_ms if newest is None else min(newest.first_ms, received_ms)
        collected.newest[name] = Newest(
            message.version, received_ms, enriched_ms, partition, offset, first_ms
        )


def _is_overtaken(message: EnrichedMessage, newest: Newest) -> bool:
    """True if a repair wrote a higher version before.

    A live message that is opened once more begins with the lowest version again.
    """
    return (
        message.version > OPENING_STEPS
        and message.version // GENERATION_STEPS < newest.version // GENERATION_STEPS
    )


def _reopened(collected: Versions, message: EnrichedMessage, received_ms: int) -> Reopened | None:
    """The second beginning of a live message to which this version belongs, if there is one.

    The version with which it begins is noted in `collected`.
    """
    name = message.message_key
    newest, reopened = collected.newest.get(name), collected.reopened.get(name)
    if newest is None or message.version >= GENERATION_STEPS:
        return None
    if message.version == opening_version(0):
        if reopened is not None:
            is_new = received_ms - reopened.received_ms >= HORIZON_MS
        else:
            repaired = 0 if (name, 0) in collected.last else newest.version
            is_new = _is_forgotten(newest.first_ms, received_ms, repaired)
        if is_new:
            reopened = collected.reopened[name] = Reopened(received_ms)
    return reopened


def _is_forgotten(first_ms: int, received_ms: int, repaired: int) -> bool:
    """True if dedupe has no claim of the delivery that came first.

    It forgets claims after the horizon. What only a repair has forwarded (`repaired` is
    the version) has no claim of live traffic.
    """
    return received_ms - first_ms >= HORIZON_MS or repaired >= GENERATION_STEPS


def _received_ms(row: Any) -> int:
    return int(row["received_at"].timestamp() * 1000)
