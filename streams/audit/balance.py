"""Compares the facts with each other. Pure functions: nothing is read here."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from schemas.pipeline import SOURCE_OF
from schemas.receipts import Line, lines_of
from schemas.text import storable
from storage.objects.keys import tenant_of_object
from streams.audit.facts import AuditScope, Facts, QuarantinePlace
from streams.audit.findings import Finding, FindingKind, Report, tenant_of
from streams.audit.ledger import Book, Seen, StagePartition, balance
from streams.audit.versions import Newest, is_after_horizon
from streams.stages.message import OPENING_STEPS


class Audit:
    """One comparison of all facts.

    A record that waits longer than `stuck_seconds` is stuck; until then it is in flight.
    """

    def __init__(self, facts: Facts, scope: AuditScope, now_ms: int, stuck_seconds: float) -> None:
        self._facts = facts
        self._scope = scope
        self._now_ms = now_ms
        self._stuck_ms = stuck_seconds * 1000
        self._books: dict[StagePartition, Book] = {}
        self._waiting: set[str] = set()
        self._unfolded: set[str] = set()
        self._refused: set[tuple[bytes, int]] = set()
        self._young: dict[StagePartition, set[int]] = {}

    def report(self, accepted: Iterable[str] = ()) -> Report:
        """Compares everything and returns the findings.

        1. Every stage's source with its receipts.
        2. What the receiver accepted with the raw topic.
        3. What dedupe forwarded with the enriched topic, and what it judged to be duplicates
           with what was ever forwarded.
        4. What stages refused with the quarantine.
        5. The enriched topic with the rows, and deliveries with their count.
        6. The rows with the objects.
        """
        facts, report = self._facts, Report()
        for place, records in facts.sources.items():  # 1
            book = self._books[place] = balance(place, records, facts.receipts.get(place, []))
            self._note_open(place, book, report)
            report.add(
                one for one in book.findings if self._scope.includes(one.tenant) or not one.tenant
            )
        report.add(facts.findings)
        self._sum_up(report)
        report.add(self._accepted(accepted))  # 2
        report.add(self._forwarded())  # 3
        report.add(self._swallowed())
        report.add(self._quarantined())  # 4
        report.add(facts.versions.findings)  # 5
        report.add(self._rows())
        report.add(self._deliveries())
        report.add(self._objects())  # 6
        report.checked = {
            **{
                SOURCE_OF[stage]: sum(
                    len(r) for place, r in facts.sources.items() if place.stage == stage
                )
                for stage in SOURCE_OF
            },
            "receipts": sum(len(receipts) for receipts in facts.receipts.values()),
            "messages": len(facts.versions.newest),
            "rows": len(facts.rows),
            "quarantined": len(facts.quarantined),
            "objects": len(facts.object_rows),
        }
        report.reopened = len(facts.versions.reopened_beside(facts.rows))
        return report

    def _old(self, at_ms: int) -> bool:
        return self._now_ms - at_ms > self._stuck_ms

    def _note_open(self, place: StagePartition, book: Book, report: Report) -> None:
        if place.stage == "assemble":
            refused = (line for line in book.settled.values() if line.outcome == "quarantined")
            self._refused |= {(line.key, line.generation) for line in refused if line.generation}
        for seen in book.open.values():
            key = seen.key.decode(errors="replace")
            self._waiting.add(key)
            if place.stage == "assemble":
                self._unfolded.add(key)
            if self._old(seen.at_ms):
                age = (self._now_ms - seen.at_ms) / 1000
                report.add(
                    [
                        Finding(
                            "stuck",
                            place.stage,
                            f"{place}@{seen.offset} waits",
                            tenant_of(seen.key),
                            key,
                            seen.at_ms,
                            round(age, 1),
                        )
                    ]
                )

    def _sum_up(self, report: Report) -> None:
        for seen, line in self._raw():
            hour = report.hour(tenant_of(seen.key), seen.at_ms)
            if seen.generation == 0:
                hour.received += 1
            else:
                hour.redone += 1
            if line is None:
                hour.in_flight += 1
            else:
                hour.outcomes[line.outcome] += 1

    def _raw(self) -> Iterator[tuple[Seen, Line | None]]:
        """Yields raw records with the receipt line by which dedupe settled them."""
        for place, records in self._facts.sources.items():
            if place.stage == "dedupe":
                for offset, seen in records.items():
                    yield seen, self._books[place].settled.get(offset)

    def _accepted(self, accepted: Iterable[str]) -> Iterator[Finding]:
        there = {seen.key.decode(errors="replace") for seen, _ in self._raw()}
        for key in accepted:
            tenant = tenant_of(key.encode())
            if key not in there and self._scope.includes(tenant):
                yield Finding("lost", "receive", "accepted, and not in raw-messages", tenant, key)

    def _forwarded(self) -> Iterator[Finding]:
        openings = Counter(self._facts.versions.openings)
        for place, book in self._books.items():
            if place.stage != "dedupe":
                continue
            for offset, line in book.settled.items():
                if line.outcome == "forwarded":
                    times = openings.pop((place.partition, offset, line.generation), 0)
                    is_on_its_way = offset in self._just_settled(place) or self._is_open(line)
                    if times > 1 or (not times and not is_on_its_way):
                        what = (
                            f"{place}@{offset} was forwarded and opened its message {times} times"
                        )
                        yield self._of_line("lost" if not times else "twice", "dedupe", what, line)
        for partition, offset, generation in openings:
            place = StagePartition("dedupe", partition)
            # Raw records from before the audited time are not read, and a repair opens messages
            # without a raw record.
            seen = self._facts.sources.get(place, {}).get(offset) if generation == 0 else None
            # An open record was settled after the receipts were read, or its receipt is behind an
            # open transaction: it is in flight.
            if seen is not None and offset not in self._books[place].open:
                what = f"raw-messages[{partition}]@{offset} opened a message and was not forwarded"
                yield Finding(
                    "unexplained",
                    "dedupe",
                    what,
                    tenant_of(seen.key),
                    seen.key.decode(errors="replace"),
                    seen.at_ms,
                )

    def _is_open(self, line: Line) -> bool:
        """True if assemble need not have written this opening.

        It has not read it yet, has quarantined it, or wrote a later opening or a later
        repair instead.
        """
        key = line.key.decode(errors="replace")
        last = self._facts.versions.last.get((key, line.generation), 0)
        newest = self._facts.versions.newest.get(key)
        is_superseded = newest is not None and newest.version // 1000 > line.generation
        is_elsewhere = is_superseded or (line.key, line.generation) in self._refused
        return key in self._unfolded or last % 1000 > OPENING_STEPS or is_elsewhere

    def _swallowed(self) -> Iterator[Finding]:
        """Finds duplicates of keys that were claimed but whose message never came out."""
        for place, book in self._books.items():
            if place.stage != "dedupe" or self._is_sink_behind(place.partition):
                continue
            duplicates = {
                line.key: line
                for line in book.settled.values()
                if line.outcome == "duplicate" or line.reason == "update"
            }
            forwarded = {line.key for line in book.settled.values() if line.outcome == "forwarded"}
            for key, line in duplicates.items():
                row = self._facts.arrivals.get(storable(key.decode(errors="replace")))
                if key not in forwarded and row is not None and row["outcome"] != "forwarded":
                    yield self._of_line(
                        "lost", "dedupe", "judged a duplicate, and never forwarded", line
                    )

    def _quarantined(self) -> Iterator[Finding]:
        for place, book in self._books.items():
            for offset, line in book.settled.items():
                if line.outcome != "quarantined":
                    continue
                where = (place.stage, SOURCE_OF[place.stage], place.partition, offset)
                position = self._facts.quarantined.get(where)
                if position is None:
                    if offset not in self._just_settled(place):
                        yield self._of_line(
                            "lost",
                            place.stage,
                            f"{place}@{offset} was quarantined and is not in quarantine",
                            line,
                        )
                elif self._is_without_row(where) and not self._is_erased(line.key):
                    yield self._of_line(
                        "lost", "sink", f"{place}@{offset} is in quarantine and has no row", line
                    )

    def _rows(self) -> Iterator[Finding]:
        for key, newest in self._facts.versions.newest.items():
            row = self._facts.rows.get(key)
            if row is None and self._is_erased(key.encode(errors="replace")):
                continue
            if (where := _at_sink(newest)) in self._facts.quarantined:
                if self._is_without_row(where):
                    yield self._of_message(
                        "lost", "version {} is in quarantine and has no row there", key, newest
                    )
            elif self._sink_passed("enriched-messages", newest.partition, newest.offset):
                if row is None:
                    yield self._of_message("lost", "version {} has no row", key, newest)
                elif _known_version(row) < newest.version and not is_after_horizon(row, newest):
                    yield self._of_message(
                        "lost", f"the row has version {row['version']}, the topic {{}}", key, newest
                    )
            elif self._old(newest.enriched_ms):
                yield self._of_message("stuck", "version {} waits for the sink", key, newest)
        for key, row in self._facts.rows.items():
            enriched_ms = int(row["enriched_at"].timestamp() * 1000)
            if not self._old(enriched_ms):
                continue
            received_ms = int(row["received_at"].timestamp() * 1000)
            newest_there = self._facts.versions.newest.get(key)
            if newest_there is None and received_ms >= self._scope.since.timestamp() * 1000:
                yield Finding(
                    "unexplained",
                    "sink",
                    "a row without a record in enriched-messages",
                    row["tenant_id"],
                    key,
                    received_ms,
                )
            elif newest_there is not None and _at_sink(newest_there) in self._facts.quarantined:
                continue  # the version that would complete it was refused
            elif (what := self._unfinished(row, newest_there)) and key not in self._waiting:
                age = round((self._now_ms - enriched_ms) / 1000, 1)
                yield Finding("stuck", "assemble", what, row["tenant_id"], key, received_ms, age)

    def _unfinished(self, row: Any, newest: Newest | None) -> str | None:
        """Says what a row that was written long ago still waits for, or None."""
        if row["status"] == "pending":
            return "pending, and no stage has work for it"
        redoing = row["redoing_version"]
        if redoing is not None and (newest is None or self._old(newest.enriched_ms)):
            return f"being redone as version {redoing}, and no stage has work for it"
        return None

    def _deliveries(self) -> Iterator[Finding]:
        """Compares the live deliveries of each raw key with the row that counts them.

        The row may count more, because some came before the audited time.
        """
        counted: Counter[bytes] = Counter()
        newest: dict[bytes, int] = {}
        for seen, line in self._raw():
            if line is not None and seen.generation == 0:
                counted[seen.key] += 1
                newest[seen.key] = max(newest.get(seen.key, 0), seen.at_ms)
        is_behind = any(map(self._is_sink_behind, self._facts.receipt_ends))
        for key, times in counted.items():
            name = storable(key.decode(errors="replace"))
            row = self._facts.arrivals.get(name)
            if row is None and self._is_erased(key):
                continue
            if self._old(newest[key]) and (row is None or row["deliveries"] < times):
                kind: FindingKind = (
                    "stuck" if is_behind else "lost" if row is None else "unexplained"
                )
                count = "nothing" if row is None else row["deliveries"]
                what = f"{times} deliveries, arrivals has {count}"
                yield Finding(kind, "sink", what, tenant_of(key), name, newest[key])

    def _objects(self) -> Iterator[Finding]:
        facts = self._facts
        for key, row in facts.object_rows.items():
            at_ms = int(row["stored_at"].timestamp() * 1000)
            there = facts.objects.get(key)
            if there is None:
                yield Finding(
                    "lost",
                    "store_media",
                    f"{key} is not in the store",
                    row["tenant_id"],
                    row["message_key"],
                    at_ms,
                )
            elif there.bytes != row["bytes"]:
                what = f"{key} has {there.bytes} bytes, but {row['bytes']} were stored"
                yield Finding(
                    "unexplained", "store_media", what, row["tenant_id"], row["message_key"], at_ms
                )
        for key, stored in facts.objects.items():
            at_ms = int(stored.modified.timestamp() * 1000)
            is_recorded = key in facts.object_rows
            if not is_recorded and stored.modified >= self._scope.since and self._old(at_ms):
                yield Finding(
                    "unexplained",
                    "store_media",
                    f"{key} is in the store and no message has it",
                    tenant_of_object(key),
                    at_ms=at_ms,
                )

    def _is_erased(self, key: bytes) -> bool:
        """True if the message was erased and therefore has no row."""
        return self._facts.erased.has(tenant_of(key), key)

    def _is_without_row(self, refused: QuarantinePlace) -> bool:
        position = self._facts.quarantined[refused]
        return refused not in self._facts.quarantine_rows and self._sink_passed(
            "quarantine", *position
        )

    def _just_settled(self, place: StagePartition) -> set[int]:
        """The offsets in recent receipts.

        Brokers end a transaction partition by partition, and an open one hides the
        records behind it, so other outputs of such a transaction may not be visible
        yet.
        """
        if place not in self._young:
            young = (
                one
                for one in self._facts.receipts.get(place, [])
                if not self._old(int(one.at.timestamp() * 1000))
            )
            self._young[place] = {line.offset for one in young for line in lines_of(one)}
        return self._young[place]

    def _sink_passed(self, topic: str, partition: int, offset: int) -> bool:
        return self._facts.positions.get((topic, partition), -1) > offset

    def _is_sink_behind(self, partition: int) -> bool:
        """True if the sink has not counted yet all receipts that the audit read."""
        return self._facts.positions.get(
            ("receipts", partition), -1
        ) < self._facts.receipt_ends.get(partition, 0)

    @staticmethod
    def _of_line(kind: FindingKind, stage: str, what: str, line: Line) -> Finding:
        return Finding(
            kind,
            stage,
            what,
            tenant_of(line.key),
            line.key.decode(errors="replace"),
            line.received_ms,
        )

    def _of_message(self, kind: FindingKind, what: str, key: str, newest: Newest) -> Finding:
        age = round((self._now_ms - newest.enriched_ms) / 1000, 1) if kind == "stuck" else None
        return Finding(
            kind,
            "sink",
            what.format(newest.version),
            tenant_of(key.encode()),
            key,
            newest.received_ms,
            age,
        )


def _at_sink(newest: Newest) -> QuarantinePlace:
    """The key in the quarantine if the sink could not store this version."""
    return "sink", "enriched-messages", newest.partition, newest.offset


def _known_version(row: Any) -> int:
    """The highest version that the sink has seen.

    A row does not show the version of a repair that is not finished.
    """
    shown, redoing = int(row["version"]), int(row["redoing_version"] or 0)
    return max(shown, redoing)
