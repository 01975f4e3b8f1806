import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from schemas.fetching import FileGone, FileNotThere
from schemas.outcomes import Forward, Unavailable
from schemas.records import AudioJob, Enrichment, MediaJob, VisionJob
from schemas.settings import Media
from schemas.tenants import TenantSettings
from streams.stages.store_media import store_media
from tests.unit.records import NOW, SOURCE, media_job

DEFAULTS = TenantSettings()
LIMITS = Media(max_bytes=25_000_000, not_found_seconds=60.0, retry_seconds=600.0)
FORBIDDEN = FileGone("media_forbidden", 403)
AWAY = Unavailable("media", retry_after=3.0, detail="503")


@dataclass
class File:
    file: Any = None
    sha256: str = "ab" * 32
    content_type: str = "image/jpeg"
    head: bytes = b"head"
    bytes: int = 48_211
    discarded: int = 0

    def discard(self) -> None:
        self.discarded += 1


@dataclass(frozen=True)
class Content:
    mime: str = "image/jpeg"
    extension: str = "jpg"
    family: str = "image"


@dataclass
class OneWay:
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    lifetime_seconds: float | None = None


class World:
    """The stage's ports. Each gives a file or raises what the test says, and notes the calls."""

    def __init__(
        self,
        *gives: File | Exception,
        content: Content = Content(),
        lifetimes: Sequence[float | None] = (),
        full_disk: bool = False,
    ) -> None:
        self.gives = gives
        self.content = content
        self.lifetimes = [*lifetimes, *[None] * (len(gives) - len(lifetimes))]
        self.full_disk = full_disk
        self.holding: File | None = None
        self.asked: list[tuple[int, int]] = []
        self.kept: list[str] = []
        self.announced: str | None = "nothing yet"
        self.before: File | None = None
        self.looked_up = 0

    def candidates(self, job: MediaJob) -> list[OneWay]:
        return [
            OneWay(str(number), lifetime_seconds=lifetime)
            for number, lifetime in enumerate(self.lifetimes)
        ]

    def held(self, job: MediaJob) -> File | None:
        held, self.holding = self.holding, None
        return held

    def hold(self, job: MediaJob, fetched: Any) -> None:
        self.holding = fetched

    async def stored_before(self, job: MediaJob) -> File | None:
        self.looked_up += 1
        return self.before

    async def fetch(self, way: OneWay, max_bytes: int) -> File:
        self.asked.append((int(way.url), max_bytes))
        given = self.gives[int(way.url)]
        if isinstance(given, Exception):
            raise given
        return given

    async def sniff(self, fetched: Any, announced: str | None) -> Content:
        self.announced = announced
        return self.content

    async def keep(self, job: MediaJob, fetched: Any, content: Any) -> str:
        if self.full_disk:
            raise Unavailable("objects")
        self.kept.append(fetched.sha256)
        return f"media/acme/{job.index}.{content.extension}"

    def public_path(self, object_key: str) -> str:
        return f"/{object_key}"


async def stored(
    world: World,
    job: MediaJob | None = None,
    *,
    waited: float = 0.0,
    tenant: TenantSettings = DEFAULTS,
) -> Forward:
    return await store_media(
        job or media_job(), ports=world, limits=LIMITS, tenant=tenant, source=SOURCE, waited_seconds=waited, now=NOW  # type: ignore[arg-type]
    )  # fmt: skip


def said(outcome: Forward) -> Enrichment:
    record = outcome.outputs[0].record
    assert isinstance(record, Enrichment)
    assert outcome.outputs[0].topic == "enrichments"
    return record


# a file that comes


async def test_a_kept_file_is_said_to_be_where_it_is_and_the_model_job_follows() -> None:
    file, job = File(), media_job(index=2, generation=1, filename="a.jpg")
    outcome = await stored(World(file), job)
    assert said(outcome) == Enrichment(
        tenant_id=job.tenant_id,
        message_key=job.message_key,
        provider="ycloud",
        generation=1,
        kind="stored",
        index=2,
        stage="store_media",
        source=SOURCE,
        at=NOW,
        next="vision",
        object_key="media/acme/2.jpg",
        url="/media/acme/2.jpg",
        mime_type="image/jpeg",
        bytes=48_211,
        sha256="ab" * 32,
    )
    assert [(output.topic, output.key, output.generation) for output in outcome.outputs[1:]] == [
        ("vision", job.message_key, 1)
    ]
    assert outcome.outputs[1].record == VisionJob(
        tenant_id=job.tenant_id,
        message_key=job.message_key,
        provider="ycloud",
        generation=1,
        index=2,
        object_key="media/acme/2.jpg",
        sha256="ab" * 32,
        mime_type="image/jpeg",
        bytes=48_211,
        filename="a.jpg",
    )
    assert file.discarded == 1


