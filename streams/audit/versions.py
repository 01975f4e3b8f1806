"""Reads the enriched topic as a read_committed reader does.

The versions of each message must rise within a generation, and each must occur once.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.records import EnrichedMessage
from streams.audit.findings import Finding, tenant_of
from streams.stages.message import OPENING_STEPS

Opening = tuple[int, int, int]
"""Partition and offset of a raw record, and the generation in which it opened its message."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The highest version of a message in the topic, with its position."""

    version: int
    received_ms: int
    enriched_ms: int
    partition: int
    offset: int


@dataclass(slots=True)
class Versions:
    """The versions of messages by message key.

    `last` is the highest version per message and generation.
    """

    newest: dict[str, Newest] = field(default_factory=dict)
    last: dict[tuple[str, int], int] = field(default_factory=dict)
    openings: Counter[Opening] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


def versions(records: Iterable[tuple[int, int, bytes, EnrichedMessage | None]]) -> Versions:
    """Collects the versions and checks them.

    `records` are tuples of partition, offset, key and message. A record without a
    message is a tombstone, after which no row is expected.
    """
    collected = Versions()
    last = collected.last
    for partition, offset, key, message in records:
        if message is None:
            collected.newest.pop(key.decode(errors="replace"), None)
            continue
        name, generation = message.message_key, message.version // 1000
        received_ms, enriched_ms = (
            int(message.received_at.timestamp() * 1000),
            int(message.enriched_at.timestamp() * 1000),
        )
        where = f"enriched-messages[{partition}]@{offset}"
        if key != name.encode() or tenant_of(key) != message.tenant_id:
            what = f"{where}: key, message key and tenant do not belong together"
            collected.findings.append(
                Finding(
                    "unexplained", "enriched-messages", what, message.tenant_id, name, received_ms
                )
            )
        before = last.get((name, generation), 0)
        if message.version <= before:
            what = f"{where}: version {message.version} follows {before}"
            collected.findings.append(
                Finding("twice", "enriched-messages", what, message.tenant_id, name, received_ms)
            )
        last[name, generation] = max(before, message.version)
        if message.version % OPENING_STEPS == 1:
            collected.openings[message.source.partition, message.source.offset, generation] += 1
        newest = collected.newest.get(name)
        if newest is not None and _is_overtaken(message, newest):
            what = (
                f"{where}: version {message.version} comes after {newest.version}, and is what "
                "compaction keeps"
            )
            collected.findings.append(
                Finding(
                    "unexplained", "enriched-messages", what, message.tenant_id, name, received_ms
                )
            )
        if newest is None or newest.version < message.version:
            collected.newest[name] = Newest(
                message.version, received_ms, enriched_ms, partition, offset
            )
    return collected


def _is_overtaken(message: EnrichedMessage, newest: Newest) -> bool:
    """True if a repair wrote a higher version before.

    A first delivery after the horizon begins with the lowest version again.
    """
    return message.version > OPENING_STEPS and message.version // 1000 < newest.version // 1000
