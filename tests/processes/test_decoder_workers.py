"""Hostile bytes cost only their own item, and no worker outlives its parent."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest

from connectors.media import workers
from connectors.media.preparation import Decoder, NotPrepared, PreparationLimits, PreparedImage
from schemas.outcomes import Unavailable
from tests.processes.media_files import bomb, media


def pids(decoder: Decoder) -> list[int]:
    return [worker.process.pid for worker in decoder.workers.alive]


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.001)


def acting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers whose children, isolated as usual, do what the bytes say instead of decoding."""
    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-P", "-c", ACTING))


ACTING = """
import os, signal, time
from connectors.media import decoding
from connectors.media.frames import NotPrepared

def act(request):
    word = request.data.decode()
    if word == "hang":
        time.sleep(60)
    elif word == "burn":
        while True:
            pass
    elif word == "eat":
        bytearray(3 << 30)
    elif word == "crash":
        os.abort()
    elif word == "talk":
        return NotPrepared("image_undecodable", "x" * (65 << 20))
    elif word == "lie":
        return NotPrepared("no such reason", word)
    return NotPrepared("image_undecodable", word)

decoding._WORK = {"image": act, "audio": act, "probe": act}
decoding.main()
"""


async def test_the_worker_lives_on_after_hostile_bytes(decoder: Decoder) -> None:
    await decoder.prepare_image(b"not a picture", "acme")
    before = pids(decoder)
    await decoder.prepare_image(bomb(9_000), "acme")
    await decoder.prepare_audio(b"not a sound", "acme")
    assert pids(decoder) == before


async def test_a_worker_that_is_killed_costs_nobody_an_item(decoder: Decoder) -> None:
    await decoder.prepare_image(media("cat.jpg"), "acme")
    (pid,) = pids(decoder)

    async def load() -> bytes:
        if pid in pids(decoder):
            os.kill(pid, signal.SIGKILL)
        return media("cat.jpg")

    assert isinstance(await decoder.prepare_image(load, "acme"), PreparedImage)
    assert pid not in pids(decoder)


