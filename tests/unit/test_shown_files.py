"""Small pictures and playable sounds are made once, kept within a bound, or left out."""

import asyncio
from datetime import UTC, datetime

import pytest

from connectors.console.pages import shown_files
from connectors.console.pages.shown_files import MOST_SOURCE_BYTES, ShownFiles
from connectors.media.frames import NotPrepared, PreparedImage
from schemas.outcomes import Unavailable
from storage.objects.store import ObjectMissing, Stored


class FakeDecoder:
    """Answers with a picture of as many bytes as it loads, once the test allows it."""

    def __init__(self, workers: int) -> None:
        self.made, self.ended = 0, False
        self.may = asyncio.Event()
        self.may.set()
        made.append(self)

    async def prepare_image(self, load, owner, **limits):  # type: ignore[no-untyped-def]
        self.made += 1
        await self.may.wait()
        data = await load()
        if data == b"broken":
            return NotPrepared("image_undecodable")
        return PreparedImage(data, "image/jpeg", 1, 1, False)

    async def __aexit__(self, *of: object) -> None:
        self.ended = True


made: list[FakeDecoder] = []


@pytest.fixture(autouse=True)
def decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    made.clear()
    monkeypatch.setattr(shown_files, "Decoder", FakeDecoder)


def stored(key: str = "a", size: int = 10) -> Stored:
    return Stored(key, size, "image/png", "tag", datetime.now(UTC))


def of(data: bytes):  # type: ignore[no-untyped-def]
    async def load() -> bytes:
        return data

    return load


async def test_what_several_people_look_at_is_made_once() -> None:
    shown = ShownFiles()
    first = await shown.get("acme", stored(), "picture", of(b"1"))
    again = await asyncio.gather(
        *(shown.get("acme", stored(), "picture", of(b"1")) for _ in range(3))
    )
    others = await asyncio.gather(
        *(shown.get("acme", stored("b"), "picture", of(b"2")) for _ in range(3))
    )
    assert {*again} == {first} and len({*others}) == 1
    assert (len(made), made[0].made) == (1, 2)


async def test_what_is_kept_has_a_bound_and_the_oldest_goes() -> None:
    shown = ShownFiles(kept_bytes=100)
    for key in ("a", "b", "c", "d", "e", "a"):
        await shown.get("acme", stored(key), "picture", of(b"x" * 25))
    assert made[0].made == 6  # `a` had gone
    await shown.get("acme", stored("e"), "picture", of(b""))
    assert made[0].made == 6


async def test_a_large_form_is_shown_and_not_kept() -> None:
    shown = ShownFiles(kept_bytes=100)
    for _ in range(2):
        assert await shown.get("acme", stored(), "picture", of(b"x" * 26)) is not None
    assert made[0].made == 2


async def test_a_file_that_cannot_be_made_fit_is_left_as_it_is() -> None:
    async def gone() -> bytes:
        raise ObjectMissing

    async def away() -> bytes:
        raise Unavailable("object_store")

    shown = ShownFiles()
    for load in (of(b"broken"), gone, away):
        assert await shown.get("acme", stored(), "picture", load) is None
    assert await shown.get("acme", stored(size=MOST_SOURCE_BYTES + 1), "picture", of(b"1")) is None
    assert made[0].made == 3
    assert await shown.get("acme", stored(), "picture", of(b"1")) is not None


async def test_one_that_takes_too_long_is_there_for_the_next_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shown_files, "WAIT_SECONDS", 0.01)
    shown = ShownFiles()
    await shown.get("acme", stored("other"), "picture", of(b"0"))
    made[0].may.clear()
    assert await shown.get("acme", stored(), "picture", of(b"1")) is None
    made[0].may.set()
    while not (found := await shown.get("acme", stored(), "picture", of(b"never"))):
        await asyncio.sleep(0)
    assert found.data == b"1"


async def test_the_end_stops_what_is_being_made_and_the_decoder() -> None:
    shown = ShownFiles()
    await shown.get("acme", stored("other"), "picture", of(b"0"))
    made[0].may.clear()
    waits = asyncio.create_task(shown.get("acme", stored(), "picture", of(b"1")))
    await asyncio.sleep(0.01)
    await shown.close()
    assert (await waits, made[0].ended) == (None, True)
