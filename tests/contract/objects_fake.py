"""An object store in memory, for tests.

The tests of the real store run on it too, so it behaves in the same way.
"""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import BinaryIO

from storage.objects.store import CHUNK_BYTES, ObjectMissing, ObjectTooLarge, Stored


class ObjectsFake:
    """Has the methods of storage.objects.store.ObjectStore, on a dictionary."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[Stored, bytes]] = {}

    async def ensure_bucket(self) -> None:
        return None

    async def put_file(self, key: str, file: BinaryIO, size: int, mime: str) -> None:
        file.seek(0)
        await self.put_bytes(key, file.read(size), mime)

    async def put_bytes(self, key: str, data: bytes, mime: str) -> None:
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self._objects[key] = Stored(key, len(data), mime, etag, datetime.now(UTC)), data

    async def get(self, key: str, *, max_bytes: int) -> bytes:
        data = self._data(key)
        if len(data) > max_bytes:
            raise ObjectTooLarge(f"object over {max_bytes} bytes")
        return data

    async def stat(self, key: str) -> Stored | None:
        return self._objects[key][0] if key in self._objects else None

    async def stream(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        data = self._data(key)
        part = data[offset : offset + length] if length else data[offset:]
        for begin in range(0, len(part), CHUNK_BYTES):
            yield part[begin : begin + CHUNK_BYTES]

    async def list(self, prefix: str) -> AsyncIterator[Stored]:
        for key in sorted(self._objects):
            if key.startswith(prefix):
                yield self._objects[key][0]

    async def delete(self, key: str) -> None:
        self._objects.pop(key, None)

    async def close(self) -> None:
        return None

    def _data(self, key: str) -> bytes:
        if key not in self._objects:
            raise ObjectMissing
        return self._objects[key][1]
