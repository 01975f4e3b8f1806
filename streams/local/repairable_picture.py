"""The demo's picture that fails at first, so that a person can try a repair.

A page stands in its place until the demo has shown that it failed. It has to be there
after the demo has ended, so the local object store serves it, by a signed link.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import Minio

from schemas.settings import Objects
from streams.local.samples import BAD_FILES, mime_of

LINK_DAYS = 7
"""The longest validity of a signed link in S3."""
_SECONDS = 10.0


@contextmanager
def repairable_picture(objects: Objects, photo: Path, name: str) -> Iterator[str]:
    """Yields a link to a page. After the block the same link leads to the photo.

    The bucket is one of the demo's own. Raises what the store's client raises.
    """
    address = urlsplit(objects.endpoint)
    store = Minio(
        endpoint=address.netloc,
        access_key=objects.access_key,
        secret_key=str(objects.secret_key),
        secure=address.scheme == "https",
        region=objects.region,
        http_client=urllib3.PoolManager(timeout=_SECONDS, retries=urllib3.Retry(total=0)),
    )
    bucket = f"{objects.bucket}-demo"
    if not store.bucket_exists(bucket):
        store.make_bucket(bucket)
    _, page_mime, page = BAD_FILES["page"]
    store.put_object(bucket, name, BytesIO(page), len(page), page_mime)
    try:
        yield store.presigned_get_object(bucket, name, expires=timedelta(days=LINK_DAYS))
    finally:
        data = photo.read_bytes()
        store.put_object(bucket, name, BytesIO(data), len(data), mime_of(photo))
