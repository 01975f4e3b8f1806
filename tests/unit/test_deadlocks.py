"""A command that deletes while sinks write continues after a deadlock."""

import asyncpg
import pytest

from storage.postgres.lock_order import MOST_DEADLOCKS, despite_deadlocks


@pytest.mark.parametrize("times", [0, 1, MOST_DEADLOCKS])
async def test_what_was_ended_by_a_deadlock_is_done_again(times: int) -> None:
    tries = 0

    async def work() -> int:
        nonlocal tries
        tries += 1
        if tries <= times:
            raise asyncpg.DeadlockDetectedError
        return tries

    assert await despite_deadlocks(work) == times + 1


async def test_deadlocks_without_end_are_an_error() -> None:
    async def work() -> None:
        raise asyncpg.DeadlockDetectedError

    with pytest.raises(asyncpg.DeadlockDetectedError):
        await despite_deadlocks(work)
