"""The demo's picture that fails at first: one link leads to a page, and later to a photograph."""

from pathlib import Path
from urllib.request import urlopen

import msgspec.structs

from schemas.settings import Settings
from streams.local.repairable_picture import repairable_picture
from streams.local.samples import MEDIA_DIR


def fetched(link: str) -> tuple[str, bytes]:
    with urlopen(link, timeout=30) as answer:
        return answer.headers["content-type"], answer.read()


def test_a_link_that_leads_to_a_page_leads_to_the_photo_afterwards(
    stack: Settings, namespace: str
) -> None:
    photo: Path = MEDIA_DIR / "cat.jpg"
    objects = msgspec.structs.replace(stack.objects, bucket=namespace)
    for _ in range(2):  # a second demo fails and is fixed like the first one
        with repairable_picture(objects, photo, "page.jpg") as link:
            mime, body = fetched(link)
            assert (mime, b"<form" in body) == ("text/html", True)
        assert fetched(link) == ("image/jpeg", photo.read_bytes())