async def test_a_worker_that_dies_idle_is_replaced(decoder: Decoder) -> None:
    await decoder.prepare_image(media("cat.jpg"), "acme")
    worker = next(iter(decoder.workers.alive))
    os.kill(worker.process.pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        await worker.process.wait()
    assert isinstance(await decoder.prepare_image(media("cat.jpg"), "acme"), PreparedImage)
    assert worker.process.pid not in pids(decoder)


@pytest.mark.parametrize(
    ("word", "detail"),
    [
        (b"burn", "took too long"),
        (b"eat", "out of memory"),
        (b"crash", "the decoder died"),
        (b"talk", "the decoder was stopped"),
        (b"lie", "Invalid enum value 'no such reason' - at `$.reason`"),
    ],
)
async def test_hostile_bytes_cost_their_item_and_the_worker_lives_on(
    word: bytes, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting(monkeypatch)
    async with Decoder(workers=1, image_limits=PreparationLimits(1, 60)) as decoder:
        await decoder.prepare_image(b"nothing", "acme")
        before = pids(decoder)
        assert await decoder.prepare_image(word, "zoo") == NotPrepared("image_undecodable", detail)
        assert await decoder.prepare_image(b"next", "acme") == NotPrepared(
            "image_undecodable", "next"
        )
        assert pids(decoder) == before


async def test_an_item_that_waits_for_something_is_tried_twice_and_its_worker_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acting(monkeypatch)
    loads = []

    async def load() -> bytes:
        loads.append(1)
        return b"hang"

    async with Decoder(workers=1, image_limits=PreparationLimits(20, 0.2)) as impatient:
        assert await impatient.prepare_image(load, "acme") == NotPrepared(
            "image_undecodable", "took too long"
        )
        assert (len(loads), pids(impatient)) == (2, [])


async def test_a_decode_that_was_slow_because_the_machine_was_busy_is_tried_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acting(monkeypatch)
    words = [b"hang", b"fine"]

    async def load() -> bytes:
        return words.pop(0)

    async with Decoder(workers=1, image_limits=PreparationLimits(20, 2.0)) as decoder:
        assert await decoder.prepare_image(load, "acme") == NotPrepared("image_undecodable", "fine")


async def test_a_caller_that_gives_up_leaves_a_decoder_that_works(decoder: Decoder) -> None:
    await decoder.prepare_image(media("cat.jpg"), "acme")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(decoder.prepare_image(media("astronaut.heic"), "acme"), 0.001)
    assert isinstance(await decoder.prepare_image(media("cat.jpg"), "acme"), PreparedImage)


async def test_more_items_than_workers_are_all_prepared() -> None:
    async with Decoder(workers=2) as two:
        asked = [two.prepare_image(media("cat.jpg"), f"tenant-{n}") for n in range(6)]
        shown = await asyncio.gather(*asked)
        assert all(isinstance(one, PreparedImage) for one in shown)
        assert 1 <= len(pids(two)) <= 2


async def test_a_file_is_loaded_only_when_a_worker_is_free() -> None:
    go, loaded = asyncio.Event(), []

    async def load(number: int) -> bytes:
        loaded.append(number)
        await go.wait()
        return media("cat.jpg")

    async with Decoder(workers=2) as two:
        asked = [
            asyncio.create_task(two.prepare_image(partial(load, n), f"tenant-{n}"))
            for n in range(5)
        ]
        await until(lambda: len(loaded) == 2)
        go.set()
        shown = await asyncio.gather(*asked)
        assert all(isinstance(one, PreparedImage) for one in shown)
        assert sorted(loaded) == [0, 1, 2, 3, 4]


async def test_trouble_while_loading_is_the_callers_and_leaves_the_worker(
    decoder: Decoder,
) -> None:
    async def load() -> bytes:
        raise Unavailable("object_store", retry_after=1.0)

    await decoder.prepare_image(media("cat.jpg"), "acme")
    before = pids(decoder)
    with pytest.raises(Unavailable, match="object_store"):
        await decoder.prepare_image(load, "acme")
    assert isinstance(await decoder.prepare_image(media("cat.jpg"), "acme"), PreparedImage)
    assert pids(decoder) == before


async def test_any_number_of_owners_with_hanging_files_leave_a_worker_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acting(monkeypatch)
    async with Decoder(workers=2, image_limits=PreparationLimits(20, 60), soft_seconds=0.1) as two:
        hanging = [asyncio.create_task(two.prepare_image(b"hang", f"zoo-{n}")) for n in range(4)]
        async with asyncio.timeout(50):
            for _ in range(3):
                assert await two.prepare_image(b"ours", "acme") == NotPrepared(
                    "image_undecodable", "ours"
                )
        assert not any(task.done() for task in hanging)
        for task in hanging:
            task.cancel()
        await asyncio.wait(hanging)


async def test_a_machine_that_can_start_no_process_says_nothing_of_the_item(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(asyncio, "create_subprocess_exec", Mock(side_effect=BlockingIOError))
        with pytest.raises(Unavailable, match="decoder"):
            await decoder.prepare_image(media("cat.jpg"), "acme")
    assert isinstance(await decoder.prepare_image(media("cat.jpg"), "acme"), PreparedImage)


async def test_a_worker_that_does_not_come_up_says_nothing_of_the_item(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(workers, "COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
        with pytest.raises(Unavailable, match="decoder"):
            await decoder.prepare_image(media("cat.jpg"), "acme")
    assert isinstance(await decoder.prepare_image(media("cat.jpg"), "acme"), PreparedImage)


PARENT = """
import asyncio, sys
from connectors.media import workers
from connectors.media.preparation import Decoder

workers.COMMAND = (sys.executable, "-P", "-c", sys.argv[1])

async def main():
    decoder = Decoder(workers=1)
    await decoder.prepare_image(b"nothing", "acme")
    print([worker.process.pid for worker in decoder.workers.alive][0], flush=True)
    await decoder.prepare_image(b"hang", "acme")

if sys.argv[2] == "uvloop":
    import uvloop
    uvloop.run(main())
asyncio.run(main())
"""


def states(group: int) -> list[str]:
    """The states of the processes of a group. A dead one may wait to be reaped."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if its_group == str(group):
                found.append(state)
    return found


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_no_worker_outlives_a_parent_that_is_killed(loop: str) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", PARENT, ACTING, loop),
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert parent.stdout is not None
    worker = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()

    def gone() -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker, 0)
            return all(state == "Z" for state in states(worker))
        return True

    await until(gone)


async def test_no_worker_outlives_its_decoder() -> None:
    async with Decoder(workers=1) as opened:
        await opened.prepare_image(media("cat.jpg"), "acme")
        (pid,) = pids(opened)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
