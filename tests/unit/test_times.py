"""Times as providers, services and people write them, and their use in messages."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers import catalogue
from connectors.providers.direct import validate
from connectors.providers.times import EARLIEST_YEAR, LATEST_YEAR, may_be_moment, moment
from schemas.outcomes import Forward
from schemas.records import EnrichedMessage, MediaJob
from streams.commands.environment import moment as moment_of_a_person
from streams.stages.dedupe import dedupe
from tests.unit.events import chatwoot, ycloud
from tests.unit.records import NOW, arrival, body, raw

FIELD = Path(__file__).parents[1] / "field" / "times" / "values.txt"
NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)

ZEROS: tuple[object, ...] = (
    0,
    0.0,
    -0.0,
    "0",
    "0.0",
    "",
    " ",
    -1,
    "-1",
    -62_135_596_800,
    "-62135596800",
    -62_135_596_800_000,
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00",
    "0001-01-01t00:00:00z",
    "0001-01-01T00:00:00.0000000+00:00",
    "0001-01-01T05:30:00+05:30",
    "0001-01-01T00:00:00+23:59",
    "0000-12-31T19:03:58-04:56:02",
    "0001-01-01",
    "0001-01-01 00:00:00 +0000 UTC",
    "0001-01-01 00:00:00 UTC",
    "0000-00-00",
    "0000-00-00 00:00:00",
    "1753-01-01T00:00:00",
    "1899-12-30T00:00:00Z",
    "1900-01-01T00:00:00",
    "1970-01-01T00:00:00Z",
    "1970-01-01 00:00:00",
    "1970-01-01T01:00:00+01:00",
    "1969-12-31T18:00:00-06:00",
    "1970-01-01",
    "1980-01-01T00:00:00Z",
    "1999-12-31T23:59:59Z",
    "2000-01-01T00:00:00+01:00",
    "2100-01-01T00:00:00Z",
    "9999-12-31T23:59:59.9999999Z",
    "9999-12-31T23:59:59-10:00",
)
TIMES: tuple[tuple[object, datetime], ...] = (
    ("2026-11-27T12:00:00Z", NOON),
    ("2026-11-27t12:00:00z", NOON),
    ("2026-11-27T12:00:00z", NOON),
    ("2026-11-27 12:00:00Z", NOON),
    ("2026-11-27 12:00:00", NOON),
    ("2026-11-27T12:00:00", NOON),
    ("2026-11-27T12:00Z", NOON),
    (" 2026-11-27T12:00:00Z ", NOON),
    ("2026-11-27T06:00:00-06:00", NOON),
    ("2026-11-27t17:30:00+05:30", NOON),
    ("2026-11-27T12:00:00-00:00", NOON),
    ("2026-11-27 12:00:00 UTC", NOON),
    ("2026-11-27 12:00:00 +0000", NOON),
    ("2026-11-27 12:00:00 +0000 UTC", NOON),
    ("20261127T120000Z", NOON),
    ("2026-11-27T12:00:00.5Z", NOON + timedelta(microseconds=500_000)),
    ("2026-11-27T12:00:00,5Z", NOON + timedelta(microseconds=500_000)),
    ("2026-11-27T12:00:00.123456789Z", NOON + timedelta(microseconds=123_456)),
    ("2026-11-27T12:00:00.123456789123Z", NOON + timedelta(microseconds=123_456)),
    ("2026-11-27T11:59:60Z", NOON),
    ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
    (1_795_780_800, NOON),
    (1_795_780_800.0, NOON),
    (1_795_780_800_000, NOON),
    (1_795_780_800_000_000, NOON),
    (1_795_780_800_000_000_000, NOON),
    ("1795780800", NOON),
    ("1795780800.0", NOON),
    ("1795780800000", NOON),
    ("1795780800000000", NOON),
    ("1795780800000000000", NOON),
)
NO_TIMES: tuple[object, ...] = (
    "20261127",
    20_261_127,
    "20261127120000",
    20_261_127_120_000,
    "2026-11-27",
    "27/11/2026",
    "soon",
    "17957808000",
    "179578080",
    1,
    10**400,
    "9" * 5_000,
    1e300,
    float("nan"),
    float("inf"),
    True,
    False,
    [],
    {},
    "²",
    "٢٠٢٦",
    "2026-13-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-11-27T25:00:00Z",
    "2026-11-27T12:60:00Z",
    "2026-11-27T12:00:61Z",
    "2026-11-27T12:00:00+24:00",
    "2026-11-27T12:00:00ZZ",
)


@pytest.mark.parametrize(("value", "instant"), TIMES, ids=repr)
def test_a_time_is_read_in_every_form(value: object, instant: datetime) -> None:
    assert (moment(value), may_be_moment(value)) == (instant, True)


@pytest.mark.parametrize("value", ZEROS, ids=repr)
def test_a_zero_time_says_that_no_time_is_given(value: object) -> None:
    assert (moment(value), may_be_moment(value)) == (None, True)


@pytest.mark.parametrize("value", NO_TIMES, ids=lambda value: repr(value)[:40])
def test_what_is_not_a_time_is_not_read_as_one(value: object) -> None:
    assert (moment(value), may_be_moment(value)) == (None, False)


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), st.integers(-1439, 1439))
def test_any_written_instant_is_read_exactly_or_is_unset(local: datetime, offset: int) -> None:
    sign, minutes = ("-", -offset) if offset < 0 else ("+", offset)
    written = f"{local.isoformat()}{sign}{minutes // 60:02}:{minutes % 60:02}"
    found = moment(written)
    assert may_be_moment(written)
    if 1 < local.year < 9999:
        utc = (local - timedelta(minutes=offset)).replace(tzinfo=UTC)
        assert found == (utc if EARLIEST_YEAR <= utc.year < LATEST_YEAR else None)
    else:
        assert found is None


@given(
    st.one_of(st.text(), st.integers(), st.floats(), st.text("0123456789-:.TtZz+ ", max_size=40))
)
def test_no_value_makes_the_reading_fail(value: object) -> None:
    found = moment(value)
    assert found is None or (found.utcoffset() == timedelta(0) and may_be_moment(value))


# what a message makes of it


def opened(provider: str, event: dict[str, Any]) -> tuple[EnrichedMessage, MediaJob | None]:
    content = body(event)
    (provider_id,) = ("42",) if provider == "vetchat" else catalogue.identify(provider, content)
    endpoint_id = "" if provider == "vetchat" else "ep-1"
    became = dedupe(
        arrival(raw(provider, provider_id, content, endpoint_id=endpoint_id)),
        claimed=set(),
        read=catalogue.read,
        now=NOW,
    )
    assert isinstance(became, Forward), became
    message, *rest = (output.record for output in became.outputs)
    assert isinstance(message, EnrichedMessage)
    job = rest[-1] if rest else None
    assert job is None or isinstance(job, MediaJob)
    return message, job


def chat(occurred_at: object) -> dict[str, Any]:
    return {
        "provider": "vetchat",
        "provider_message_id": "42",
        "conversation_id": "c1",
        "sender": {"id": "u1"},
        "media": [{"type": "image", "url": "https://files.example.com/1"}],
        "occurred_at": occurred_at,
    }


@pytest.mark.parametrize("value", [*ZEROS, None], ids=repr)
def test_a_direct_photo_with_a_zero_time_occurred_at_its_arrival_and_is_looked_at(
    value: object,
) -> None:
    assert validate(chat(value)) == []
    message, job = opened("vetchat", chat(value))
    assert job is not None
    assert (message.occurred_at, job.unpaid_reason) == (NOW, None)


@pytest.mark.parametrize("value", [value for value in NO_TIMES if value == value], ids=repr)
def test_a_direct_message_with_no_time_where_one_is_expected_is_refused(value: object) -> None:
    assert [error.partition(":")[0] for error in validate(chat(value))] == ["occurred_at"]


@pytest.mark.parametrize("line", FIELD.read_text().splitlines())
def test_the_times_of_the_field_never_make_a_photo_old(line: str) -> None:
    value = json.loads(line)
    if validate(chat(value)):
        assert value == "20261127"
        return
    _, job = opened("vetchat", chat(value))
    assert job is not None
    assert job.unpaid_reason is None


@pytest.mark.parametrize("value", [*ZEROS, *NO_TIMES[:8]], ids=repr)
def test_a_webhook_without_a_usable_time_falls_back_to_the_next_one_and_then_to_its_arrival(
    value: object,
) -> None:
    assert opened("chatwoot", chatwoot(created_at=value))[0].occurred_at == NOW
    event = ycloud(type="text", text={"body": "Hola"}, sendTime=value) | {"createTime": value}
    assert opened("ycloud", event)[0].occurred_at == NOW
    with_time = event | {"createTime": "2026-07-14T10:04:00.000Z"}
    assert opened("ycloud", with_time)[0].occurred_at == NOW - timedelta(minutes=1)


@pytest.mark.parametrize(
    ("ahead", "occurred"),
    [
        (timedelta(hours=23), NOW + timedelta(hours=23)),
        (timedelta(days=1), NOW + timedelta(days=1)),
        (timedelta(days=1, seconds=1), NOW),
        (timedelta(days=3_000), NOW),
    ],
)
def test_a_message_from_the_far_future_occurred_at_its_arrival(
    ahead: timedelta, occurred: datetime
) -> None:
    message, _ = opened("vetchat", chat((NOW + ahead).isoformat()))
    assert message.occurred_at == occurred


def test_a_message_of_1999_is_not_older_than_one_without_a_time() -> None:
    _, job = opened("vetchat", chat("1999-12-31T23:59:59Z"))
    assert job is not None
    assert job.unpaid_reason is None


# commands


def test_a_person_may_write_a_time_in_lower_case() -> None:
    assert moment_of_a_person("2026-11-27t12:00:00z") == NOON


@pytest.mark.parametrize(
    "text", ["0001-01-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59-10:00"]
)
def test_a_time_at_the_end_of_the_calendar_ends_no_command(text: str) -> None:
    try:
        found = moment_of_a_person(text)
    except click.UsageError:
        return
    assert found is not None
    assert found.timestamp() >= 0
