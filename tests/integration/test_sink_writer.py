import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from connectors.postgres.rows import message_rows
from connectors.postgres.writer import Fenced, OutOfStep, Placed, Position, Work, Writer
from schemas.codec import decode, encode
from schemas.outcomes import Quarantine
from schemas.receipts import Ledger, Line, Span
from schemas.records import EnrichedMessage, Quarantined, Receipt, Source, Step
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.pool import unavailable
from storage.postgres.sql import queries
from tests.integration.databases import Connection, pooled
from tests.integration.waiting import until
from tests.unit.records import KEY, NOW, message

TOPIC = "enriched-messages"


class Sink:
    """A writer that owns partition 0, and the records that it quarantined."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", epoch: int) -> None:
        self.quarantined: list[tuple[Placed, Quarantine]] = []
        self.buried: list[Placed] = []
        self.writer = Writer(pool, "told", self._quarantine, self._write_tombstones)
        self.epoch = epoch
        self.offset = 0

    async def _quarantine(self, refused: Sequence[tuple[Placed, Quarantine]]) -> None:
        self.quarantined += refused

    async def _write_tombstones(self, placed: Sequence[Placed]) -> None:
        self.buried += placed

    def work(self, *records: EnrichedMessage | Quarantined | Receipt) -> Work:
        placed = []
        for record in records:
            placed.append(
                Placed(
                    Source(topic=TOPIC, partition=0, offset=self.offset),
                    record,
                    b"acme:ycloud:x",
                    encode(record),
                )
            )
            self.offset += 1
        return Work(placed, {(TOPIC, 0): self.offset})

    async def write(self, *records: EnrichedMessage | Quarantined | Receipt) -> Any:
        after = self.offset or -1
        return await self.write_after(after, self.work(*records))

    async def write_after(self, after: int, work: Work) -> Any:
        (end,) = work.ends.values()
        return await self.writer.write(work, [Position(TOPIC, 0, end, self.epoch, after)])


async def owner(connection: Connection) -> int:
    await connection.execute(queries("sink")["know_partitions"], [TOPIC], [0], ["topic-id"])
    row = await connection.fetchrow(queries("sink")["take_partitions"], [TOPIC], [0])
    assert row is not None
    return int(row["epoch"])


@pytest.fixture
async def sink(stack: Settings, namespace: str, database: Connection) -> AsyncIterator[Sink]:
    async with pooled(stack.postgres, Names(namespace)) as pool:
        yield Sink(pool, await owner(database))


async def row(database: Connection) -> tuple[Any, ...]:
    (found,) = await database.fetch("SELECT version, content FROM chat_messages")
    return tuple(found)


async def position(database: Connection) -> int:
    return int(
        await database.fetchval(
            "SELECT next_offset FROM sink_offsets WHERE topic = $1 AND partition = 0", TOPIC
        )
    )


# the guard


async def test_a_higher_version_replaces_a_row_and_a_lower_one_does_not(
    sink: Sink, database: Connection
) -> None:
    await sink.write(message(version=2, content="two"))
    written = await sink.write(message(version=1, content="one"))
    assert (await row(database), written.rows, written.unchanged) == ((2, "two"), 0, 1)
    await sink.write(message(version=3, content="three"))
    assert await row(database) == (3, "three")


async def test_of_the_versions_in_one_batch_the_highest_is_the_row(
    sink: Sink, database: Connection
) -> None:
    await sink.write(
        message(version=1, content="one"),
        message(version=3, content="three"),
        message(version=2, content="two"),
    )
    assert await row(database) == (3, "three")


async def test_rows_that_were_made_before_are_stored_unless_a_record_is_left_out(
    sink: Sink, database: Connection
) -> None:
    one, gone = message(version=1, content="one"), message(version=2, tenant_id="gone")
    prepared = message_rows([message(version=3, content="prepared")])
    await database.execute(
        "INSERT INTO tenants (tenant_id, settings, removed_at) VALUES ('gone', '', now())"
    )
    work = sink.work(one, gone)
    work.rows = prepared
    await sink.write_after(-1, work)
    assert await row(database) == (1, "one")
    work = sink.work(one)
    work.rows = prepared
    await sink.write_after(2, work)
    assert await row(database) == (3, "prepared")


async def test_a_delivery_after_the_horizon_changes_no_row_but_a_replay_does(
    sink: Sink, database: Connection
) -> None:
    await sink.write(message(version=1, content="first"))
    later = NOW + timedelta(days=9)
    assert (await sink.write(message(version=3, content="again", received_at=later))).unchanged == 1
    assert await row(database) == (1, "first")
    await sink.write(message(version=1001, generation=1, content="replayed", received_at=later))
    assert await row(database) == (1001, "replayed")


@pytest.mark.parametrize("first", [1, 2])
async def test_a_later_opening_replaces_the_row_and_keeps_its_first_arrival(
    sink: Sink, database: Connection, first: int
) -> None:
    later = NOW + timedelta(minutes=9)
    opened = [message(version=1, content="one"), message(version=2, content="two")][:first]
    await sink.write(*opened)
    await sink.write(message(version=201, content="again", received_at=later))
    assert (await sink.write(message(version=3, content="three"))).unchanged == 1
    assert await row(database) == (201, "again")
    assert await database.fetchval("SELECT received_at FROM chat_messages") == NOW
    await sink.write(message(version=202, content="whole", received_at=later))
    assert await row(database) == (202, "whole")


async def test_a_message_that_is_opened_again_within_a_batch_keeps_its_first_arrival(
    sink: Sink, database: Connection
) -> None:
    later = NOW + timedelta(minutes=9)
    await sink.write(
        message(version=1, content="one"), message(version=201, content="again", received_at=later)
    )
    assert await row(database) == (201, "again")
    assert await database.fetchval("SELECT received_at FROM chat_messages") == NOW


async def test_a_re_delivery_after_the_horizon_with_many_versions_changes_no_row(
    sink: Sink, database: Connection
) -> None:
    await sink.write(message(version=2, content="first"))
    later = NOW + timedelta(days=9)
    await sink.write(message(version=200, content="again", received_at=later))
    assert await row(database) == (2, "first")


# repairs


def version(number: int, status: str) -> EnrichedMessage:
    return message(version=number, status=status, content=f"{number} {status}")


REPAIRS = [
    (("2 complete", "1001 pending"), (2, 1001)),
    (("2 degraded", "1001 pending", "1002 pending"), (2, 1002)),
    (("2 degraded", "1001 pending", "1002 degraded"), (1002, None)),
    (("2 complete", "1001 pending", "2001 pending", "2002 complete"), (2002, None)),
    (("2 complete", "1001 pending", "2001 pending", "1002 complete"), (1002, 2001)),
    (("2 complete", "2001 pending", "1001 pending"), (2, 2001)),
    (("1 pending", "1001 pending"), (1001, None)),
    (("1 pending", "1001 pending", "1002 complete"), (1002, None)),
    (("1001 pending", "1002 complete"), (1002, None)),
    (("2 complete", "201 pending", "202 complete"), (202, None)),
    (("2 complete", "201 pending"), (201, None)),
    (("2 complete", "1001 pending", "202 complete"), (202, 1001)),
    (("1002 complete", "1201 pending"), (1002, 1201)),
]


@pytest.mark.parametrize("batches", ["each alone", "all in one", "all but the first in one"])
@pytest.mark.parametrize(("versions", "expected"), REPAIRS, ids=lambda one: " ".join(map(str, one)))
async def test_a_finished_row_stays_finished_until_what_redoes_it_is(
    versions: tuple[str, ...],
    expected: tuple[int, int | None],
    batches: str,
    sink: Sink,
    database: Connection,
) -> None:
    made = [
        version(int(number), status) for number, _, status in (v.partition(" ") for v in versions)
    ]
    ways = {
        "each alone": [[one] for one in made],
        "all in one": [made],
        "all but the first in one": [made[:1], made[1:]],
    }
    for batch in ways[batches]:
        await sink.write(*batch)
    (found,) = await database.fetch("SELECT version, redoing_version FROM chat_messages")
    assert tuple(found) == expected


# positions


async def test_rows_and_position_are_written_together(sink: Sink, database: Connection) -> None:
    await sink.write(message(content="a"))
    assert (await row(database), await position(database)) == ((1, "a"), 1)


async def test_a_second_owner_fences_the_first_and_nothing_of_its_batch_is_kept(
    sink: Sink, database: Connection
) -> None:
    await owner(database)
    with pytest.raises(Fenced):
        await sink.write(message(content="late"))
    assert await database.fetchval("SELECT count(*) FROM chat_messages") == 0


async def test_a_batch_that_was_committed_without_our_hearing_of_it_is_not_written_twice(
    sink: Sink, database: Connection
) -> None:
    work = sink.work(a_receipt(line(0), line(1, outcome="duplicate")))
    await sink.write_after(-1, work)
    again = await sink.write_after(-1, work)
    assert (again.rows, await database.fetchval("SELECT deliveries FROM arrivals")) == (
        0,
        2,
    )


@pytest.mark.parametrize("committed", ["enriched-messages", "quarantine"])
async def test_a_batch_of_which_a_part_is_committed_writes_nothing_and_is_out_of_step(
    committed: str, sink: Sink, database: Connection
) -> None:
    await database.execute(queries("sink")["know_partitions"], ["quarantine"], [0], ["topic-id"])
    taken = await database.fetchval(queries("sink")["take_partitions"], ["quarantine"], [0])
    assert taken == "quarantine"
    await database.execute("UPDATE sink_offsets SET next_offset = 1 WHERE topic = $1", committed)
    ends = [Position(topic, 0, 1, 1, -1) for topic in ("enriched-messages", "quarantine")]
    with pytest.raises(OutOfStep, match="a part"):
        await sink.writer.write(sink.work(message()), ends)
    left = await database.fetch("SELECT topic, next_offset FROM sink_offsets ORDER BY next_offset")
    assert [row["next_offset"] for row in left] == [-1, 1] and left[1]["topic"] == committed
    assert await database.fetchval("SELECT count(*) FROM chat_messages") == 0


# what does not fit


async def test_one_row_that_cannot_be_stored_is_set_aside_and_its_neighbours_land(
    sink: Sink, database: Connection
) -> None:
    good = [message(message_key=f"acme:ycloud:w{n}", provider_message_id=f"w{n}") for n in range(9)]
    bad = message(message_key="acme:ycloud:bad", content_attributes="{not json")
    written = await sink.write(*good[:4], bad, *good[4:])
    assert {
        r["message_key"] for r in await database.fetch("SELECT message_key FROM chat_messages")
    } == {m.message_key for m in good}
    assert (
        [(placed.record, verdict.reason) for placed, verdict in sink.quarantined],
        written.unstorable,
        await position(database),
    ) == ([(bad, "record_unstorable")], 1, 10)


async def test_when_the_quarantine_does_not_take_it_nothing_is_committed(
    sink: Sink, database: Connection
) -> None:
    async def broken(refused: Sequence[tuple[Placed, Quarantine]]) -> None:
        raise OSError("kafka is away")

    sink.writer._quarantine = broken
    with pytest.raises(OSError):
        await sink.write(
            message(message_key="acme:ycloud:bad", content_attributes="{not json"), message()
        )
    assert (
        await database.fetchval("SELECT count(*) FROM chat_messages"),
        await position(database),
    ) == (0, -1)


# receipts


def line(
    offset: int,
    key: bytes = b"acme:ycloud:w1",
    outcome: str = "forwarded",
    reason: str = "",
    generation: int = 0,
) -> Line:
    return Line(offset, key, int(NOW.timestamp() * 1000), outcome, reason, generation)


def a_receipt(*lines: Line, stage: Any = "dedupe") -> Receipt:
    (value,) = Ledger(stage, "raw-messages", 3).receipts(Span(0, 9), lines)
    return decode(Receipt, value)


async def outcomes(database: Connection) -> dict[str, tuple[str, str, int]]:
    found = await database.fetch("SELECT * FROM arrivals")
    return {r["message_key"]: (r["outcome"], r["reason"], r["deliveries"]) for r in found}


async def test_every_raw_key_has_its_outcome_and_the_number_of_its_deliveries(
    sink: Sink, database: Connection
) -> None:
    await sink.write(
        a_receipt(
            line(0),
            line(1, outcome="duplicate"),
            line(2, b"acme:ycloud:evt_1", "skipped", "unknown_event"),
            line(3, b"acme:ycloud:sha256-1", "quarantined", "not_json"),
            line(4, b"acme:ycloud:sha256-1", "quarantined", "not_json"),
        )
    )
    assert await outcomes(database) == {
        "acme:ycloud:w1": ("forwarded", "", 2),
        "acme:ycloud:evt_1": ("skipped", "unknown_event", 1),
        "acme:ycloud:sha256-1": ("quarantined", "not_json", 2),
    }


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([[line(0, outcome="quarantined", reason="not_json")], [line(1)]], ("forwarded", "", 2)),
        ([[line(0)], [line(1, outcome="skipped", reason="update")]], ("forwarded", "", 2)),
        (
            [[line(0)], [line(1, outcome="duplicate")], [line(2, outcome="duplicate")]],
            ("forwarded", "", 3),
        ),
        (
            [[line(0, outcome="quarantined", reason="not_json")], [line(1, generation=4)]],
            ("forwarded", "", 1),
        ),
        ([[line(0)], [line(1, generation=5)]], ("forwarded", "", 1)),
    ],
    ids=["poison, then good", "an update", "duplicates", "poison, replayed", "replayed"],
)
async def test_what_was_forwarded_once_stays_forwarded_and_a_replay_is_not_a_delivery(
    batches: list[list[Line]], expected: tuple[str, str, int], sink: Sink, database: Connection
) -> None:
    for batch in batches:
        await sink.write(a_receipt(*batch))
    assert await outcomes(database) == {"acme:ycloud:w1": expected}


async def test_what_an_earlier_program_counted_and_what_came_since_is_one_row(
    sink: Sink, database: Connection
) -> None:
    await database.execute(
        'INSERT INTO inbound_messages (tenant_id, provider, provider_message_id, message_key, topic, partition, "offset", received_at, '
        "outcome, deliveries) VALUES ('acme', 'ycloud', 'w1', 'acme:ycloud:w1', 'raw-messages', 3, 7, $1, 'quarantined', 2)",
        NOW - timedelta(days=1),
    )
    await sink.write(a_receipt(line(8, outcome="duplicate"), line(9)))
    (found,) = await database.fetch("SELECT * FROM arrivals")
    assert (found["message_key"], found["offset"], found["outcome"], found["deliveries"]) == (
        "acme:ycloud:w1",
        7,
        "forwarded",
        4,
    )


async def test_steps_of_every_program_are_shown_in_one_list(
    sink: Sink, database: Connection
) -> None:
    steps = [
        Step(stage=f"s{n}", outcome="forwarded", topic="t", partition=0, offset=n, at=NOW)
        for n in range(5)
    ]
    await sink.write(message(version=1, steps=tuple(steps[:1])))
    await sink.write(message(version=2, status="complete", steps=tuple(steps[:2])))
    await sink.write(message(version=1001, status="pending", steps=tuple(steps[2:3])))
    await sink.write(message(version=1002, status="pending", steps=tuple(steps[2:4])))
    await database.execute(
        'INSERT INTO message_steps (tenant_id, message_key, stage, topic, partition, "offset", outcome, at) '
        "VALUES ($1, $2, 's0', 't', 0, 0, 'forwarded', $3), ($1, $2, 's4', 't', 0, 4, 'forwarded', $3)",
        "acme",
        KEY,
        NOW,
    )
    found = await database.fetch(queries("console")["steps"], "acme", KEY)
    assert [Step(**dict(one)) for one in found] == steps
    assert await database.fetchval("SELECT version FROM chat_messages") == 2


async def test_receipts_of_other_stages_are_not_deliveries(
    sink: Sink, database: Connection
) -> None:
    await sink.write(a_receipt(line(0), stage="assemble"))
    assert await outcomes(database) == {}


async def test_a_key_that_is_none_of_ours_is_kept_under_the_unknown_tenant(
    sink: Sink, database: Connection
) -> None:
    await sink.write(a_receipt(line(0, b"\xff\0garbage", "quarantined", "record_undecodable")))
    (found,) = await database.fetch("SELECT tenant_id, provider, outcome FROM arrivals")
    assert tuple(found) == ("unknown", "unknown", "quarantined")


async def test_a_sink_says_that_it_will_write_messages_before_its_transaction_has_a_number(
    stack: Settings, namespace: str, sink: Sink, database: Connection
) -> None:
    announced = """
        SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'chat_messages'::regclass
                       AND mode = 'RowExclusiveLock' AND granted)"""
    async with (
        pooled(stack.postgres, Names(namespace)) as pool,
        pool.acquire() as other,
        other.transaction(),
    ):
        await other.execute("SELECT FROM sink_offsets FOR UPDATE")
        writing = asyncio.create_task(sink.write(message()))
        await until(lambda: database.fetchval(announced))
        assert not writing.done()
    await writing


# the position it continues from


@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_nothing_is_written_behind_a_gap(lost: int, sink: Sink, database: Connection) -> None:
    for number in range(3):
        await sink.write(message(message_key=f"acme:ycloud:w{number}"))
    await database.execute("UPDATE sink_offsets SET next_offset = $1", 3 - lost)  # a failover
    with pytest.raises(OutOfStep, match=f"is {3 - lost} with epoch"):
        await sink.write(message(message_key="acme:ycloud:later"))
    assert await position(database) == 3 - lost
    assert await database.fetchval("SELECT count(*) FROM chat_messages") == 3


async def test_a_server_that_has_not_heard_of_the_owner_is_out_of_step_too(
    sink: Sink, database: Connection
) -> None:
    await sink.write(message())
    await database.execute("UPDATE sink_offsets SET epoch = epoch - 1")
    with pytest.raises(OutOfStep):
        await sink.write(message(version=2))
    await database.execute("DELETE FROM sink_offsets")
    with pytest.raises(OutOfStep):
        await sink.write(message(version=2))


# quarantine that Postgres refuses


def refused_record(**fields: Any) -> Quarantined:
    return Quarantined(
        **{
            "tenant_id": "acme",
            "stage": "dedupe",
            "reason": "not_json",
            "detail": "",
            "topic": "raw-messages",
            "partition": 0,
            "offset": 7,
            "program_version": "1",
            "created_at": NOW,
            "value": b"body",
            **fields,
        }
    )


async def test_odd_records_of_quarantine_are_stored(sink: Sink, database: Connection) -> None:
    await sink.write(
        refused_record(tenant_id="ac\0me", headers={"h": b"x\\u0000", "n": b"\0"}, value=b"\0")
    )
    (found,) = await database.fetch("SELECT tenant_id, headers, value FROM quarantined_messages")
    assert tuple(found) == ("ac\ufffdme", '{"h": "x\\\\u0000", "n": "\ufffd"}', b"\0")


async def test_a_place_in_a_topic_that_was_made_again_is_another_place(
    sink: Sink, database: Connection
) -> None:
    sink.writer.topic_ids = {"raw-messages": "first"}
    await sink.write(refused_record(), refused_record())
    await sink.write(refused_record())
    sink.writer.topic_ids = {"raw-messages": "second"}
    await sink.write(refused_record(value=b"other"))
    found = await database.fetch("SELECT value, topic_id FROM quarantined_messages ORDER BY 2")
    assert [tuple(row) for row in found] == [(b"body", "first"), (b"other", "second")]


async def test_what_an_earlier_program_stored_is_not_stored_again(
    sink: Sink, database: Connection
) -> None:
    await sink.write(refused_record())
    sink.writer.topic_ids = {"raw-messages": "first"}
    await sink.write(refused_record())
    assert await database.fetchval("SELECT count(*) FROM quarantined_messages") == 1


async def test_a_record_of_quarantine_that_does_not_fit_is_kept_bare_or_passed_over(
    sink: Sink, database: Connection
) -> None:
    await database.execute("ALTER TABLE quarantined_messages ADD CHECK (tenant_id <> 'acme')")
    await database.execute('ALTER TABLE quarantined_messages ADD CHECK ("offset" <> 9)')
    written = await sink.write(refused_record(), refused_record(offset=9), message())
    found = await database.fetch("SELECT tenant_id, value, reason FROM quarantined_messages")
    assert [tuple(row) for row in found] == [("unknown", b"body", "record_unstorable")]
    assert (written.unstorable, await position(database)) == (0, 3)
    assert await database.fetchval("SELECT count(*) FROM chat_messages") == 1


async def test_a_record_that_does_not_fit_stops_no_batch_without_messages(
    sink: Sink, database: Connection
) -> None:
    await database.execute("ALTER TABLE quarantined_messages ADD CHECK (tenant_id <> 'acme')")
    written = await sink.write(refused_record(), refused_record(offset=9), a_receipt(line(0)))
    assert await database.fetchval("SELECT count(*) FROM quarantined_messages") == 2
    assert await database.fetchval("SELECT count(*) FROM arrivals") == 1
    assert (written.unstorable, await position(database)) == (0, 3)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE chat_messages ADD COLUMN later text NOT NULL DEFAULT 'x'; "
        "ALTER TABLE chat_messages ALTER COLUMN later DROP DEFAULT",
        "CREATE UNIQUE INDEX ON chat_messages (tenant_id)",
        "ALTER TABLE chat_messages DROP COLUMN sender_name",
        "ALTER TABLE chat_messages DROP COLUMN steps CASCADE",
    ],
)
async def test_a_database_that_does_not_fit_the_program_sets_no_row_aside(
    change: str, sink: Sink, database: Connection
) -> None:
    await sink.write(message(message_key="acme:ycloud:w0"))
    await database.execute(change)
    with pytest.raises(asyncpg.PostgresError) as caught:
        await sink.write(*(message(message_key=f"acme:ycloud:w{n}") for n in range(1, 3)))
    assert unavailable(caught.value) is not None
    assert sink.quarantined == []
    assert await position(database) == 1
