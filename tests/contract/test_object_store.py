import hashlib
import inspect
import tempfile
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from schemas.keys import MessageKey, TenantId
from schemas.outcomes import Unavailable
from schemas.settings import Objects, Secret, Settings
from storage.objects.keys import object_key, public_path
from storage.objects.store import (
    CHUNK_BYTES,
    ObjectMissing,
    ObjectStore,
    ObjectStoreMisconfigured,
    ObjectTooLarge,
)
from tests.contract.objects_fake import ObjectsFake

Store = ObjectStore | ObjectsFake
KEY = "media/acme/one.ogg"


@pytest.fixture(params=["fake", "real"])
async def store(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Store]:
    opened: Store
    if request.param == "fake":
        opened = ObjectsFake()
    else:
        stack: Settings = request.getfixturevalue("stack")
        opened = ObjectStore(msgspec.structs.replace(stack.objects, bucket=f"bucket-{namespace}"))
    await opened.ensure_bucket()
    yield opened
    async for one in opened.list(""):
        await opened.delete(one.key)
    await opened.close()


async def streamed(store: Store, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.stream(key, offset=offset, length=length)])


async def keys(store: Store, prefix: str) -> list[str]:
    return sorted([one.key async for one in store.list(prefix)])


def test_the_fake_has_the_methods_of_the_store_and_their_parameters() -> None:
    def shape(of: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(of, inspect.isfunction)
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in methods
            if not name.startswith("_")
        }

    assert shape(ObjectsFake) == shape(ObjectStore)


async def test_what_was_put_is_got(store: Store) -> None:
    await store.put_bytes(KEY, b"hello", "audio/ogg")
    assert await store.get(KEY, max_bytes=5) == b"hello"


async def test_an_empty_object_is_an_object(store: Store) -> None:
    await store.put_bytes(KEY, b"", "text/plain")
    assert await store.get(KEY, max_bytes=0) == b""


@pytest.mark.parametrize("size", [1, 25_600, 6_000_000])
async def test_an_open_file_is_put_from_its_beginning_and_described_without_its_bytes(
    size: int, store: Store
) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    with tempfile.TemporaryFile() as file:
        file.write(data)
        for _ in range(2):  # a second time, as after a failure, from wherever the file stands
            await store.put_file(KEY, file, len(data), "audio/ogg")
        assert not file.closed
    found = await store.stat(KEY)
    assert found is not None
    assert (found.key, found.bytes, found.mime) == (KEY, len(data), "audio/ogg")
    if size < 5_000_000:  # a larger object is put in parts, and its tag is not that of its bytes
        assert found.etag == hashlib.md5(data).hexdigest()
    assert abs(datetime.now(UTC) - found.modified) < timedelta(minutes=1)
    assert await store.get(KEY, max_bytes=len(data)) == data


async def test_the_same_object_put_again_is_the_same_object(store: Store) -> None:
    await store.put_bytes(KEY, b"hello", "audio/ogg")
    first = await store.stat(KEY)
    await store.put_bytes(KEY, b"hello", "audio/ogg")
    again = await store.stat(KEY)
    assert first is not None and again is not None
    assert (first.etag, await keys(store, "")) == (again.etag, [KEY])


