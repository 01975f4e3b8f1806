"""`usage`, `log` and `attachments list` on real tables."""

import getpass
import socket
from datetime import UTC, date, datetime, timedelta
from typing import Any

from schemas.records import Attachment
from storage.postgres.job_attempts import JobAttempt, JobAttempts, JobPlace
from tests.integration.commands import Commands, store
from tests.integration.console import key_of, row
from tests.integration.databases import Connection
from tests.unit.records import NOW


def used(commands: Commands, *rows: tuple[Any, ...]) -> None:
    async def written(connection: Connection) -> None:
        await connection.executemany(
            "INSERT INTO ai_usage VALUES ($1, $2, $3, $4, 1, 10, 5, $5)", rows
        )

    commands.database(written)


def test_usage_sums_by_day_or_model_and_an_unknown_price_is_not_zero(commands: Commands) -> None:
    day, next_day = date(2026, 11, 26), date(2026, 11, 27)
    used(
        commands,
        ("acme", day, "describe", "gpt-4o", 3000),
        ("acme", next_day, "describe", "gpt-4o", 2000),
        ("acme", next_day, "describe", "llava", None),
        ("other", day, "transcribe", "whisper-1", 100),
    )
    by_day = commands.json("usage")["usage"]
    assert [
        (one["tenant_id"], one["day"], one["calls"], one["cost_microusd"]) for one in by_day
    ] == [
        ("acme", "2026-11-26", 1, 3000),
        ("acme", "2026-11-27", 2, None),
        ("other", "2026-11-26", 1, 100),
    ]
    commands.json("tenants", "add", "acme")
    words = ("usage", "--by", "model", "--tenant", "acme", "--since", "2026-11-27T00:00:00Z")
    by_model = commands.json(*words)["usage"]
    assert [(one["model"], one["input_tokens"], one["cost_microusd"]) for one in by_model] == [
        ("gpt-4o", 10, 2000),
        ("llava", 10, None),
    ]
    text = commands.run(*words).stdout
    assert "0.002000 USD" in text and "price unknown" in text


def test_the_log_says_what_commands_changed(commands: Commands) -> None:
    assert commands.json("log") == {"log": []}
    commands.json("tenants", "add", "acme")
    commands.json("keys", "add", "acme", "--scope", "read")
    newest, _ = commands.json("log", "--tenant", "acme")["log"]
    assert newest["actor"] == f"{getpass.getuser()}@{socket.gethostname()}"
    assert newest["actor"] in commands.run("log").stdout
    assert "there is no tenant" in commands.fails("log", "--tenant", "nobody")
    assert newest["tenant_id"] == "acme" and "key" in newest["action"] + newest["detail"]
    assert len(commands.json("log", "--limit", "1")["log"]) == 1


def failed(index: int, reason: str) -> Attachment:
    return Attachment(index=index, type="image", status="failed", reason=reason)


def test_attachments_that_failed_or_wait_are_found_newest_first(commands: Commands) -> None:
    waiting = Attachment(index=0, type="audio", status="pending")
    store(
        commands,
        row("1", failed(0, "media_gone"), failed(1, "media_timeout"), received_at=NOW),
        row("2", failed(0, "media_gone"), received_at=NOW + timedelta(seconds=5)),
        row("3", waiting, tenant="other"),
    )
    found = commands.json("attachments", "list")["attachments"]
    assert [(one["message_key"][-1], one["index"], one["reason"]) for one in found] == [
        ("2", 0, "media_gone"),
        ("1", 0, "media_gone"),
        ("1", 1, "media_timeout"),
    ]
    of_one_reason = commands.json("attachments", "list", "--reason", "media_timeout")["attachments"]
    assert [one["index"] for one in of_one_reason] == [1]
    later = (NOW + timedelta(seconds=1)).isoformat()
    assert len(commands.json("attachments", "list", "--since", later)["attachments"]) == 1
    (pending,) = commands.json("attachments", "list", "--status", "pending")["attachments"]
    assert (pending["tenant_id"], pending["type"]) == ("other", "audio")
    assert "is not one of" in commands.fails("attachments", "list", "--reason", "nosuch")
    assert "there is no tenant" in commands.fails("attachments", "list", "--tenant", "nobody")