JPEG, OGG = Content(), Content("audio/ogg", "ogg", "audio")
PDF, MP4 = Content("application/pdf", "pdf", "document"), Content("video/mp4", "mp4", "video")


@pytest.mark.parametrize(
    ("type", "content", "following"),
    [
        ("image", JPEG, "vision"),
        ("sticker", Content("image/webp", "webp", "image"), "vision"),
        ("document", JPEG, "vision"),
        ("other", JPEG, "vision"),
        ("audio", OGG, "audio"),
        ("document", OGG, "audio"),
        ("video", OGG, "audio"),
        ("audio", MP4, "audio"),
        ("audio", JPEG, "audio"),
        ("video", MP4, "none"),
        ("video", JPEG, "none"),
        ("document", PDF, "none"),
        ("image", PDF, "none"),
    ],
)
async def test_the_content_decides_which_model_is_asked(
    type: str, content: Content, following: str
) -> None:
    outcome = await stored(World(File(), content=content), media_job(type=type))
    assert (said(outcome).next, said(outcome).reason) == (following, None)
    assert [output.topic for output in outcome.outputs[1:]] == (
        [] if following == "none" else [following]
    )
    assert all(
        isinstance(output.record, AudioJob if following == "audio" else VisionJob)
        for output in outcome.outputs[1:]
    )


@pytest.mark.parametrize(
    ("unpaid", "tenant", "is_asked"),
    [
        ("outgoing", TenantSettings(), False),
        ("outgoing", TenantSettings(describe_old=True), False),
        ("outgoing", TenantSettings(describe_outgoing=True), True),
        ("old", TenantSettings(), False),
        ("old", TenantSettings(describe_outgoing=True), False),
        ("old", TenantSettings(describe_old=True), True),
        ("history", TenantSettings(describe_old=True), True),
        ("private", TenantSettings(describe_old=True, describe_outgoing=True), False),
    ],
)
async def test_a_file_nobody_should_pay_for_is_kept_and_not_shown_to_a_model_unless_asked(
    unpaid: str, tenant: TenantSettings, is_asked: bool
) -> None:
    outcome = await stored(World(File()), media_job(unpaid_reason=unpaid), tenant=tenant)
    assert (said(outcome).kind, said(outcome).next, said(outcome).reason) == (
        ("stored", "vision", None) if is_asked else ("stored", "none", unpaid)
    )
    assert len(outcome.outputs) == (2 if is_asked else 1)


async def test_a_file_no_model_would_see_needs_no_reason() -> None:
    outcome = await stored(
        World(File(), content=PDF), media_job(type="document", unpaid_reason="outgoing")
    )
    assert (said(outcome).next, said(outcome).reason) == ("none", None)


@pytest.mark.parametrize(
    ("type", "tenant", "max_bytes"),
    [
        ("document", TenantSettings(), 25_000_000),
        ("image", TenantSettings(), 20_000_000),
        ("sticker", TenantSettings(), 5_000_000),
        ("image", TenantSettings(max_bytes=1_000), 1_000),
        ("document", TenantSettings(max_bytes=1_000), 1_000),
    ],
)
async def test_the_tightest_cap_holds(type: str, tenant: TenantSettings, max_bytes: int) -> None:
    world = World(File())
    await stored(world, media_job(type=type), tenant=tenant)
    assert world.asked == [(0, max_bytes)]


# a file that does not come


@pytest.mark.parametrize(
    ("gives", "tried"),
    [
        ([FORBIDDEN, File()], [0, 1]),
        ([FileNotThere(), File()], [0, 1]),
        ([FORBIDDEN, FileNotThere(), File()], [0, 1, 2]),
        ([File(), File()], [0]),
    ],
)
async def test_the_next_way_is_tried_when_it_may_still_give_the_file(
    gives: list[File | Exception], tried: list[int]
) -> None:
    world = World(*gives)
    assert said(await stored(world)).kind == "stored"
    assert [way for way, _ in world.asked] == tried


