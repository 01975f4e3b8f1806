"""The promises that must hold after any fault. Pure functions from facts to findings.

A promise without a finding is kept.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.chaos.book import POISON, Accepted, Kind
from tests.chaos.facts import Disturbance, Facts, Row

RECORDING_SECONDS = 1.0
"""The time after a model's answer until the worker has recorded it. The call is in flight then."""

ENDS: dict[Kind, str] = {"image": "described", "voice": "transcribed"}
REASONS: dict[Kind, str] = {
    "not_json": "not_json",
    "undecodable": "record_undecodable",
    "killer": "process_killer",
}


@dataclass(frozen=True)
class Finding:
    """A promise, and the fact that breaks it."""

    promise: str
    broken_by: tuple[str, ...]


def judge(facts: Facts) -> list[Finding]:
    """The findings of every promise, in order."""
    return [Finding(name, tuple(sorted(set(check(facts))))) for name, check in PROMISES.items()]


def broken(facts: Facts) -> list[str]:
    """The names of the promises that were not kept."""
    return [finding.promise for finding in judge(facts) if finding.broken_by]


def _messages(facts: Facts) -> Iterator[Accepted]:
    return (entry for entry in facts.accepted if entry.kind not in POISON)


def lost(facts: Facts) -> Iterator[str]:
    """Every accepted message is a row, and all accepted poison is in quarantine."""
    rows, refused = {row.key for row in facts.rows}, {one.key for one in facts.quarantined}
    for entry in facts.accepted:
        if entry.key not in (refused if entry.kind in POISON else rows):
            yield entry.key


def rows_twice(facts: Facts) -> Iterator[str]:
    counts = Counter(row.key for row in facts.rows)
    return (key for key, count in counts.items() if count > 1)


def twice(facts: Facts) -> Iterator[str]:
    """A read_committed reader sees exactly one version 1 of each message."""
    firsts = Counter(version.key for version in facts.versions if version.version == 1)
    yield from (f"{key} {count} times" for key, count in firsts.items() if count > 1)
    yield from (f"{entry.key} never" for entry in _messages(facts) if not firsts[entry.key])


def out_of_order(facts: Facts) -> Iterator[str]:
    """The versions of a message are in one partition and rise."""
    last: dict[str, tuple[int, int]] = {}
    for version in sorted(facts.versions, key=lambda one: (one.partition, one.offset)):
        before = last.get(version.key)
        if before is not None and (before[0] != version.partition or before[1] >= version.version):
            yield f"{version.key} {before[1]} then {version.version}"
        last[version.key] = (version.partition, version.version)


def row_behind_topic(facts: Facts) -> Iterator[str]:
    newest: dict[str, int] = defaultdict(int)
    for version in facts.versions:
        newest[version.key] = max(newest[version.key], version.version)
    yield from (
        f"{row.key} row {row.version}, topic {newest[row.key]}"
        for row in facts.rows
        if newest[row.key] != row.version
    )


def wrong_tenant(facts: Facts) -> Iterator[str]:
    """Rows, versions, files and their texts belong to the tenant that sent the message."""
    sent = {entry.key: entry for entry in facts.accepted}
    for what in (*facts.rows, *facts.versions):
        if what.tenant != what.key.partition(":")[0] or (
            what.key in sent and what.tenant != sent[what.key].tenant
        ):
            yield what.key
    for one in facts.stored:
        if one.tenant != one.key.partition(":")[0] or f"media/{one.tenant}/" not in one.object_key:
            yield one.object_key
    for row in facts.rows:
        says = sent[row.key].says if row.key in sent else None
        for file in row.files:
            if (file.url and not file.url.startswith(f"/media/{row.tenant}/")) or (
                file.said and says and says not in file.said
            ):
                yield f"{row.key} file {file.index}"


def unexplained(facts: Facts) -> Iterator[str]:
    """Every row and every version belongs to a message that was sent."""
    known = {entry.key for entry in facts.accepted} | facts.ambiguous
    yield from (row.key for row in facts.rows if row.key not in known)
    yield from (version.key for version in facts.versions if version.key not in known)


def stuck(facts: Facts) -> Iterator[str]:
    """Every message is finished."""
    return (row.key for row in facts.rows if row.status not in ("complete", "degraded"))


def degraded(facts: Facts) -> Iterator[str]:
    """No job gives up because a server has trouble, unless the fault lasts longer than the retries."""
    if not facts.degraded_allowed:
        yield from (f"{row.key} {_reasons(row)}" for row in facts.rows if row.status == "degraded")


