"""The batch that is prepared while another one is written."""

import asyncio
import threading

import pytest

from connectors.postgres.ahead import PreparedAhead
from tests.integration.waiting import until


class Counted:
    """A call that counts its runs and notes its thread."""

    def __init__(self) -> None:
        self.runs = 0
        self.thread: threading.Thread | None = None

    def __call__(self) -> str:
        self.runs += 1
        self.thread = threading.current_thread()
        return "prepared"


async def test_a_batch_is_prepared_once_however_often_that_is_asked_for() -> None:
    call = Counted()
    ahead = PreparedAhead(call)
    assert call.runs == 0
    ahead.start()
    await until(lambda: call.runs == 1)
    ahead.start()
    assert [await ahead.result(), await ahead.result()] == ["prepared", "prepared"]
    assert call.runs == 1 and call.thread is not threading.current_thread()


async def test_a_batch_that_nobody_asked_for_early_is_prepared_when_it_is_needed() -> None:
    assert await PreparedAhead(Counted()).result() == "prepared"


async def test_an_error_of_the_preparation_comes_with_the_result_and_not_before() -> None:
    def fail() -> None:
        raise ValueError("no batch")

    ahead = PreparedAhead(fail)
    ahead.start()
    await asyncio.sleep(0)
    with pytest.raises(ValueError, match="no batch"):
        await ahead.result()