# why they wait


SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)


def noted(commands: Commands, *attempts: JobAttempt) -> None:
    async def written(_: Connection) -> None:
        notes = JobAttempts(commands.settings.postgres, commands.names, "test")
        await notes.start()
        for attempt in attempts:
            notes.note(attempt)
        await notes.write()
        await notes.stop()

    commands.database(written)


def rejected(number: str, index: int = 0, next_at: datetime | None = SOON) -> JobAttempt:
    place = JobPlace("acme", key_of(number), index, "describe")
    words = "model_rejected_key: 401 invalid_api_key"
    return JobAttempt(place, 0, 3, "model_rejected_key", words, NOW, NOW, next_at)


def stored_and_pending(index: int) -> Attachment:
    return Attachment(index=index, type="image", status="pending", url="/media/acme/x.jpg")


def test_what_waits_is_listed_and_traced_with_the_cause_and_the_next_try(
    commands: Commands,
) -> None:
    store(commands, row("1", stored_and_pending(0), stored_and_pending(1)))
    noted(commands, rejected("1"))
    first, second = commands.json("attachments", "list", "--status", "pending")["attachments"]
    assert (first["cause"], first["attempts"], first["stage"]) == (
        "model_rejected_key",
        3,
        "describe",
    )
    assert datetime.fromisoformat(first["next_at"]) == SOON
    assert second["cause"] is None
    text = commands.run("attachments", "list", "--status", "pending").stdout
    assert "model_rejected_key: 401 invalid_api_key; next try" in text
    jobs = commands.json("trace", key_of("1"))["jobs"]
    assert [(job["attachment_index"], job["attempts"], job["cause"]) for job in jobs] == [
        (0, 3, "model_rejected_key"),
        (1, 0, "model_rejected_key"),
    ]
    text = commands.run("trace", key_of("1")).stdout
    assert "waits   describe [0], tried 3 times since " in text
    assert "[1], not tried yet; jobs of its tenant are held: model_rejected_key: 401" in text


def test_what_failed_is_shown_with_what_was_said_last(commands: Commands) -> None:
    store(commands, row("1", failed(0, "model_rejected_key")))
    noted(commands, rejected("1", next_at=None))
    (found,) = commands.json("attachments", "list", "--reason", "model_rejected_key")["attachments"]
    assert (found["detail"], found["next_at"]) == ("model_rejected_key: 401 invalid_api_key", None)
    assert "image [0] failed: model_rejected_key" in commands.run("trace", key_of("1")).stdout
    assert "failed  describe [0], tried 3 times" in commands.run("trace", key_of("1")).stdout


def test_a_file_that_was_not_fetched_yet_waits_for_store_media(commands: Commands) -> None:
    store(commands, row("1", Attachment(index=0, type="audio", status="pending")))
    noted(commands, rejected("2"))
    (job,) = commands.json("trace", key_of("1"))["jobs"]
    assert (job["stage"], job["cause"]) == ("store_media", None)


def test_trace_says_that_a_finished_message_is_being_redone(commands: Commands) -> None:
    store(commands, row("1", failed(0, "media_gone")))
    store(commands, row("1", stored_and_pending(0), version=5001))
    found = commands.json("trace", key_of("1"))
    assert (found["message"]["status"], found["redoing_version"]) == ("degraded", 5001)
    assert "is being redone (generation 5)" in commands.run("trace", key_of("1")).stdout
    words = ("replay", "attachments", "--reason", "media_gone")
    assert commands.json(*words, "--dry-run")["messages"] == 0
    assert "1 are being redone already" in commands.run(*words).stderr


def test_what_a_model_of_this_machine_said_is_marked_in_trace_and_row(commands: Commands) -> None:
    for number, model in (("1", "stand-in"), ("2", "gpt-4o")):
        seen = Attachment(index=0, type="image", status="described", description="x", model=model)
        store(commands, row(number, seen))
    message = commands.json("trace", key_of("1"))["message"]
    assert message["content_attributes"]["attachments"][0]["model"] == "stand-in"
    text = commands.run("trace", key_of("1")).stdout
    assert "image [0] described by stand-in, a model of this machine" in text
    assert "image [0] described by gpt-4o\n" in commands.run("trace", key_of("2")).stdout
