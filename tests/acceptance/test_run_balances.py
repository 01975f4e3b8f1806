"""The audit of everything that the acceptance tests before it did."""

import asyncio
import json
from typing import Any

import pytest

from streams.local.samples import ycloud
from tests.pipeline import Pipeline, Tenant, wait_for
from tests.quick_commands import run_quickly

pytestmark = pytest.mark.last(1)


def audit(pipeline: Pipeline, *words: str) -> Any:
    audit = ["audit", "--json", "--stuck-seconds", "1", *words]
    done = run_quickly(audit, pipeline.environment(), 120)
    assert done.returncode in (0, 1), done.stderr
    document = json.loads(done.stdout)
    assert document["balanced"] == (done.returncode == 0)
    return document


async def test_after_all_kills_and_replays_everything_balances(
    pipeline: Pipeline, connection: Any
) -> None:
    """Audits what the tests before sent, and one message and its duplicate.

    With these it also means something when it runs alone.
    """
    tenant = Tenant(pipeline, "audited")
    sample = ycloud("hola", None, what="text")
    assert [tenant.post(sample) for _ in range(2)] == [200, 200]

    async def there() -> bool:
        return bool(await tenant.rows(connection))

    await wait_for(there, "its row")
    seen: list[Any] = []

    async def balanced() -> bool:
        seen[:] = [await asyncio.to_thread(audit, pipeline)]
        return bool(seen[0]["balanced"])

    try:
        await wait_for(balanced, "a balanced audit")
    except AssertionError:
        raise AssertionError(json.dumps(seen[0]["findings"][:20], indent=1)) from None
    totals = seen[0]["totals"]
    assert totals["forwarded"] and totals["duplicate"]
    assert totals["received"] + totals["redone"] == sum(
        totals[outcome] for outcome in ("forwarded", "duplicate", "skipped", "quarantined")
    )


async def test_a_row_that_is_dropped_is_missed(pipeline: Pipeline, connection: Any) -> None:
    dropped = await connection.fetchval(
        "DELETE FROM chat_messages WHERE message_key = (SELECT min(message_key) FROM chat_messages) RETURNING message_key"
    )
    assert dropped is not None
    document = await asyncio.to_thread(audit, pipeline)
    assert [(one["kind"], one["stage"], one["message_key"]) for one in document["findings"]] == [
        ("lost", "sink", dropped)
    ]
