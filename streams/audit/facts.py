"""Reads everything that the audit compares, upstream first.

What is downstream is read later, so a running system does not look broken.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import asyncpg
from confluent_kafka import Message

from schemas.codec import Undecodable, decode
from schemas.headers import generation_of
from schemas.keys import MessageKey, body_id, split_message_key
from schemas.pipeline import SOURCE_OF, STAGES, TopicName
from schemas.receipts import check_columns
from schemas.records import EnrichedMessage, Quarantined, Receipt
from schemas.settings import Settings
from schemas.text import storable
from schemas.topics import Names
from schemas.versions import UnknownVersion
from storage.kafka.reading import TopicReader
from storage.objects.keys import tenant_of_object
from storage.objects.store import ObjectStore, Stored
from storage.postgres.erased import Erased, all_erased
from storage.postgres.sql import queries
from streams.audit.findings import Finding, tenant_of
from streams.audit.ledger import Seen, StagePartition, narrowed
from streams.audit.versions import VersionOf, Versions, versions

QuarantinePlace = tuple[str, str, int, int]
"""Stage, topic, partition and offset of the refused record."""
CHUNK = 1_000
"""Keys per SQL statement."""
SLICE = timedelta(hours=1)
RECORD_BYTES = 1_500
"""The memory per source record with its receipts, versions and rows.

