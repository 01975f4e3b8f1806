"""The limit of a replay of files counts the messages that are tried, not those left out."""

import json
from datetime import timedelta

import pytest

from schemas.records import Attachment
from storage.postgres import repairs
from tests.integration.commands import Commands, store
from tests.integration.console import key_of, row
from tests.integration.databases import Connection
from tests.integration.replays import failed, opened_messages
from tests.unit.records import NOW

KEPT = {"url": "/media/acme/a.jpg", "sha256": "a" * 64, "mime_type": "image/jpeg", "bytes": 3}


def tried_before(commands: Commands, identifier: str, reason: str) -> None:
    """Notes that the message was tried as often as it may be."""

    async def noted(connection: Connection) -> None:
        await connection.execute(
            "INSERT INTO repair_tries VALUES ('acme', $1, $2, $3)",
            key_of(identifier),
            reason,
            repairs.MOST_TRIES,
        )

    commands.database(noted)


@pytest.mark.parametrize(
    ("most_rare", "whose"),
    [(0, ()), (0, ("--tenant", "acme")), (2_000, ()), (2_000, ("--tenant", "acme"))],
    ids=["frequent", "frequent at a tenant", "rare", "rare at a tenant"],
)
@pytest.mark.parametrize(
    ("reason", "left_out", "fine", "remark"),
    [
        (
            "media_gone",
            failed(0, "media_gone"),
            failed(0, "media_gone", **KEPT),
            "3 cannot be retried",
        ),
        (
            "media_timeout",
            failed(0, "media_timeout", original_url=None),
            failed(0, "media_timeout"),
            "3 have neither a file nor a URL",
        ),
        (
            "media_timeout",
            None,
            failed(0, "media_timeout"),
            "3 were tried three times and are set aside",
        ),
    ],
    ids=["gone", "without an address", "set aside"],
)
def test_messages_that_are_left_out_take_no_place_within_the_limit(
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    most_rare: int,
    whose: tuple[str, ...],
    reason: str,
    left_out: Attachment | None,
    fine: Attachment,
    remark: str,
) -> None:
    monkeypatch.setattr(repairs, "MOST_RARE", most_rare)
    commands.json("tenants", "add", "acme")
    other = left_out or fine
    store(
        commands,
        *(
            row(str(number), file, received_at=NOW + timedelta(seconds=number))
            for number, file in enumerate((other, other, fine, other, fine, fine))
        ),
    )
    if left_out is None:
        for identifier in ("0", "1", "3"):
            tried_before(commands, identifier, reason)
    words = ("replay", "attachments", "--reason", reason, *whose)
    plan = commands.json(*words, "--limit", "2", "--dry-run")
    assert (plan["messages"], plan["attachments"]) == (2, 2)
    result = commands.run(*words, "--limit", "2", "--json")
    assert json.loads(result.stdout)["messages"] == 2
    assert remark in result.stderr and "there may be more than 2" in result.stderr
    keys = sorted(message.message_key for message in opened_messages(commands))
    assert keys == [key_of("2"), key_of("4")]
    whole = commands.run(*words, "--limit", "9", "--json")
    assert json.loads(whole.stdout)["messages"] == 3
    assert remark in whole.stderr and "there may be more" not in whole.stderr
