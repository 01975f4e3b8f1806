import time
from typing import Any
from urllib.parse import quote

import pytest

from connectors.console.queries import Announced
from connectors.media.download import Downloaded
from schemas.fetching import FileGone, FileNotThere
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.records import Attachment, EnrichedMessage
from schemas.settings import Settings
from schemas.topics import Names
from tests.integration.console import ORIGIN, Console, key_of, problem, row, running, spooled

DATA = bytes(range(256)) * 3_000  # more than one piece
MISSING = "/media/acme/00000000-0000-4000-8000-000000000000.jpg"


@pytest.fixture
async def path(console: Console) -> str:
    """The path of a stored file of acme."""
    return (await console.keep(DATA, "image/jpeg", "jpg")).url or ""


# --- the stored file


async def test_a_stored_file_comes_whole_with_its_type_and_tag(console: Console, path: str) -> None:
    answer = await console.get(path)
    assert (answer.status_code, answer.content) == (200, DATA)
    headers = answer.headers
    assert (headers["content-type"], headers["content-length"], headers["accept-ranges"]) == (
        "image/jpeg",
        str(len(DATA)),
        "bytes",
    )
    assert (headers["x-content-type-options"], headers["content-disposition"]) == (
        "nosniff",
        "inline",
    )
    assert headers["etag"].startswith('"') and headers["etag"].endswith('"')


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=300000-", 300_000, len(DATA) - 1),
        ("bytes=-7", len(DATA) - 7, len(DATA) - 1),
        ("bytes=5-99999999", 5, len(DATA) - 1),
    ],
)
async def test_a_range_is_answered_with_that_part(
    console: Console, path: str, asked: str, first: int, last: int
) -> None:
    answer = await console.get(path, range=asked)
    assert (answer.status_code, answer.content) == (206, DATA[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert answer.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=x-y", "bytes=9-5", "seconds=0-1"])
async def test_several_ranges_and_what_is_none_give_the_whole_file(
    console: Console, path: str, asked: str
) -> None:
    answer = await console.get(path, range=asked)
    assert (answer.status_code, len(answer.content)) == (200, len(DATA))


async def test_a_range_behind_the_end_is_not_satisfiable(console: Console, path: str) -> None:
    answer = await console.get(path, range=f"bytes={len(DATA)}-")
    problem(answer, 416)
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


async def test_a_file_that_is_known_already_is_not_sent_again(console: Console, path: str) -> None:
    tag = (await console.get(path)).headers["etag"]
    for known in (tag, f'"x", W/{tag}', "*"):
        answer = await console.get(path, if_none_match=known)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert (await console.get(path, if_none_match='"x"')).status_code == 200


async def test_a_range_of_another_file_gives_the_whole_one(console: Console, path: str) -> None:
    tag = (await console.get(path)).headers["etag"]
    assert (await console.get(path, range="bytes=0-1", if_range=tag)).status_code == 206
    for other in ('"x"', "Wed, 21 Oct 2026 07:28:00 GMT"):
        assert (await console.get(path, range="bytes=0-1", if_range=other)).status_code == 200


async def test_head_tells_of_the_whole_file_without_it(console: Console, path: str) -> None:
    for headers in ({}, {"range": "bytes=0-1"}):
        answer = await console.get(path, method="HEAD", **headers)
        assert (answer.status_code, answer.content, answer.headers["content-length"]) == (
            200,
            b"",
            str(len(DATA)),
        )
        assert (answer.headers["content-type"], answer.headers["etag"] != "") == (
            "image/jpeg",
            True,
        )


@pytest.mark.parametrize(
    ("mime", "extension", "shown"),
    [("audio/ogg", "ogg", "inline"), ("video/mp4", "mp4", "inline"), ("application/pdf", "pdf", "attachment"),
     ("text/html", "txt", "attachment"), ("image/svg+xml", "bin", "attachment"), ("text/plain", "txt", "attachment")],
)  # fmt: skip
async def test_nothing_that_a_browser_would_run_is_shown(
    console: Console, mime: str, extension: str, shown: str
) -> None:
    stored = await console.keep(b"<script>alert(1)</script>", mime, extension)
    headers = (await console.get(stored.url or "")).headers
    assert headers["content-type"].partition(";")[0] == mime
    assert (headers["content-disposition"], headers["x-content-type-options"]) == (shown, "nosniff")
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"


# --- who may have it


async def test_another_tenants_file_and_a_missing_one_are_the_same_404(
    console: Console, path: str
) -> None:
    answers = [
        await console.get(path, "other"),
        await console.get(MISSING),
        await console.get(MISSING, "other"),
        await console.get("/media/acme/not-a-name.jpg"),
        await console.get(path.replace("/acme/", "/nobody/")),
        await console.get(path.replace("/acme/", "/%2E%2E/")),
    ]
    assert len({str(problem(answer, 404)) for answer in answers}) == 1


async def test_a_file_wants_a_key_of_the_right_scope(console: Console, path: str) -> None:
    assert problem(await console.get(path, scope=""), 401)["title"] == "Unauthorized"
    problem(await console.get(path, scope="chat"), 403)
    assert (await console.get(path, scope="admin")).status_code == 200
    problem(await console.get(MISSING, scope=""), 401)


async def test_a_signed_link_opens_its_file_and_no_other(console: Console, path: str) -> None:
    second = (await console.keep(b"other", "image/png", "png", index=1)).url or ""
    signed = console.parts.sign(path)
    query = signed.partition("?")[2]
    assert (await console.get(signed, scope="")).content == DATA
    assert (await console.get(signed, scope="", range="bytes=0-0")).status_code == 206
    assert (await console.get(signed, scope="", method="HEAD")).status_code == 200
    over = console.parts.links.signed(path, time.time() - 400)
    bad = [
        f"{second}?{query}",
        over,
        signed[:-1] + ("0" if signed[-1] != "0" else "1"),
        f"{path}?{query.replace('expires=', 'expires=1')}",
        f"{path}?{query.partition('&')[0]}",
        f"{path}?{query.partition('&')[2]}",
        f"{path}?expires=&signature=",
        f"{MISSING}?{query}",
    ]
    for link in bad:
        problem(await console.get(link, scope=""), 403)
        problem(await console.get(link), 403)  # a key does not mend a bad link


async def test_a_signed_link_to_a_file_that_is_gone_is_404(console: Console) -> None:
    problem(await console.get(console.parts.sign(MISSING), scope=""), 404)


async def test_the_store_being_away_is_said(
    console: Console, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(key: str) -> None:
        raise Unavailable("object_store", 2.0)

    monkeypatch.setattr(console.parts.store, "stat", away)
    answer = await console.get(path)
    assert (problem(answer, 503)["detail"], answer.headers["retry-after"]) == (
        "object_store is unavailable",
        "2",
    )


# --- the proxy

URL = "https://lookaside.example.com/file?id=1&sig=a%20b"


def proxied(url: str) -> str:
    return f"/admin/chat/media/proxy?url={quote(url, safe='')}"


class Provider:
    """Replaces the guarded download, and records what it was asked for."""

    def __init__(self, gives: Downloaded | Exception) -> None:
        self.gives = gives
        self.asked: list[tuple[str, Announced, str]] = []

    async def __call__(self, tenant_id: TenantId, announced: Announced, url: str) -> Downloaded:
        self.asked.append((tenant_id, announced, url))
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives


PENDING = Attachment(index=0, type="image", status="pending", original_url=URL)


async def test_the_proxy_serves_from_the_store_what_is_there(console: Console) -> None:
    stored = await console.keep(DATA, "image/jpeg", "jpg")
    await console.write(row("1", stored))
    answer = await console.get(proxied(stored.original_url or ""))
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (
        200,
        DATA,
        "image/jpeg",
    )
    assert (
        await console.get(proxied(stored.original_url or ""), range="bytes=0-9")
    ).content == DATA[:10]


async def test_the_proxy_fetches_what_is_not_stored_as_the_pipeline_does(
    console: Console,
) -> None:
    await console.write(row("1", PENDING, endpoint_id="ep-1"))
    file = spooled(b"\xff\xd8\xff" + DATA, "image/jpeg")
    console.fetch = provider = Provider(file)
    answer = await console.get(proxied(URL))
    assert (answer.status_code, answer.content) == (200, b"\xff\xd8\xff" + DATA)
    assert provider.asked == [("acme", Announced("ycloud", "ep-1"), URL)]
    assert (answer.headers["content-type"], answer.headers["content-disposition"]) == (
        "image/jpeg",
        "inline",
    )
    assert file.file.closed


EVENT = {"event_type": "whatsapp.inbound_message.received"}


@pytest.mark.parametrize(
    ("rows", "origin"),
    [
        ([row("1", PENDING, endpoint_id="direct")], "direct"),
        ([row("1", PENDING)], "direct"),
        ([row("1", PENDING, attributes=EVENT)], "unrecorded"),
        ([row("1", PENDING, endpoint_id="direct", attributes=EVENT)], "direct"),
        (
            [
                row("1", PENDING, endpoint_id="direct"),
                row("2", PENDING, endpoint_id="ep-2"),
                row("3", PENDING),
            ],
            "ep-2",
        ),
        ([row("1", PENDING), row("2", PENDING, attributes=EVENT)], "unrecorded"),
        ([row("1", PENDING, endpoint_id="direct"), row("2", PENDING)], "direct"),
    ],
    ids=[
        "a chat", "older, unproven", "older, proven", "a chat that says it is an event", "a delivery among others",
        "older ones", "none by an endpoint",
    ],
)  # fmt: skip
async def test_the_proxy_asks_in_the_name_of_who_received_the_message(
    console: Console, rows: list[EnrichedMessage], origin: str
) -> None:
    await console.write(*rows)
    console.fetch = provider = Provider(spooled(b"x"))
    assert (await console.get(proxied(URL))).status_code == 200
    assert provider.asked == [("acme", Announced("ycloud", origin), URL)]


@pytest.mark.parametrize(
    ("headers", "status", "content"),
    [
        ({"range": "bytes=0-3"}, 206, b"%PDF"),
        ({"range": "bytes=-3"}, 206, b"end"),
        ({"range": "bytes=99-"}, 416, None),
        ({"range": "bytes=x"}, 200, b"%PDF-1.7 end"),
        ({"if-none-match": '"' + "ab" * 32 + '"'}, 304, b""),
    ],
)
async def test_a_fetched_file_is_cut_as_a_stored_one_and_leaves_nothing_in_the_spool(
    console: Console, headers: dict[str, str], status: int, content: bytes | None
) -> None:
    await console.write(row("1", PENDING))
    file = spooled(b"%PDF-1.7 end")
    console.fetch = Provider(file)
    answer = await console.get(proxied(URL), **headers)
    assert answer.status_code == status
    if content is None:
        problem(answer, status)
    else:
        assert (answer.content, answer.headers["content-disposition"]) == (content, "attachment")
    assert file.file.closed


async def test_the_proxy_shows_no_page_of_a_provider(console: Console) -> None:
    await console.write(row("1", PENDING))
    console.fetch = Provider(spooled(b"<html><script>alert(1)</script>", "text/html"))
    headers = (await console.get(proxied(URL))).headers
    assert (headers["content-disposition"], headers["x-content-type-options"]) == (
        "attachment",
        "nosniff",
    )


@pytest.mark.parametrize(
    ("trouble", "status", "says"),
    [
        (FileNotThere(), 404, "the provider has no such file"),
        (
            FileGone("media_forbidden", 403),
            502,
            "the file could not be fetched from the provider: media_forbidden",
        ),
        (
            FileGone("media_refused_address"),
            502,
            "the file could not be fetched from the provider: media_refused_address",
        ),
        (Unavailable("media", 3.0), 503, "media is unavailable"),
    ],
)
async def test_what_keeps_the_proxy_from_a_file_is_said(
    console: Console, trouble: Exception, status: int, says: str
) -> None:
    await console.write(row("1", PENDING))
    console.fetch = Provider(trouble)
    assert problem(await console.get(proxied(URL)), status)["detail"] == says


@pytest.mark.parametrize(
    "url",
    [
        "https://lookaside.example.com/file",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "",
        "\0",
        "x" * 9_000,
    ],
)
async def test_an_address_that_no_attachment_has_is_fetched_for_nobody(
    console: Console, url: str
) -> None:
    await console.write(row("1", PENDING))
    problem(await console.get(proxied(url)), 404)


async def test_an_address_of_another_tenants_attachment_is_fetched_for_nobody(
    console: Console,
) -> None:
    stored = await console.keep(DATA, "image/jpeg", "jpg", of="2")
    await console.write(row("1", PENDING), row("2", stored))
    for url in (URL, stored.original_url or ""):
        problem(await console.get(proxied(url), "other"), 404)


async def test_a_stored_file_that_was_removed_is_fetched_again(
    console: Console,
) -> None:
    stored = await console.keep(DATA, "image/jpeg", "jpg")
    await console.write(row("1", stored))
    await console.parts.store.delete(stored.object_key or "")
    console.fetch = Provider(spooled(b"again"))
    assert (await console.get(proxied(stored.original_url or ""))).content == b"again"


async def test_the_proxy_wants_a_key_of_the_right_scope_and_an_address(console: Console) -> None:
    problem(await console.get(proxied(URL), scope=""), 401)
    problem(await console.get(proxied(URL), scope="chat"), 403)
    problem(await console.get("/admin/chat/media/proxy", scope=""), 401)
    assert problem(await console.get("/admin/chat/media/proxy"), 422)["errors"] == [
        "url: Field required"
    ]


# --- browsers of other origins

ROUTES = ["/media/acme/x.jpg", "/admin/chat/media/proxy?url=x", "/api/conversations/c/context"]


async def preflight(
    console: Console,
    path: str,
    origin: str = ORIGIN,
    method: str = "GET",
    wanted: str = "authorization, range",
) -> Any:
    asked = {
        "origin": origin,
        "access_control_request_method": method,
        "access_control_request_headers": wanted,
    }
    return await console.get(path, scope="", method="OPTIONS", **asked)


@pytest.mark.parametrize("path", ROUTES)
async def test_a_browser_of_an_allowed_origin_may_ask_with_a_key(
    console: Console, path: str
) -> None:
    answer = await preflight(console, path)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert {"authorization", "range"} <= {
        name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")
    }
    assert "GET" in answer.headers["access-control-allow-methods"]


@pytest.mark.parametrize("path", ROUTES)
async def test_a_browser_of_another_origin_may_not(console: Console, path: str) -> None:
    answer = await preflight(console, path, origin="https://evil.example.com")
    problem(answer, 400)
    assert "access-control-allow-origin" not in answer.headers


async def test_only_reading_is_open_to_browsers(console: Console, path: str) -> None:
    problem(await preflight(console, path, method="DELETE"), 400)


async def test_an_answer_says_to_which_origin_it_is_open(console: Console, path: str) -> None:
    answer = await console.get(path, origin=ORIGIN)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    exposed = {
        name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")
    }
    assert {"etag", "content-range"} <= exposed
    # also an error is readable for the page, and a copy in a cache is for one origin only
    refused = await console.get(path, scope="", origin=ORIGIN)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)
    for sent in ({}, {"origin": ORIGIN}, {"origin": "https://evil.example.com"}):
        answer = await console.get(path, **sent)
        assert answer.headers["vary"] == "Origin"
        assert answer.headers.get("access-control-allow-origin") == (
            ORIGIN if sent.get("origin") == ORIGIN else None
        )


@pytest.mark.parametrize(
    "path", ["/api/messages/acme:ycloud:1", "/registry/subjects", "/metrics", "/openapi.json"]
)
async def test_no_other_route_is_open_to_browsers(console: Console, path: str) -> None:
    assert (await preflight(console, path)).status_code in (404, 405)
    assert "access-control-allow-origin" not in (await console.get(path, origin=ORIGIN)).headers


async def test_without_allowed_origins_nothing_is_open(stack: Settings, namespace: str) -> None:
    async with running(stack, Names(namespace), origins=()) as console:
        answer = await preflight(console, ROUTES[0])
        problem(answer, 400)
        assert "access-control-allow-origin" not in answer.headers


async def test_links_of_messages_are_under_the_messages_key(console: Console) -> None:
    stored = await console.keep(DATA, "image/jpeg", "jpg")
    await console.write(row("1", stored))
    shown = (await console.get(f"/api/messages/{key_of('1')}")).json()["content_attributes"][
        "attachments"
    ][0]
    assert (await console.get(shown["signed_url"], scope="")).content == DATA
