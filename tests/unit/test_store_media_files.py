import json
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet

from schemas.outcomes import Unavailable
from schemas.records import Enrichment
from schemas.settings import Media, Secret, SecretSettings, Settings
from schemas.tenants import TenantSettings
from streams.apps.store_media import MediaClients
from streams.stages.store_media import store_media
from tests.contract.objects_fake import ObjectsFake
from tests.unit.file_servers import Server, answer, serving
from tests.unit.records import NOW, SOURCE, media_job

TESTS = Path(__file__).parents[1]
FIELD = TESTS / "field"
JPEG = (TESTS / "media/cat.jpg").read_bytes()
EXPORT = (FIELD / "html-named-xls/estado_de_cuenta.xls").read_bytes()
LOGIN = b"<html><body><table><form action=/login><input name=user></form></table></body></html>"


class Store(ObjectsFake):
    """A store that is unavailable for the first puts."""

    def __init__(self) -> None:
        super().__init__()
        self.away = 0
        self.puts = 0

    async def put_file(self, key: str, file: BinaryIO, size: int, mime: str) -> None:
        self.puts += 1
        if self.puts <= self.away:
            file.read(7)  # it went away in the middle
            raise Unavailable("object_store")
        await super().put_file(key, file, size, mime)


class NothingBefore:
    """Postgres without earlier copies of a file."""

    async def find(self, *_: object) -> None:
        return None


class World:
    """The stage's ports on a real download, and a store in memory."""

    def __init__(self, server: Server) -> None:
        self.server, self.store = server, Store()
        settings = Settings(
            media=Media(allowed_private_hosts=f"127.0.0.1:{server.port}"),
            secrets=SecretSettings(key=Secret(Fernet.generate_key().decode())),
        )
        self.ports = MediaClients(settings)
        self.ports._store = self.store  # type: ignore[assignment]
        self.ports._objects = NothingBefore()  # type: ignore[assignment]
        self._limits = settings.media

    async def stored(self, path: str, **fields: Any) -> Enrichment:
        fields = {"endpoint_id": "", "type": "document", **fields}
        url = f"http://127.0.0.1:{self.server.port}{path}"
        outcome = await store_media(
            media_job(url=url, **fields),
            ports=self.ports,
            limits=self._limits,
            tenant=TenantSettings(),
            source=SOURCE,
            waited_seconds=0.0,
            now=NOW,
        )
        record = outcome.outputs[0].record
        assert isinstance(record, Enrichment)
        return record


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving() as server:
        of = World(server)
        async with of.ports._downloader:
            yield of


def said(of: Enrichment) -> tuple[str, str | None, str, str | None]:
    return of.kind, of.reason, of.next, of.mime_type


LINES = (FIELD / "addresses-with-spaces-and-accents/addresses.txt").read_text().splitlines()


@pytest.mark.parametrize("line", LINES)
async def test_an_address_as_people_and_servers_write_it_is_stored_and_described(
    line: str, world: World
) -> None:
    path = line.partition("{MEDIA}")[2].partition("   ")[0]
    world.server.answers[quote(path, safe="/?=")] = answer(200, body=JPEG)
    if line.startswith("Location"):
        world.server.answers["/moved"] = (
            b"HTTP/1.1 302 X\r\nlocation: " + path.encode() + b"\r\ncontent-length: 0\r\n\r\n"
        )
        path = "/moved"
    stored = await world.stored(path, type="image")
    assert said(stored) == ("stored", None, "vision", "image/jpeg")
    assert await world.store.get(stored.object_key or "", max_bytes=len(JPEG)) == JPEG


@pytest.mark.parametrize(
    "label", (FIELD / "content-encoding-labels/values.txt").read_text().splitlines()
)
async def test_a_picture_under_a_label_that_names_no_coding_is_stored_and_described(
    label: str, world: World
) -> None:
    world.server.answers["/it"] = answer(200, f"content-encoding: {label}\r\n", JPEG)
    assert said(await world.stored("/it", type="image")) == ("stored", None, "vision", "image/jpeg")


@pytest.mark.parametrize(
    ("file", "fields", "expected"),
    [
        ("utf16-text-is-no-sound/id3text.txt", {}, ("stored", None, "none", "text/plain")),
        ("utf16-text-is-no-sound/u16le.csv", {"mime_type": "text/csv"}, ("stored", None, "none", "text/csv")),
        ("sound-only-webm/grabacion.webm", {"type": "video"}, ("stored", None, "audio", "audio/webm")),
        ("sound-only-webm/grabacion.webm", {}, ("stored", None, "audio", "audio/webm")),
        ("avif-sequence/animada.avif", {"type": "image", "mime_type": "image/avif"}, ("stored", None, "vision", "image/avif")),
        ("html-named-xls/estado_de_cuenta.xls", {"mime_type": "application/vnd.ms-excel"}, ("stored", None, "none", "text/html")),
        ("html-named-xls/estado_de_cuenta.xls", {}, ("stored", None, "none", "text/html")),
        ("html-named-xls/estado_de_cuenta.xls", {"type": "image"}, ("failed", "media_wrong_content", "none", None)),
    ],
)  # fmt: skip
async def test_a_file_that_people_sent_is_what_its_bytes_are(
    file: str, fields: dict[str, str], expected: object, world: World
) -> None:
    world.server.answers["/it"] = answer(200, body=(FIELD / file).read_bytes())
    assert said(await world.stored("/it", **fields)) == expected


async def test_a_page_of_the_announced_digest_is_kept_and_the_same_page_without_it_is_not(
    world: World,
) -> None:
    event = json.loads((FIELD / "html-named-xls/event.json").read_text())
    digest = b64decode(event["whatsappInboundMessage"]["document"]["sha256"]).hex()
    fields = {"mime_type": "application/pdf", "declared_sha256": digest}
    world.server.answers |= {"/export": answer(200, body=EXPORT), "/login": answer(200, body=LOGIN)}
    assert said(await world.stored("/export", **fields)) == ("stored", None, "none", "text/html")
    wrong = ("failed", "media_wrong_content", "none", None)
    assert said(await world.stored("/login", **fields)) == wrong
    assert said(await world.stored("/login", mime_type="application/vnd.ms-excel")) == wrong


async def test_a_file_is_downloaded_once_however_long_the_store_is_away(world: World) -> None:
    world.server.answers["/it"] = answer(200, body=JPEG)
    world.store.away = 3
    for _ in range(3):
        with pytest.raises(Unavailable, match="object_store"):
            await world.stored("/it", type="image")
    world.server.answers["/it"] = answer(403)
    stored = await world.stored("/it", type="image")
    assert (said(stored), len(world.server.asked)) == (("stored", None, "vision", "image/jpeg"), 1)
    assert await world.store.get(stored.object_key or "", max_bytes=len(JPEG)) == JPEG


async def test_a_spooled_file_that_cannot_be_read_waits_for_the_disk(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("input/output error")

    monkeypatch.setattr("streams.apps.store_media.sniff_file", broken)
    world.server.answers["/it"] = answer(200, body=JPEG)
    with pytest.raises(Unavailable, match="disk"):
        await world.stored("/it")