@pytest.mark.parametrize(
    ("gives", "waited", "reason", "tried"),
    [
        ([], 0, "media_unavailable", 0),
        ([FileGone("media_gone"), File()], 0, "media_gone", 1),
        ([FileGone("media_refused_address")], 0, "media_refused_address", 1),
        ([FileGone("media_too_large"), File()], 0, "media_too_large", 1),
        ([FORBIDDEN, FORBIDDEN], 0, "media_forbidden", 2),
        ([FORBIDDEN, FORBIDDEN, File()], 0, "media_forbidden", 2),
        ([FORBIDDEN, FileGone("media_gone")], 0, "media_gone", 2),
        ([FileNotThere()], 60, "media_not_found", 1),
        ([FORBIDDEN, FileNotThere()], 60, "media_not_found", 2),
        ([AWAY], 600, "media_timeout", 1),
        ([FORBIDDEN, AWAY, File()], 600, "media_timeout", 2),
    ],
)
async def test_a_file_that_will_not_come_ends_the_attachment_with_its_reason(
    gives: list[File | Exception], waited: float, reason: str, tried: int
) -> None:
    world = World(*gives)
    outcome = await stored(world, waited=waited)
    assert (said(outcome).kind, said(outcome).reason, said(outcome).next, len(outcome.outputs)) == (
        "failed",
        reason,
        "none",
        1,
    )
    assert (len(world.asked), world.kept) == (tried, [])


@pytest.mark.parametrize(
    ("gives", "waited", "lifetimes", "retry_after"),
    [
        ([FileNotThere()], 0, [], 2.0),
        ([FileNotThere()], 59.9, [], 2.0),
        ([FORBIDDEN, FileNotThere()], 0, [], 2.0),
        ([AWAY, File()], 0, [], 3.0),  # their server is away: another request to it does not help
        ([AWAY], 599, [], 3.0),
        ([AWAY], 599, [3_600.0], 3.0),
        ([AWAY, File()], 119, [120.0, None], 3.0),
    ],
)
async def test_a_file_that_may_still_come_is_asked_for_again(
    gives: list[File | Exception], waited: float, lifetimes: list[float | None], retry_after: float
) -> None:
    with pytest.raises(Unavailable) as trouble:
        await stored(World(*gives, lifetimes=lifetimes), waited=waited)
    assert (trouble.value.what, trouble.value.retry_after) == ("media", retry_after)


async def test_nobody_waits_beyond_the_life_of_the_link() -> None:
    assert said(await stored(World(AWAY, lifetimes=[120.0]), waited=120)).reason == "media_timeout"


@pytest.mark.parametrize("what", ["spool", "objects"])
async def test_trouble_of_our_own_waits_as_long_as_it_takes(what: str) -> None:
    with pytest.raises(Unavailable, match=what):
        await stored(World(Unavailable(what), File()), waited=1e9)


async def test_a_file_that_could_not_be_kept_is_held_for_the_next_try_and_not_asked_for_again() -> (
    None
):
    file = File()
    world = World(file, full_disk=True)
    for _ in range(2):
        with pytest.raises(Unavailable, match="objects"):
            await stored(world, waited=1e9)
    assert (len(world.asked), world.holding, file.discarded) == (1, file, 0)
    world.full_disk = False
    world.gives = (FileGone("media_forbidden"),)
    assert said(await stored(world, waited=1e9)).kind == "stored"
    assert (len(world.asked), world.holding, file.discarded) == (1, None, 1)


async def test_a_file_that_is_lost_with_its_lane_is_discarded_and_not_held() -> None:
    file = File()
    world = World(file)
    world.keep = AsyncMock(side_effect=asyncio.CancelledError)  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await stored(world)
    assert (world.holding, file.discarded) == (None, 1)


PAGE = Content("text/html", "html", "web_page")


@pytest.mark.parametrize("type", ["image", "audio", "video", "sticker", "other"])
async def test_an_error_page_where_a_file_was_announced_is_not_kept(type: str) -> None:
    file = File()
    world = World(file, content=PAGE)
    outcome = await stored(world, media_job(type=type))
    assert (said(outcome).kind, said(outcome).reason, len(outcome.outputs)) == (
        "failed",
        "media_wrong_content",
        1,
    )
    assert (world.kept, file.discarded) == ([], 1)


