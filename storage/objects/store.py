"""The object store: any server that speaks S3, through the minio client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from schemas.outcomes import Unavailable
from schemas.settings import Objects
from storage.errors import StorageError

T = TypeVar("T")
CHUNK_BYTES = 256 * 1024
_MISSING = frozenset({"NoSuchKey", "NoSuchObject", "NotFound"})
_MISCONFIGURED = {
    "NoSuchBucket": "the bucket does not exist: sensorium doctor, or make it",
    "InvalidAccessKeyId": "the access key is unknown: SENSORIUM_OBJECTS__ACCESS_KEY",
    "SignatureDoesNotMatch": "the secret key is wrong: SENSORIUM_OBJECTS__SECRET_KEY",
    "AccessDenied": "this access key may not do that",
}


class ObjectMissing(StorageError):
    """No object stands under the key."""


class ObjectTooLarge(StorageError, ValueError):
    """The object is larger than the reader takes."""


class ObjectStoreMisconfigured(StorageError):
    """The settings are wrong, not the world. The text says which."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object without its bytes."""

    key: str
    bytes: int
    mime: str
    etag: str
    modified: datetime


class ObjectStore:
    """Blocking calls of the client in a bounded set of threads.

    Trouble of the world is Unavailable("object_store"); nothing is retried here.
    """

    def __init__(self, settings: Objects, *, threads: int = 16) -> None:
        address = urlsplit(settings.endpoint)
        self._bucket = settings.bucket
        self._region = settings.region
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="objects")
        timeouts = urllib3.Timeout(connect=5, read=30)
        self._client = Minio(
            endpoint=address.netloc,
            access_key=settings.access_key,
            secret_key=str(settings.secret_key),
            secure=address.scheme == "https",
            region=settings.region,
            http_client=urllib3.PoolManager(
                maxsize=threads, timeout=timeouts, retries=urllib3.Retry(total=0)
            ),
        )

    async def ensure_bucket(self) -> None:
        """Makes the bucket if it is not there."""

        def ensure() -> None:
            if not self._client.bucket_exists(bucket_name=self._bucket):
                self._client.make_bucket(bucket_name=self._bucket, location=self._region)

        await self._call(ensure)

    async def put_file(self, key: str, file: BinaryIO, size: int, mime: str) -> None:
        """Puts the first `size` bytes of an open file,
        which stays open; where it stands does not matter.
        """

        def put() -> None:
            file.seek(0)
            self._client.put_object(
                bucket_name=self._bucket,
                object_name=key,
                data=file,
                length=size,
                content_type=mime,
            )

        await self._call(put)

    async def put_bytes(self, key: str, data: bytes, mime: str) -> None:
        await self._call(
            lambda: self._client.put_object(
                bucket_name=self._bucket,
                object_name=key,
                data=BytesIO(data),
                length=len(data),
                content_type=mime,
            )
        )

    async def get(self, key: str, *, max_bytes: int) -> bytes:
        """All of it. Raises ObjectMissing, and
        ObjectTooLarge for one larger than `max_bytes`.
        """

        def read() -> bytes:
            answer = self._client.get_object(bucket_name=self._bucket, object_name=key)
            try:
                data = bytes(answer.read(max_bytes + 1))
            finally:
                answer.close()
                answer.release_conn()
            if len(data) > max_bytes:
                raise ObjectTooLarge(f"object over {max_bytes} bytes")
            return data

        return await self._call(read)

    async def stat(self, key: str) -> Stored | None:
        try:
            return _stored(
                await self._call(
                    lambda: self._client.stat_object(bucket_name=self._bucket, object_name=key)
                )
            )
        except ObjectMissing:
            return None

    async def stream(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes from `offset` on, in pieces, never all at once in memory."""
        answer = await self._call(
            lambda: self._client.get_object(
                bucket_name=self._bucket, object_name=key, offset=offset, length=length or 0
            )
        )
        try:
            while chunk := await self._call(lambda: bytes(answer.read(CHUNK_BYTES))):
                yield chunk
        finally:
            answer.close()
            answer.release_conn()

    async def list(self, prefix: str) -> AsyncIterator[Stored]:
        """Every object under the prefix."""
        listing = iter(
            self._client.list_objects(bucket_name=self._bucket, prefix=prefix, recursive=True)
        )
        while (one := await self._call(lambda: next(listing, None))) is not None:
            yield _stored(one)

    async def delete(self, key: str) -> None:
        await self._call(
            lambda: self._client.remove_object(bucket_name=self._bucket, object_name=key)
        )

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except S3Error as error:
            if error.code in _MISSING:
                raise ObjectMissing from None
            if error.code in _MISCONFIGURED:
                raise ObjectStoreMisconfigured(_MISCONFIGURED[error.code]) from error
            raise Unavailable("object_store", 2.0, detail=error.code or "") from error
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable("object_store", 2.0, detail=type(error).__name__) from error


def _stored(found: Any) -> Stored:
    return Stored(
        found.object_name,
        found.size or 0,
        found.content_type or "application/octet-stream",
        (found.etag or "").strip('"'),
        found.last_modified,
    )
