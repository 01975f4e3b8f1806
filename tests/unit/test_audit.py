"""A small installation that balances, and every way in which it can fail to."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from schemas.codec import decode
from schemas.receipts import Ledger, Line, Span
from schemas.records import EnrichedMessage, Receipt
from storage.objects.keys import tenant_of_object
from storage.objects.store import Stored
from streams.audit.balance import Audit
from streams.audit.facts import AuditScope, Facts
from streams.audit.findings import Report
from streams.audit.ledger import Seen, StagePartition, balance, narrowed
from streams.audit.versions import versions
from tests.unit.records import NOW, attachment, message

NOW_MS = int(NOW.timestamp() * 1000)
LATER_MS = NOW_MS + 3_600_000
RAW, MEDIA = StagePartition("dedupe", 3), StagePartition("store_media", 3)
TEXT, IMAGE, POISON = "acme:ycloud:text", "acme:ycloud:image", "acme:ycloud:sha256-1"
SWALLOWED = "acme:ycloud:swallowed"
OBJECT = "media/acme/1.jpg"


def seen(offset: int, key: str, generation: int = 0) -> Seen:
    return Seen(offset, key.encode(), NOW_MS, generation)


def line(offset: int, key: str, outcome: str, reason: str = "", generation: int = 0) -> Line:
    return Line(offset, key.encode(), NOW_MS, outcome, reason, generation)


def receipt(place: StagePartition, span: Span, *lines: Line, at: datetime = NOW) -> Receipt:
    topic = "raw-messages" if place.stage == "dedupe" else "media"
    (value,) = Ledger(place.stage, topic, place.partition).receipts(span, lines)
    return msgspec.structs.replace(decode(Receipt, value), at=at)


def enriched(key: str, version: int, offset: int, **fields: Any) -> EnrichedMessage:
    return message(
        message_key=key,
        version=version,
        source=msgspec.structs.replace(message().source, offset=offset),
        **{"status": "complete", **fields},
    )


def topic() -> list[tuple[int, int, bytes, EnrichedMessage]]:
    """The versions in enriched-messages: a text, and an image in two steps."""
    records = [
        enriched(TEXT, 1, 0),
        enriched(IMAGE, 1, 1, status="pending"),
        enriched(IMAGE, 2, 1, attachments=(attachment(status="described"),)),
    ]
    return [
        (0, offset, record.message_key.encode(), record) for offset, record in enumerate(records)
    ]


def installation() -> Facts:
    """A text, an image, a duplicate of each and a poison, all settled long ago."""
    keys = [TEXT, IMAGE, TEXT, IMAGE, POISON]
    outcomes = [
        ("forwarded", ""),
        ("forwarded", ""),
        ("duplicate", ""),
        ("duplicate", ""),
        ("quarantined", "not_json"),
    ]
    lines = [
        line(offset, key, *outcome)
        for offset, (key, outcome) in enumerate(zip(keys, outcomes, strict=True))
    ]
    return Facts(
        sources={
            RAW: {offset: seen(offset, key) for offset, key in enumerate(keys)},
            MEDIA: {0: seen(0, IMAGE)},
        },
        receipts={
            RAW: [receipt(RAW, Span(0, 2), *lines[:2]), receipt(RAW, Span(2, 5), *lines[2:])],
            MEDIA: [
                receipt(MEDIA, Span(0, 1), line(0, IMAGE, "admitted")),
                receipt(MEDIA, Span(1, 1), line(0, IMAGE, "forwarded")),
            ],
        },
        receipt_ends={3: 4},
        versions=versions(topic()),
        quarantined={("dedupe", "raw-messages", 3, 4): (0, 0)},
        positions={("enriched-messages", 0): 3, ("quarantine", 0): 1, ("receipts", 3): 4},
        rows={TEXT: row(TEXT, 1), IMAGE: row(IMAGE, 2)},
        arrivals={TEXT: arrived(2), IMAGE: arrived(2), POISON: arrived(1, "quarantined")},
        quarantine_rows={("dedupe", "raw-messages", 3, 4)},
        object_rows={
            OBJECT: {"tenant_id": "acme", "message_key": IMAGE, "bytes": 9, "stored_at": NOW}
        },
        objects={OBJECT: stored(OBJECT)},
    )


def row(
    key: str, version: int, status: str = "complete", redoing: int | None = None
) -> dict[str, Any]:
    return {
        "redoing_version": redoing,
        "tenant_id": "acme",
        "message_key": key,
        "version": version,
        "status": status,
        "received_at": NOW,
        "enriched_at": NOW,
    }


def arrived(deliveries: int, outcome: str = "forwarded") -> dict[str, Any]:
    return {"deliveries": deliveries, "outcome": outcome}


def stored(key: str, size: int = 9) -> Stored:
    return Stored(key, size, "image/jpeg", "e", NOW)


def audited(
    facts: Facts, accepted: tuple[str, ...] = (TEXT, IMAGE, POISON), now_ms: int = LATER_MS
) -> Report:
    return Audit(facts, AuditScope(NOW - timedelta(days=1), None), now_ms, 60).report(accepted)


def found(facts: Facts, **options: Any) -> list[tuple[str, str, str]]:
    return [(one.kind, one.stage, one.message_key) for one in audited(facts, **options).findings]


def test_what_is_whole_balances() -> None:
    assert found(installation()) == []


def test_what_went_in_is_summed_up_by_tenant_and_hour() -> None:
    document = audited(installation()).document()
    assert document["balanced"]
    assert document["hours"] == [
        {
            "tenant": "acme", "hour": datetime.fromtimestamp(NOW_MS // 3_600_000 * 3600, UTC).isoformat(), "received": 5, "redone": 0, "in_flight": 0,
            "forwarded": 2, "duplicate": 2, "skipped": 0, "quarantined": 1, "lost": 0, "twice": 0, "stuck": 0, "unexplained": 0,
        }
    ]  # fmt: skip


# ways in which it does not


def no_receipt_of_the_first_two(facts: Facts) -> None:
    del facts.receipts[RAW][0]


def a_receipt_in_the_middle_is_missing(facts: Facts) -> None:
    facts.receipts[RAW] = [
        receipt(RAW, Span(0, 1), line(0, TEXT, "forwarded")),
        receipt(RAW, Span(2, 5), *(line(o, k, w, r) for o, k, w, r in [(2, TEXT, "duplicate", ""), (3, IMAGE, "duplicate", ""), (4, POISON, "quarantined", "not_json")])),
    ]  # fmt: skip


def a_record_settled_twice(facts: Facts) -> None:
    facts.receipts[RAW].append(receipt(RAW, Span(4, 5), line(4, POISON, "quarantined", "not_json")))


def a_record_nobody_read(facts: Facts) -> None:
    facts.sources[RAW][5] = seen(5, "acme:ycloud:new")


def a_key_that_changed(facts: Facts) -> None:
    facts.sources[RAW][0] = seen(0, "acme:ycloud:other")


def a_job_never_finished(facts: Facts) -> None:
    facts.receipts[MEDIA].pop()


def a_job_finished_twice(facts: Facts) -> None:
    facts.receipts[MEDIA].append(facts.receipts[MEDIA][-1])


def no_first_version(facts: Facts) -> None:
    facts.versions = versions(topic()[1:])
    del facts.rows[TEXT]


def a_first_version_twice(facts: Facts) -> None:
    facts.versions = versions([*topic(), (0, 3, *topic()[0][2:])])


def a_message_nobody_forwarded(facts: Facts) -> None:
    facts.versions = versions([*topic(), (0, 3, POISON.encode(), enriched(POISON, 1, 4))])


def a_row_dropped(facts: Facts) -> None:
    del facts.rows[TEXT]


def an_old_row(facts: Facts) -> None:
    facts.rows[IMAGE] = row(IMAGE, 1)


def a_row_from_nowhere(facts: Facts) -> None:
    facts.rows["acme:ycloud:ghost"] = row("acme:ycloud:ghost", 1)


def pending_for_ever(facts: Facts) -> None:
    facts.rows[IMAGE] = row(IMAGE, 2, "pending")


def redone_for_ever(facts: Facts) -> None:
    facts.rows[IMAGE] = row(IMAGE, 1, redoing=2)


def a_sink_that_stands_still(facts: Facts) -> None:
    facts.positions["enriched-messages", 0] = 0


def a_quarantine_record_missing(facts: Facts) -> None:
    facts.quarantined.clear()


def a_quarantine_row_missing(facts: Facts) -> None:
    facts.quarantine_rows.clear()


def deliveries_not_counted(facts: Facts) -> None:
    facts.arrivals[TEXT] = arrived(1)


def a_key_without_an_arrival(facts: Facts) -> None:
    del facts.arrivals[POISON]


def a_message_swallowed(facts: Facts) -> None:
    """Its key was claimed, but its message never came out.

    The only receipt about it is of a duplicate.
    """
    facts.sources[RAW][5] = seen(5, SWALLOWED)
    facts.receipts[RAW].append(receipt(RAW, Span(5, 6), line(5, SWALLOWED, "duplicate")))
    facts.arrivals[SWALLOWED] = arrived(1, "duplicate")


def an_update_swallowed(facts: Facts) -> None:
    a_message_swallowed(facts)
    facts.receipts[RAW][-1] = receipt(RAW, Span(5, 6), line(5, SWALLOWED, "skipped", "update"))
    facts.arrivals[SWALLOWED] = arrived(1, "skipped")


def an_object_missing(facts: Facts) -> None:
    facts.objects.clear()


def an_object_of_another_size(facts: Facts) -> None:
    facts.objects[OBJECT] = stored(OBJECT, 8)


def an_object_of_nobody(facts: Facts) -> None:
    facts.objects["media/acme/2.jpg"] = stored("media/acme/2.jpg")


def a_message_of_another_tenant(facts: Facts) -> None:
    facts.versions = versions(
        [(0, 0, TEXT.encode(), enriched(TEXT, 1, 0, tenant_id="other")), *topic()[1:]]
    )


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (no_receipt_of_the_first_two, {("lost", "dedupe", TEXT), ("lost", "dedupe", IMAGE)}),
        (
            a_receipt_in_the_middle_is_missing,
            {("unexplained", "dedupe", ""), ("lost", "dedupe", IMAGE)},
        ),
        (a_record_settled_twice, {("twice", "dedupe", POISON), ("twice", "dedupe", "")}),
        (a_record_nobody_read, {("stuck", "dedupe", "acme:ycloud:new")}),
        (a_key_that_changed, {("unexplained", "dedupe", "acme:ycloud:other")}),
        (a_job_never_finished, {("stuck", "store_media", IMAGE)}),
        (a_job_finished_twice, {("twice", "store_media", IMAGE)}),
        (no_first_version, {("lost", "dedupe", TEXT)}),
        (a_first_version_twice, {("twice", "enriched-messages", TEXT), ("twice", "dedupe", TEXT)}),
        (a_message_nobody_forwarded, {("unexplained", "dedupe", POISON)}),
        (a_row_dropped, {("lost", "sink", TEXT)}),
        (an_old_row, {("lost", "sink", IMAGE)}),
        (a_row_from_nowhere, {("unexplained", "sink", "acme:ycloud:ghost")}),
        (pending_for_ever, {("stuck", "assemble", IMAGE)}),
        (redone_for_ever, {("stuck", "assemble", IMAGE)}),
        (a_sink_that_stands_still, {("stuck", "sink", TEXT), ("stuck", "sink", IMAGE)}),
        (a_quarantine_record_missing, {("lost", "dedupe", POISON)}),
        (a_quarantine_row_missing, {("lost", "sink", POISON)}),
        (deliveries_not_counted, {("unexplained", "sink", TEXT)}),
        (a_key_without_an_arrival, {("lost", "sink", POISON)}),
        (a_message_swallowed, {("lost", "dedupe", SWALLOWED)}),
        (an_update_swallowed, {("lost", "dedupe", SWALLOWED)}),
        (an_object_missing, {("lost", "store_media", IMAGE)}),
        (an_object_of_another_size, {("unexplained", "store_media", IMAGE)}),
        (an_object_of_nobody, {("unexplained", "store_media", "")}),
        (a_message_of_another_tenant, {("unexplained", "enriched-messages", TEXT)}),
    ],
)
def test_what_is_wrong_is_named(
    broken: Callable[[Facts], None], expected: set[tuple[str, str, str]]
) -> None:
    facts = installation()
    broken(facts)
    assert expected <= set(found(facts))
    assert not audited(facts).balanced


ENRICHMENTS = StagePartition("assemble", 3)


def opened_again(facts: Facts, *versions_written: int) -> None:
    """A later delivery brought a file. dedupe forwarded it, and assemble wrote these versions."""
    facts.sources[RAW][5] = seen(5, IMAGE)
    facts.receipts[RAW].append(receipt(RAW, Span(5, 6), line(5, IMAGE, "forwarded")))
    facts.arrivals[IMAGE] = arrived(3)
    later = [enriched(IMAGE, version, 5) for version in versions_written]
    facts.versions = versions(
        [*topic(), *((0, 3 + n, IMAGE.encode(), one) for n, one in enumerate(later))]
    )
    facts.positions["enriched-messages", 0] = 3 + len(later)
    if later:
        facts.rows[IMAGE] = row(IMAGE, later[-1].version)


@pytest.mark.parametrize("written", [(201,), (201, 202), (401,), (401, 402)])
def test_a_message_that_was_opened_again_balances(written: tuple[int, ...]) -> None:
    facts = installation()
    opened_again(facts, *written)
    assert found(facts) == []


def test_a_message_that_should_have_been_opened_again_and_was_not_is_lost() -> None:
    facts = installation()
    opened_again(facts)
    assert found(facts) == [("lost", "dedupe", IMAGE)]


def test_a_message_that_assemble_has_yet_to_open_again_is_not_lost() -> None:
    facts = installation()
    opened_again(facts)
    facts.sources[ENRICHMENTS] = {0: seen(0, IMAGE)}
    assert ("lost", "dedupe", IMAGE) not in found(facts)


def test_a_row_without_the_versions_of_a_later_opening_is_lost() -> None:
    facts = installation()
    opened_again(facts, 201, 202)
    later = NOW + timedelta(minutes=9)
    newest = facts.versions.newest[IMAGE]
    received_ms = int(later.timestamp() * 1000)
    facts.versions.newest[IMAGE] = replace(newest, received_ms=received_ms)
    facts.rows[IMAGE] = row(IMAGE, 2)
    assert found(facts) == [("lost", "sink", IMAGE)]


def test_what_was_accepted_and_is_not_in_the_log_is_lost() -> None:
    assert found(installation(), accepted=(TEXT, "acme:ycloud:gone")) == [
        ("lost", "receive", "acme:ycloud:gone")
    ]


def test_what_is_under_way_is_in_flight_and_not_stuck() -> None:
    facts = installation()
    a_record_nobody_read(facts)
    a_job_never_finished(facts)
    a_sink_that_stands_still(facts)
    report = audited(facts, now_ms=NOW_MS + 5_000)
    assert (report.findings, report.document()["totals"]["in_flight"]) == ([], 1)


def refused_by_the_sink(facts: Facts, offset: int) -> None:
    """A record of enriched-messages that does not fit a row."""
    where = ("sink", "enriched-messages", 0, offset)
    facts.quarantined[where] = (0, 1)
    facts.quarantine_rows.add(where)
    facts.positions["quarantine", 0] = 2


def test_a_row_that_waits_for_a_repair_to_finish_is_not_behind_the_topic() -> None:
    facts = installation()
    facts.rows[IMAGE] = row(IMAGE, 1, redoing=2)
    assert audited(facts, now_ms=NOW_MS + 5_000).findings == []


def test_a_message_that_the_sink_refused_needs_no_row() -> None:
    facts = installation()
    a_row_dropped(facts)
    refused_by_the_sink(facts, 0)
    assert found(facts) == []


def test_a_version_that_the_sink_refused_leaves_the_row_as_it_was() -> None:
    facts = installation()
    facts.rows[IMAGE] = row(IMAGE, 1, "pending")
    refused_by_the_sink(facts, 2)
    assert found(facts) == []


def test_what_the_sink_refused_has_a_row_in_quarantine() -> None:
    facts = installation()
    a_row_dropped(facts)
    refused_by_the_sink(facts, 0)
    facts.quarantine_rows.remove(("sink", "enriched-messages", 0, 0))
    assert found(facts) == [("lost", "sink", TEXT)]


@pytest.mark.parametrize("receipts_read", [2, 0])
def test_what_was_settled_after_the_receipts_were_read_is_in_flight(receipts_read: int) -> None:
    facts = installation()
    facts.sources[RAW][5] = seen(5, "acme:ycloud:new")
    facts.versions = versions(
        [*topic(), (0, 3, b"acme:ycloud:new", enriched("acme:ycloud:new", 1, 5))]
    )
    del facts.receipts[RAW][receipts_read:]
    report = audited(facts, now_ms=NOW_MS + 5_000)
    assert (report.findings, report.document()["totals"]["in_flight"]) == (
        [],
        6 if not receipts_read else 1,
    )


def test_what_a_receipt_of_this_moment_tells_may_be_seen_elsewhere_a_moment_later() -> None:
    facts = installation()
    no_first_version(facts)
    a_quarantine_record_missing(facts)
    assert found(facts) == [("lost", "dedupe", TEXT), ("lost", "dedupe", POISON)]
    facts.receipts[RAW] = [
        msgspec.structs.replace(one, at=NOW + timedelta(minutes=59, seconds=30))
        for one in facts.receipts[RAW]
    ]
    assert found(facts) == []


def test_a_duplicate_of_what_was_forwarded_before_the_time_looked_at_is_none_the_worse() -> None:
    facts = installation()
    a_message_swallowed(facts)
    facts.arrivals[SWALLOWED] = arrived(2)
    assert found(facts) == []


def test_whether_a_duplicate_was_ever_forwarded_is_not_asked_of_a_sink_that_is_behind() -> None:
    facts = installation()
    a_message_swallowed(facts)
    facts.receipt_ends[3] = 5
    assert found(facts) == []


def test_the_age_and_the_stage_of_what_is_stuck_are_told() -> None:
    facts = installation()
    a_record_nobody_read(facts)
    (one,) = audited(facts).findings
    assert (one.stage, one.age_seconds, one.what) == ("dedupe", 3600.0, "raw-messages[3]@5 waits")


def test_without_the_lines_of_others_receipts_tell_the_same() -> None:
    other, records = "other:ycloud:text", {1: seen(1, TEXT), 4: seen(4, IMAGE), 5: seen(5, IMAGE)}
    whole = [
        receipt(RAW, Span(0, 2), line(0, other, "forwarded"), line(1, TEXT, "forwarded")),
        receipt(RAW, Span(2, 3), line(2, other, "duplicate")),
        receipt(RAW, Span(3, 3), line(3, other, "duplicate")),  # a part of a transaction
        receipt(RAW, Span(5, 6), line(5, other, "duplicate")),  # after a gap, and another key
    ]
    ours = [one for receipt in whole for one in narrowed(receipt, records)]
    assert [(one.first_offset, one.next_offset, one.at, one.keys) for one in ours] == [
        (0, 2, NOW, (TEXT.encode(),)), (2, 3, NOW, ()), (5, 6, NOW, (other.encode(),)),
    ]  # fmt: skip
    assert balance(RAW, records, ours) == balance(RAW, records, whole)
    assert [one.kind for one in balance(RAW, records, ours).findings] == [
        "unexplained",
        "unexplained",
        "lost",
    ]


def test_of_another_tenant_nothing_is_told() -> None:
    facts = installation()
    a_row_dropped(facts)
    kept = Facts(receipts=facts.receipts)
    assert Audit(kept, AuditScope(NOW, "other"), LATER_MS, 60).report().findings == []


def test_a_replayed_generation_is_redone_work_and_no_delivery() -> None:
    facts = installation()
    facts.sources[RAW][5] = seen(5, TEXT, generation=7)
    facts.receipts[RAW].append(receipt(RAW, Span(5, 6), line(5, TEXT, "forwarded", generation=7)))
    facts.versions = versions([*topic(), (0, 3, TEXT.encode(), enriched(TEXT, 7001, 5))])
    facts.positions["enriched-messages", 0] = 4
    facts.rows[TEXT] = row(TEXT, 7001)
    assert found(facts) == []
    assert audited(facts).document()["totals"]["redone"] == 1


def test_a_repair_whose_opening_assemble_set_aside_is_not_lost_too() -> None:
    facts = installation()
    facts.sources[RAW][5] = seen(5, TEXT, generation=7)
    facts.receipts[RAW].append(receipt(RAW, Span(5, 6), line(5, TEXT, "forwarded", generation=7)))
    assert ("lost", "dedupe", TEXT) in found(facts)
    refused = line(0, TEXT, "quarantined", "record_too_large", generation=7)
    facts.sources[ENRICHMENTS] = {0: seen(0, TEXT, generation=7)}
    facts.receipts[ENRICHMENTS] = [receipt(ENRICHMENTS, Span(0, 1), refused)]
    facts.quarantined["assemble", "enrichments", 3, 0] = (0, 1)
    facts.quarantine_rows.add(("assemble", "enrichments", 3, 0))
    assert found(facts) == []


def test_a_delivery_after_the_horizon_changes_no_row_and_nothing_is_lost() -> None:
    facts = installation()
    later = NOW + timedelta(seconds=1)
    records = [*topic(), (0, 3, TEXT.encode(), enriched(TEXT, 2, 9, received_at=later))]
    facts.versions = versions(records)
    facts.positions["enriched-messages", 0] = 4
    assert found(facts) == []


def test_a_message_that_dedupe_had_forgotten_is_counted_and_unbalances_nothing() -> None:
    facts = installation()
    again = enriched(IMAGE, 1, 9, received_at=NOW + timedelta(days=9))
    facts.versions = versions([*topic(), (0, 3, IMAGE.encode(), again)])
    facts.positions["enriched-messages", 0] = 4
    report = audited(facts)
    assert (report.findings, report.reopened, report.document()["reopened"]) == ([], 1, 1)
    assert audited(installation()).document()["reopened"] == 0


def test_a_log_that_was_cut_and_has_grown_past_the_sinks_position_is_named_on_both_sides() -> None:
    facts = installation()
    keys = [f"acme:ycloud:new{number}" for number in range(4)]
    facts.versions = versions(
        [(0, at, key.encode(), enriched(key, 1, 10 + at)) for at, key in enumerate(keys)]
    )
    facts.rows[keys[3]] = row(keys[3], 1)
    facts.positions["enriched-messages", 0] = 4  # the sink went on at 3, the end before the cut
    passed_over = {("lost", "sink", key) for key in keys[:3]}
    cut = {("lost", "dedupe"), ("unexplained", "sink")}
    assert set(found(facts)) == passed_over | {(*by, key) for by in cut for key in (TEXT, IMAGE)}


@pytest.mark.parametrize("key", ["media/acme-media/1.jpg", "my-media/media/acme-media/1.jpg"])
def test_a_files_tenant_is_known_whatever_its_name_ends_in(key: str) -> None:
    assert tenant_of_object(key) == "acme-media"