async def test_a_page_sent_as_a_document_is_a_document() -> None:
    assert (
        said(await stored(World(File(), content=PAGE), media_job(type="document"))).kind == "stored"
    )


BINARY = ("application/pdf", "image/heic", "application/vnd.ms-excel", "audio/ogg")


@pytest.mark.parametrize(
    ("fields", "is_kept"),
    [
        *(({"mime_type": mime}, False) for mime in BINARY),
        ({"filename": "factura.PDF"}, False),
        ({"filename": "factura.pdf", "mime_type": "application/octet-stream"}, False),
        ({"filename": "pagina.html"}, True),
        ({"mime_type": "text/html", "filename": "a.pdf"}, True),
        ({"mime_type": "application/octet-stream"}, True),
        ({}, True),
    ],
)
async def test_a_page_where_a_document_of_another_kind_was_announced_is_an_error(
    fields: dict[str, str], is_kept: bool
) -> None:
    outcome = await stored(World(File(), content=PAGE), media_job(type="document", **fields))
    assert (said(outcome).kind, said(outcome).reason) == (
        ("stored", None) if is_kept else ("failed", "media_wrong_content")
    )


EXPORT = Content("text/html", "txt", "office_page")


@pytest.mark.parametrize(
    ("fields", "is_kept"),
    [
        ({"type": "document", "mime_type": "application/vnd.ms-excel"}, True),
        ({"type": "document", "mime_type": "application/msword"}, True),
        ({"type": "document", "filename": "estado.xlsx"}, True),
        (
            {
                "type": "document",
                "mime_type": "application/octet-stream",
                "filename": "estado.xls",
            },
            True,
        ),
        ({"type": "document"}, True),
        ({"type": "document", "mime_type": "application/pdf"}, False),
        ({"type": "image", "mime_type": "application/vnd.ms-excel"}, False),
        ({"type": "audio"}, False),
    ],
)
async def test_a_page_with_a_table_is_kept_where_an_office_document_was_announced(
    fields: dict[str, Any], is_kept: bool
) -> None:
    outcome = await stored(World(File(), content=EXPORT), media_job(**fields))
    assert (said(outcome).kind, said(outcome).reason) == (
        ("stored", None) if is_kept else ("failed", "media_wrong_content")
    )


JSON = Content("application/json", "txt", "web_page")


@pytest.mark.parametrize("content", [PAGE, EXPORT, JSON, Content("text/plain", "txt", "document")])
@pytest.mark.parametrize("type", ["document", "image", "audio", "other"])
async def test_bytes_of_the_announced_digest_are_kept_whatever_they_look_like(
    content: Content, type: str
) -> None:
    fields = {"type": type, "mime_type": "application/vnd.ms-excel"}
    right = media_job(declared_sha256=File().sha256, **fields)
    assert said(await stored(World(File(), content=content), right)).kind == "stored"
    if type != "document":
        wrong = media_job(declared_sha256="cd" * 32, **fields)
        assert said(await stored(World(File(), content=content), wrong)).reason == (
            "media_wrong_content" if type != "other" or content.family != "document" else None
        )


@pytest.mark.parametrize(
    ("type", "is_kept"),
    [
        ("image", False),
        ("sticker", False),
        ("audio", False),
        ("video", False),
        ("document", True),
        ("other", True),
    ],
)
async def test_a_line_of_text_is_neither_a_picture_nor_a_sound(type: str, is_kept: bool) -> None:
    outcome = await stored(
        World(File(), content=Content("text/plain", "txt", "document")), media_job(type=type)
    )
    assert said(outcome).kind == ("stored" if is_kept else "failed")


@pytest.mark.parametrize(
    ("type", "mime_type", "announced"),
    [
        ("audio", "video/mp4", "audio/*"),
        ("audio", "audio/ogg; codecs=opus", "audio/ogg; codecs=opus"),
        ("audio", None, "audio/*"),
        ("image", None, "image/*"),
        ("image", "application/octet-stream", "image/*"),
        ("sticker", "image/webp", "image/webp"),
        ("video", "video/3gpp", "video/3gpp"),
        ("document", None, None),
        ("document", "application/pdf", "application/pdf"),
        ("other", "image/png", "image/png"),
    ],
)
async def test_the_content_is_looked_at_as_what_was_announced(
    type: str, mime_type: str | None, announced: str | None
) -> None:
    world = World(File())
    await stored(world, media_job(type=type, mime_type=mime_type))
    assert world.announced == announced


