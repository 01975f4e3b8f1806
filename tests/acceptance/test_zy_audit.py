"""Last but one: what all acceptance tests did, held against each other."""

import asyncio
import json
import subprocess
import sys
from typing import Any

from tests.pipeline import Pipeline, wait_for


def audit(pipeline: Pipeline, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "streams.commands.main", "audit", "--json", "--stuck-seconds", "1", *words],
        env=pipeline.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, 1), done.stderr
    document = json.loads(done.stdout)
    assert document["balanced"] == (done.returncode == 0)
    return document


async def test_after_all_kills_and_replays_everything_balances(pipeline: Pipeline) -> None:
    seen: list[Any] = []

    async def balanced() -> bool:
        seen[:] = [await asyncio.to_thread(audit, pipeline)]
        return bool(seen[0]["balanced"])

    try:
        await wait_for(balanced, "a balanced audit", 30)
    except AssertionError:
        raise AssertionError(json.dumps(seen[0]["findings"][:20], indent=1)) from None
    totals = seen[0]["totals"]
    assert totals["received"] + totals["redone"] == sum(totals[outcome] for outcome in ("forwarded", "duplicate", "skipped", "quarantined"))


async def test_a_row_that_is_dropped_is_missed(pipeline: Pipeline, connection: Any) -> None:
    dropped = await connection.fetchval(
        "DELETE FROM chat_messages WHERE message_key = (SELECT min(message_key) FROM chat_messages) RETURNING message_key"
    )
    document = await asyncio.to_thread(audit, pipeline)
    assert [(one["kind"], one["stage"], one["message_key"]) for one in document["findings"]] == [("lost", "sink", dropped)]