async def test_an_object_larger_than_is_wanted_is_an_error(store: Store) -> None:
    await store.put_bytes(KEY, b"hello", "audio/ogg")
    with pytest.raises(ObjectTooLarge, match="object over 4 bytes"):
        await store.get(KEY, max_bytes=4)


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, None), (10, 100), (0, 1), (CHUNK_BYTES - 1, 2), (CHUNK_BYTES * 2, None), (5, 10_000_000)],
)
async def test_a_range_is_streamed_in_pieces(offset: int, length: int | None, store: Store) -> None:
    data = bytes(range(251)) * (CHUNK_BYTES * 2 // 251 + 40)
    await store.put_bytes(KEY, data, "audio/ogg")
    assert (
        await streamed(store, KEY, offset=offset, length=length)
        == data[offset : None if length is None else offset + length]
    )
    assert all([len(piece) <= CHUNK_BYTES async for piece in store.stream(KEY)])


async def test_a_stream_that_is_left_early_leaves_a_store_that_works(store: Store) -> None:
    await store.put_bytes(KEY, bytes(CHUNK_BYTES * 3), "audio/ogg")
    for _ in range(20):
        stream = store.stream(KEY)
        assert len(await anext(stream)) == CHUNK_BYTES
        await stream.aclose()  # type: ignore[attr-defined]
    assert len(await store.get(KEY, max_bytes=CHUNK_BYTES * 3)) == CHUNK_BYTES * 3


async def test_all_under_a_prefix_are_listed_and_nothing_else(store: Store) -> None:
    for key in ("media/acme/1.jpg", "media/acme/2.jpg", "media/acme-2/3.jpg", "other/4.jpg"):
        await store.put_bytes(key, b"x", "image/jpeg")
    assert await keys(store, "media/acme/") == ["media/acme/1.jpg", "media/acme/2.jpg"]
    assert await keys(store, "nothing/") == []
    assert [one.bytes async for one in store.list("other/")] == [1]


async def test_a_deleted_object_is_missing_and_can_be_deleted_again(store: Store) -> None:
    await store.put_bytes(KEY, b"hello", "audio/ogg")
    await store.delete(KEY)
    await store.delete(KEY)
    assert await store.stat(KEY) is None


async def test_a_missing_object_is_missing(store: Store) -> None:
    assert await store.stat(KEY) is None
    with pytest.raises(ObjectMissing):
        await store.get(KEY, max_bytes=1)
    with pytest.raises(ObjectMissing):
        await streamed(store, KEY)


async def test_a_bucket_is_ensured_again_without_harm(store: Store) -> None:
    await store.put_bytes(KEY, b"hello", "audio/ogg")
    await store.ensure_bucket()
    assert await store.get(KEY, max_bytes=5) == b"hello"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"access_key": "nobody"}, "SENSORIUM_OBJECTS__ACCESS_KEY"),
        ({"secret_key": Secret("wrong")}, "SENSORIUM_OBJECTS__SECRET_KEY"),
        ({"bucket": "never-made"}, "bucket does not exist"),
    ],
)
async def test_wrong_settings_are_said_to_be_wrong_and_by_their_name(
    wrong: dict[str, str], named: str, stack: Settings, namespace: str
) -> None:
    right = msgspec.structs.replace(stack.objects, bucket=f"bucket-{namespace}")
    store = ObjectStore(right)
    await store.ensure_bucket()
    mistaken = ObjectStore(msgspec.structs.replace(right, **wrong))
    try:
        for trouble in (mistaken.put_bytes(KEY, b"x", "a/b"), mistaken.get(KEY, max_bytes=1)):
            with pytest.raises(ObjectStoreMisconfigured, match=named):
                await trouble
    finally:
        await store.close()
        await mistaken.close()


async def test_a_store_that_is_away_is_the_worlds_trouble() -> None:
    away = ObjectStore(
        Objects(endpoint="http://127.0.0.1:9", access_key="a", secret_key=Secret("b"))
    )
    try:
        with pytest.raises(Unavailable) as caught:
            await away.get(KEY, max_bytes=1)
    finally:
        await away.close()
    assert caught.value.what == "object_store"


PLACE = (TenantId("acme"), MessageKey("acme:ycloud:wamid.1"), 0, "ab" * 32)


def test_the_same_bytes_of_the_same_attachment_are_at_the_same_place() -> None:
    key = object_key("blue/", *PLACE, "jpg")
    assert key == object_key("blue/", *PLACE, "jpg")
    prefix, _, name = key.rpartition("/")
    assert (prefix, uuid.UUID(name.removesuffix(".jpg")).version) == ("blue/media/acme", 5)
    assert public_path("blue/", key) == f"/media/acme/{name}"


@pytest.mark.parametrize(
    "other",
    [
        (TenantId("acme"), MessageKey("acme:ycloud:wamid.2"), 0, "ab" * 32),
        (TenantId("acme"), MessageKey("acme:ycloud:wamid.1"), 1, "ab" * 32),
        (TenantId("acme"), MessageKey("acme:ycloud:wamid.1"), 0, "cd" * 32),
    ],
)
def test_another_message_attachment_or_content_is_elsewhere(
    other: tuple[TenantId, MessageKey, int, str],
) -> None:
    assert object_key("", *other, "jpg") != object_key("", *PLACE, "jpg")
