"""`usage`, `log` and `attachments list` on real tables."""

from datetime import date, timedelta
from typing import Any

from schemas.records import Attachment
from tests.integration.commands import Commands
from tests.integration.console import row
from tests.integration.databases import Connection
from tests.integration.test_commands_and_servers import store
from tests.unit.records import NOW


def used(commands: Commands, *rows: tuple[Any, ...]) -> None:
    async def written(connection: Connection) -> None:
        await connection.executemany(
            "INSERT INTO ai_usage VALUES ($1, $2, $3, $4, 1, 10, 5, $5)", rows
        )

    commands.database(written)


def test_usage_sums_by_day_or_model_and_an_unknown_price_is_no_zero(commands: Commands) -> None:
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
