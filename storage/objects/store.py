"""The object store: any server with the S3 protocol, through the minio client."""

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
    "NoSuchBucket": "the bucket does not exist: create it, or run sensorium doctor",
    "InvalidAccessKeyId": "the access key is unknown: SENSORIUM_OBJECTS__ACCESS_KEY",
    "SignatureDoesNotMatch": "the secret key is wrong: SENSORIUM_OBJECTS__SECRET_KEY",
    "AccessDenied": "the access key does not have the right to do this",
}


class ObjectMissing(StorageError):
    """There is no object with this key."""


class ObjectTooLarge(StorageError, ValueError):
    """The object is larger than the limit of the caller."""


class ObjectStoreMisconfigured(StorageError):
    """A setting is wrong. The message says which one and what to do."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The metadata of an object."""

    key: str
    bytes: int
    mime: str
    etag: str
    modified: datetime


class ObjectStore:
    """Runs the blocking calls of the client in a bounded number of threads.

    Network and server errors become Unavailable("object_store"). Nothing is retried
    here.
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
        """Creates the bucket if it does not exist."""

        def ensure() -> None:
            if not self._client.bucket_exists(bucket_name=self._bucket):
                self._client.make_bucket(bucket_name=self._bucket, location=self._region)

        await self._call(ensure)

    async def put_file(self, key: str, file: BinaryIO, size: int, mime: str) -> None:
        """Stores the first `size` bytes of an open file, whatever its position.

        The file stays open.
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
        """The whole object.

        Raises ObjectMissing, and ObjectTooLarge if it is larger than `max_bytes`.
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
        """Yields the bytes from `offset` in chunks, never all in memory."""
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
        """Yields every object under the prefix."""
        listing = iter(
            self._client.list_objects(bucket_name=self._bucket, prefix=prefix, recursive=True)
        )
        while (entry := await self._call(lambda: next(listing, None))) is not None:
            yield _stored(entry)

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


def _stored(entry: Any) -> Stored:
    return Stored(
        entry.object_name,
        entry.size or 0,
        entry.content_type or "application/octet-stream",
        (entry.etag or "").strip('"'),
        entry.last_modified,
    )