def _reasons(row: Row) -> str:
    return ",".join(file.reason or file.status for file in row.files if file.status == "failed")


def enriched(facts: Facts) -> Iterator[str]:
    """A text has the content that was sent.

    An image or a voice note has one file, with the model's text about it.
    """
    rows = {row.key: row for row in facts.rows}
    for entry in _messages(facts):
        row = rows.get(entry.key)
        if row is None or (row.status == "degraded" and facts.degraded_allowed):
            continue
        if entry.kind == "text" and row.content != entry.says:
            yield f"{row.key} says {row.content!r}"
        said = [file.said or "" for file in row.files if file.status == ENDS.get(entry.kind)]
        if entry.kind in ENDS and not (
            len(row.files) == len(said) == 1 and (entry.says or "") in said[0]
        ):
            yield f"{row.key} shows {[(file.status, file.said) for file in row.files]}"


def unplanned_quarantine(facts: Facts) -> Iterator[str]:
    """Only accepted poison, and deliveries that were never answered 2xx, are in quarantine."""
    expected = {entry.key for entry in facts.accepted if entry.kind in POISON} | (
        facts.ambiguous - {entry.key for entry in facts.accepted}
    )
    return (
        f"{one.key} {one.stage} {one.reason}"
        for one in facts.quarantined
        if one.key not in expected
    )


def wrong_reason(facts: Facts) -> Iterator[str]:
    """Poison is in quarantine for the right reason."""
    kinds = {entry.key: entry.kind for entry in facts.accepted if entry.kind in POISON}
    return (
        f"{one.key} {one.reason}"
        for one in facts.quarantined
        if one.key in kinds and one.reason != REASONS[kinds[one.key]]
    )


def files_missing(facts: Facts) -> Iterator[str]:
    """Stored attachments, rows of media_objects and objects in the bucket are the same set.

    Orphans are allowed, because a sweep removes them after a day.
    """
    prefix_free = {name[name.index("media/") :] for name in facts.objects if "media/" in name}
    shown = {
        (row.key, file.url.lstrip("/")) for row in facts.rows for file in row.files if file.url
    }
    recorded = {(one.key, one.object_key[one.object_key.index("media/") :]) for one in facts.stored}
    yield from (f"{name} of {key} has no media_objects row" for key, name in shown - recorded)
    yield from (f"{name} of {key} is in no row" for key, name in recorded - shown)
    yield from (
        f"{name} of {key} is not in the bucket"
        for key, name in shown | recorded
        if name not in prefix_free
    )
    yield from (
        f"{row.key} file {file.index}"
        for row in facts.rows
        for file in row.files
        if file.status in ("described", "transcribed") and not file.url
    )


def paid_bound(facts: Facts) -> int:
    """The most paid calls that can be explained.

    This is one per file, and for each disturbance the calls that the stage had in
    flight then, because each of them may be paid again.
    """
    items = sum(1 for entry in facts.accepted if entry.kind in ("image", "voice"))
    ambiguous = sum(
        1
        for row in facts.rows
        if row.files
        and row.key in facts.ambiguous
        and row.key not in {entry.key for entry in facts.accepted}
    )
    return items + ambiguous + sum(in_flight(facts, one) for one in facts.disturbed)


def in_flight(facts: Facts, when: Disturbance) -> int:
    return sum(
        1
        for call in facts.paid
        if call.stage == when.role and call.began <= when.at <= call.ended + RECORDING_SECONDS
    )


def paid_too_often(facts: Facts) -> Iterator[str]:
    if len(facts.paid) > paid_bound(facts):
        yield f"{len(facts.paid)} paid calls, {paid_bound(facts)} explained"


def unbalanced(facts: Facts) -> Iterator[str]:
    """`sensorium audit` finds nothing lost, twice, stuck or unexplained."""
    return (f"{name} {count}" for name, count in (facts.audit or {}).items() if count)


PROMISES: dict[str, Callable[[Facts], Iterator[str]]] = {
    "lost": lost,
    "rows_twice": rows_twice,
    "twice": twice,
    "out_of_order": out_of_order,
    "row_behind_topic": row_behind_topic,
    "wrong_tenant": wrong_tenant,
    "unexplained": unexplained,
    "stuck": stuck,
    "degraded": degraded,
    "enriched": enriched,
    "unplanned_quarantine": unplanned_quarantine,
    "wrong_reason": wrong_reason,
    "files_missing": files_missing,
    "paid_too_often": paid_too_often,
    "unbalanced": unbalanced,
}