It was measured: 662 bytes of it are for dedupe alone.
"""


@dataclass(frozen=True, slots=True)
class AuditScope:
    """The scope of an audit.

    With `tenant` None these are all tenants but the `removed` ones, whose rows and
    files are deleted on purpose.

    Many tenants are audited in `parts`, one `part` at a time, to bound the memory.
    """

    since: datetime
    tenant: str | None
    removed: frozenset[str] = frozenset()
    part: int = 0
    parts: int = 1

    @property
    def is_everybody(self) -> bool:
        """True if everything is audited at once."""
        return self.tenant is None and self.parts == 1

    def includes(self, tenant: str) -> bool:
        if self.tenant is not None:
            return tenant == self.tenant
        return tenant not in self.removed and crc32(tenant.encode()) % self.parts == self.part


@dataclass(slots=True)
class Facts:
    """Everything that the audit compares."""

    sources: dict[StagePartition, dict[int, Seen]] = field(default_factory=dict)
    receipts: dict[StagePartition, list[Receipt]] = field(default_factory=dict)
    receipt_ends: dict[int, int] = field(default_factory=dict)
    versions: Versions = field(default_factory=Versions)
    quarantined: dict[QuarantinePlace, tuple[int, int]] = field(default_factory=dict)
    refused_versions: dict[QuarantinePlace, VersionOf] = field(default_factory=dict)
    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    rows: dict[str, Any] = field(default_factory=dict)
    arrivals: dict[str, Any] = field(default_factory=dict)
    quarantine_rows: set[QuarantinePlace] = field(default_factory=set)
    object_rows: dict[str, Any] = field(default_factory=dict)
    objects: dict[str, Stored] = field(default_factory=dict)
    erased: Erased = field(default_factory=Erased)
    findings: list[Finding] = field(default_factory=list)


class Gathering:
    """The reads of one audit."""

    def __init__(self, settings: Settings, scope: AuditScope) -> None:
        self._names = Names(settings.namespace)
        self._reader = TopicReader(settings.kafka, f"{self._names.prefix}sensorium-audit")
        self._settings = settings
        self._scope = scope

    def source_records(self) -> int:
        """The approximate number of records in the sources of all stages since the audited time.

        Blocks.
        """
        return sum(
            ends[partition] - begin
            for name in {SOURCE_OF[stage] for stage in STAGES}
            for topic in [self._names.topic(name)]
            for ends in [self._reader.ends(topic)]
            for partition, begin in self._reader.since(topic, self._scope.since, ends).items()
        )

    def from_kafka(self) -> Facts:
        """Reads source topics, then receipts, then the outputs of the stages.

        Blocks.
        """
        facts = Facts()
        ends = {
            name: self._reader.ends(self._names.topic(name))
            for name in {SOURCE_OF[stage] for stage in STAGES}
        }
        try:
            for stage in STAGES:
                self._source(facts, stage, ends[SOURCE_OF[stage]])
            self._receipts(facts)
            facts.versions = versions(self._enriched(facts))
            for message in self._all("quarantine"):
                self._quarantined(facts, message)
            facts.versions.forgive(facts.refused_versions.values())
        finally:
            self._reader.close()
        return facts

    async def from_stores(
        self, facts: Facts, connection: "asyncpg.Connection[asyncpg.Record]", store: ObjectStore
    ) -> None:
        """Reads rows, then objects.

        Records of Kafka and files of the store are looked up by key, because their rows
        may be older than the audited time.
        """
        statements = queries("audit")
        facts.positions = {
            (self._names.logical(row["topic"]), row["partition"]): row["next_offset"]
            for row in await connection.fetch(statements["positions"], self._names.topics)
        }
        facts.erased = await all_erased(connection, self._scope.tenant, self._scope.includes)
        facts.rows = {
            row["message_key"]: row async for row in self._hourly(connection, statements["rows"])
        }
        keys = [
            (tenant_of(key.encode()), storable(key))
            for key in facts.versions.newest
            if key not in facts.rows
        ]
        facts.rows |= {
            row["message_key"]: row for row in await _of(connection, statements["rows_of"], keys)
        }
        raw = {
            seen.key
            for place, records in facts.sources.items()
            if place.stage == "dedupe"
            for seen in records.values()
        }
        arrivals = await _of(connection, statements["arrivals_of"], [_arrival(key) for key in raw])
        facts.arrivals = {row["message_key"]: row for row in arrivals}
        places = await _of(connection, statements["quarantined_of"], list(facts.quarantined))
        facts.quarantine_rows = {
            (row["stage"], row["topic"], row["partition"], row["offset"]) for row in places
        }
        await self._objects(facts, connection, store)

    async def _objects(
        self, facts: Facts, connection: "asyncpg.Connection[asyncpg.Record]", store: ObjectStore
    ) -> None:
        statements = queries("audit")
        facts.object_rows = {
            row["object_key"]: row async for row in self._hourly(connection, statements["objects"])
        }
        for prefix in await self._prefixes(connection):
            # The whole listing is not held in memory.
            async for stored in store.list(prefix):
                if stored.modified >= self._scope.since or stored.key in facts.object_rows:
                    facts.objects[stored.key] = stored
        suspects = [
            (tenant_of_object(key), key) for key in facts.objects if key not in facts.object_rows
        ]
        facts.object_rows |= {
            row["object_key"]: row
            for row in await _of(connection, statements["objects_of"], suspects)
        }

    async def _hourly(
        self, connection: "asyncpg.Connection[asyncpg.Record]", statement: str
    ) -> AsyncIterator[asyncpg.Record]:
        """Yields the rows of the audited time hour by hour, so that each statement is short."""
        end, now = self._scope.since, datetime.now(UTC)
        while True:
            begin, end = end, end + SLICE
            for row in await connection.fetch(statement, begin, end, self._scope.tenant):
                if self._scope.includes(row["tenant_id"]):
                    yield row
            if end > now:
                return

    async def _prefixes(self, connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
        """The prefixes of the files to read: the whole store, or those of this part's tenants."""
        media = f"{self._names.object_prefix}media/"
        if self._scope.is_everybody:
            return [media]
        if self._scope.tenant is not None:
            return [f"{media}{self._scope.tenant}/"]
        tenants = await connection.fetch(queries("tenancy")["list_tenants"])
        names = (row["tenant_id"] for row in tenants)
        return [f"{media}{name}/" for name in names if self._scope.includes(name)]

    def _all(self, name: TopicName, ends: dict[int, int] | None = None) -> Iterator[Message]:
        topic = self._names.topic(name)
        ends = ends or self._reader.ends(topic)
        return self._reader.read(topic, self._reader.since(topic, self._scope.since, ends), ends)

    def _source(self, facts: Facts, stage: Any, ends: dict[int, int]) -> None:
        for partition in ends:
            facts.sources[StagePartition(stage, partition)] = {}
        for message in self._all(SOURCE_OF[stage], ends):
            key, offset = message.key() or b"", message.offset() or 0
            if self._scope.includes(tenant_of(key)):
                seen = Seen(offset, key, message.timestamp()[1], generation_of(message.headers()))  # type: ignore[arg-type]
                facts.sources[StagePartition(stage, message.partition() or 0)][offset] = seen

    def _receipts(self, facts: Facts) -> None:
        receipts: dict[StagePartition, list[Receipt]] = defaultdict(list)
        for message in self._all("receipts"):
            facts.receipt_ends[message.partition() or 0] = (message.offset() or 0) + 1
            try:
                receipt = decode(Receipt, message.value())
                check_columns(receipt)
                place = StagePartition(receipt.stage, receipt.partition)  # type: ignore[arg-type]
                receipts[place] += (
                    [receipt]
                    if self._scope.is_everybody
                    else narrowed(receipt, facts.sources.get(place, {}))
                )
            except (Undecodable, UnknownVersion) as error:
                facts.findings.append(
                    Finding(
                        "unexplained",
                        "receipts",
                        f"receipts[{message.partition()}]@{message.offset()}: {error}",
                    )
                )
        facts.receipts = dict(receipts)

    def _enriched(self, facts: Facts) -> Iterator[tuple[int, int, bytes, EnrichedMessage | None]]:
        for message in self._all("enriched-messages"):
            key, partition, offset, value = (
                message.key() or b"",
                message.partition() or 0,
                message.offset() or 0,
                message.value(),
            )
            if not self._scope.includes(tenant_of(key)):
                continue
            if value is None:
                yield partition, offset, key, None
                continue
            try:
                yield partition, offset, key, decode(EnrichedMessage, value)
            except (Undecodable, UnknownVersion) as error:
                facts.findings.append(
                    Finding(
                        "unexplained",
                        "enriched-messages",
                        f"enriched-messages[{partition}]@{offset}: {error}",
                        tenant_of(key),
                    )
                )

    def _quarantined(self, facts: Facts, message: Message) -> None:
        partition, offset = message.partition() or 0, message.offset() or 0
        try:
            record = decode(Quarantined, message.value())
        except (Undecodable, UnknownVersion) as error:
            facts.findings.append(
                Finding("unexplained", "quarantine", f"quarantine[{partition}]@{offset}: {error}")
            )
            return
        place = record.stage, record.topic, record.partition, record.offset
        facts.quarantined[place] = partition, offset
        if record.stage == "sink" and self._scope.includes(tenant_of(record.key or b"")):
            with suppress(Undecodable, UnknownVersion):
                version = decode(EnrichedMessage, record.value or b"")
                facts.refused_versions[place] = version.message_key, version.version


async def _of(
    connection: "asyncpg.Connection[asyncpg.Record]",
    statement: str,
    arguments: Sequence[tuple[Any, ...]],
) -> list[asyncpg.Record]:
    """Returns the rows of a statement for these arguments, which are passed as columns."""
    rows: list[asyncpg.Record] = []
    for at in range(0, len(arguments), CHUNK):
        rows += await connection.fetch(
            statement, *(list(column) for column in zip(*arguments[at : at + CHUNK], strict=True))
        )
    return rows


def _arrival(key: bytes) -> tuple[str, str, str]:
    """The columns under which the sink counts the deliveries of a raw key."""
    try:
        return split_message_key(MessageKey(storable(key.decode(errors="replace"))))
    except ValueError:  # not written by the receiver
        return "unknown", "unknown", body_id(key)