@pytest.mark.parametrize(
    ("type", "mime_type", "following"),
    [
        ("image", None, "vision"),
        ("sticker", None, "vision"),
        ("document", "image/heic", "vision"),
        ("document", None, "none"),
        ("video", None, "none"),
    ],
)
async def test_what_only_the_decoder_may_know_as_a_picture_goes_to_it(
    type: str, mime_type: str | None, following: str
) -> None:
    unknown = Content("application/octet-stream", "bin", "unknown")
    assert (
        said(
            await stored(World(File(), content=unknown), media_job(type=type, mime_type=mime_type))
        ).next
        == following
    )


async def test_a_link_that_leads_elsewhere_is_refused_before_anything_is_asked() -> None:
    world = World(File())
    world.candidates = Mock(side_effect=FileGone("media_refused_address"))  # type: ignore[method-assign]
    assert (said(await stored(world)).reason, world.asked) == ("media_refused_address", [])


@pytest.mark.parametrize(
    ("age", "lifetime", "is_over"),
    [(599, 600.0, False), (600, 600.0, True), (86_400, 600.0, True), (86_400, None, False)],
)
async def test_the_life_of_a_link_counts_from_its_message(
    age: float, lifetime: float | None, is_over: bool
) -> None:
    job, world = (
        media_job(received_at=NOW - timedelta(seconds=age)),
        World(AWAY, lifetimes=[lifetime]),
    )
    if is_over:
        assert said(await stored(world, job)).reason == "media_timeout"
    else:
        with pytest.raises(Unavailable):
            await stored(world, job)


async def test_an_old_link_is_tried_all_the_same() -> None:
    job = media_job(received_at=NOW - timedelta(days=400))
    assert said(await stored(World(File(), lifetimes=[600.0]), job)).kind == "stored"


# a replay

AGAIN = media_job(generation=7, index=1, filename="a.jpg")


async def test_a_replay_uses_the_stored_file_and_asks_nobody() -> None:
    world = World(FileGone("media_gone"))
    world.before = before = File(sha256="cd" * 32, bytes=99)
    outcome = await stored(world, AGAIN)
    found = said(outcome)
    assert (found.kind, found.next, found.object_key, found.bytes, found.sha256, found.generation) == (
        "stored", "vision", "media/acme/1.jpg", 99, "cd" * 32, 7,
    )  # fmt: skip
    job = outcome.outputs[1].record
    assert isinstance(job, VisionJob) and (job.sha256, job.filename, job.generation) == (
        "cd" * 32,
        "a.jpg",
        7,
    )
    assert (world.asked, before.discarded) == ([], 1)


async def test_a_replay_of_what_was_never_stored_downloads_it() -> None:
    world = World(File())
    assert said(await stored(world, AGAIN)).sha256 == File.sha256
    assert world.looked_up == 1


async def test_an_error_page_that_was_once_stored_as_a_file_is_downloaded_again() -> None:
    world = World(FileGone("media_gone"), content=PAGE)
    world.before = before = File()
    assert said(await stored(world, AGAIN)).reason == "media_gone"
    assert (world.kept, before.discarded) == ([], 1)


async def test_live_traffic_looks_up_nothing() -> None:
    world = World(File())
    world.before = File(sha256="cd" * 32)
    assert said(await stored(world, media_job())).sha256 == File.sha256
    assert world.looked_up == 0


async def test_a_later_delivery_whose_link_gives_nothing_uses_the_stored_file() -> None:
    world = World(FileGone("media_gone"))
    world.before = before = File(sha256="cd" * 32)
    found = said(await stored(world, media_job()))
    assert (found.kind, found.sha256, before.discarded) == ("stored", "cd" * 32, 1)
    assert (len(world.asked), world.looked_up) == (1, 1)


async def test_a_file_that_is_nowhere_fails_for_the_reason_its_link_gave() -> None:
    world = World(FileGone("media_gone"))
    assert said(await stored(world, media_job())).reason == "media_gone"
    assert world.looked_up == 1
