"""Trouble at every tenant that a person may see."""

import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from connectors.console.pages import counting
from schemas.records import Attachment
from schemas.settings import Settings
from schemas.topics import Names
from tests.browser.scene import Redone, Scene, said, staged
from tests.integration.console import key_of
from tests.integration.people import Visitor, visitor_of

Row = tuple[str, str, str, str]
"""Reason, stage, tenant and count of a row of the page."""


def lost(reason: str, index: int = 0, type: Any = "image") -> Attachment:
    return Attachment(
        index=index, type=type, status="failed", reason=reason, original_url="https://x/1"
    )


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace), Redone()) as made:
        for tenant in ("acme", "other"):
            for number, reason in enumerate(("media_gone", "model_timeout", "media_gone")):
                files = (lost(reason), lost(reason, 1, "audio"))
                message = said(f"f{number}", 60 * number, "palabra", *files, tenant_id=tenant)
                key = key_of(f"f{number}", tenant)
                await made.console.write(msgspec.structs.replace(message, message_key=key))
        await made.console.connection.execute(
            """INSERT INTO quarantined_messages (tenant_id, stage, reason, topic, record_key, partition, "offset", detail,
                   created_at, key, value, program_version)
               SELECT CASE n WHEN 1 THEN 'acme' ELSE 'other' END, 'dedupe', 'not_json', 'raw-messages', 'k' || n, 0, n, 'x',
                   now(), 'k', '{', '1' FROM generate_series(1, 3) AS n"""
        )
        yield made


def rows(text: str) -> list[Row]:
    pattern = (
        r'<tr><td><a class="cause"[^>]*>[^<]*</a><code>(\w+)</code></td>\s*<td>([^<]*)</td>'
        r'\s*<td><a href="/t/\w+/trouble">(\w+)</a></td>\s*<td class="num"[^>]*><strong>(\d+)</strong>'
    )
    return re.findall(pattern, text)


FILES: list[Row] = [
    ("media_gone", "Storing files", "acme", "4"),
    ("media_gone", "Storing files", "other", "4"),
    ("model_timeout", "Describing", "acme", "1"),
    ("model_timeout", "Transcribing", "acme", "1"),
    ("model_timeout", "Describing", "other", "1"),
    ("model_timeout", "Transcribing", "other", "1"),
]
RECORDS: list[Row] = [
    ("not_json", "Receiving", "other", "2"),
    ("not_json", "Receiving", "acme", "1"),
]


@pytest.mark.parametrize("wait_seconds", [20.0, 0.0])
async def test_failures_of_all_tenants_are_shown_by_reason_stage_and_tenant(
    scene: Scene, wait_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "WAIT_SECONDS", wait_seconds)
    ana = await visitor_of(scene, "ana")
    text = (await ana.get("/trouble")).text
    assert rows(text) == FILES + RECORDS
    assert ("All were counted" in text) == (wait_seconds > 0)
    await ana.client.aclose()


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("tenant=other", [row for row in FILES + RECORDS if row[2] == "other"]),
        ("reason=media_gone", FILES[:2]),
        ("stage=describe&tenant=acme", [FILES[2]]),
        ("tenant=nobody", []),
    ],
)
async def test_it_is_narrowed_to_a_tenant_a_cause_or_a_stage(
    scene: Scene, query: str, shown: list[Row]
) -> None:
    ana = await visitor_of(scene, "ana")
    assert rows((await ana.get(f"/trouble?{query}")).text) == shown
    await ana.client.aclose()


async def test_nobody_sees_trouble_of_a_tenant_without_a_role_there(scene: Scene) -> None:
    await scene.person("olga", "operator")
    olga = await visitor_of(scene, "olga")
    text = (await olga.get("/trouble")).text
    assert rows(text) == [row for row in FILES + RECORDS if row[2] == "acme"]
    assert "other" not in re.sub(r"[Tt]he others?|another", "", text)
    assert rows((await olga.get("/trouble?tenant=other")).text) == []
    stranger = Visitor(scene.url)
    assert (await stranger.get("/trouble")).status_code == 303
    for one in (olga, stranger):
        await one.client.aclose()


async def test_repairs_are_offered_only_at_tenants_where_the_person_is_an_operator(
    scene: Scene,
) -> None:
    person = await scene.person("olga", "operator")
    pages = scene.console.parts.pages
    assert pages is not None
    await pages.people.set_role("other", person, "viewer")
    olga = await visitor_of(scene, "olga")
    text = (await olga.get("/trouble")).text
    assert rows(text) == FILES + RECORDS and "palabra" not in text
    assert set(re.findall(r'action="/t/(\w+)/repairs"', text)) == {"acme"}
    form = {"reason": "media_gone"}
    planned = await olga.post("/t/acme/repairs", form, at="/trouble")
    assert planned.status_code == 303 and "/t/acme/repairs/" in planned.headers["location"]
    assert (await olga.post("/t/other/repairs", form, at="/trouble")).status_code == 403
    await olga.client.aclose()


async def test_each_row_leads_to_its_records_and_an_example_without_content(scene: Scene) -> None:
    ana = await visitor_of(scene, "ana")
    text = (await ana.get("/trouble?tenant=other")).text
    links = set(re.findall(r'href="(/t/other/(?:trouble/|m/)[^"]+)"', text))
    assert len(links) >= 4
    for link in links:
        assert (await ana.get(link.replace("&amp;", "&"))).status_code == 200, link
    await ana.client.aclose()


async def test_a_role_that_was_taken_away_is_gone_from_the_page_at_once(scene: Scene) -> None:
    person = await scene.person("olga", "viewer")
    pages = scene.console.parts.pages
    assert pages is not None
    await pages.people.set_role("other", person, "viewer")
    olga = await visitor_of(scene, "olga")
    assert {row[2] for row in rows((await olga.get("/trouble")).text)} == {"acme", "other"}
    await pages.people.end_role("other", person)
    assert {row[2] for row in rows((await olga.get("/trouble")).text)} == {"acme"}
    await olga.client.aclose()


@pytest.mark.parametrize("wait_seconds", [20.0, 0.0], ids=["all", "newest"])
async def test_all_records_in_quarantine_are_counted_or_the_page_says_that_they_are_not(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, wait_seconds: float
) -> None:
    monkeypatch.setattr(counting, "MOST_COUNTED", 1)
    monkeypatch.setattr(counting, "FEWEST_COUNTED", 1)
    monkeypatch.setattr(counting, "WAIT_SECONDS", wait_seconds)
    visitor = await visitor_of(scene, "ana")
    everywhere = (await visitor.get("/trouble")).text.partition('class="refusals"')[2]
    other = (await visitor.get("/t/other/trouble")).text.partition('class="refusals"')[2]
    await visitor.client.aclose()
    counts = [int(one) for one in re.findall(r"<strong>(\d+)</strong>", everywhere + other)]
    assert sorted(counts) == ([1, 2, 2] if wait_seconds else [1, 1, 1])
    assert ("newest refused records" in everywhere) == (wait_seconds == 0)
    assert ("newest refused records" in other) == (wait_seconds == 0)
