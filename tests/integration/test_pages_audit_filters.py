"""The filters of the audit log and of its export, and the keys that entries name."""

import csv
import io
import re
from collections.abc import AsyncIterator

import pytest

from schemas.records import Attachment
from schemas.settings import Settings
from schemas.tenants import key_id
from schemas.topics import Names
from tests.browser.scene import PASSWORD, Redone, Scene, said, staged
from tests.integration.people import Visitor

LOST = Attachment(
    index=0, type="image", status="failed", reason="media_not_found", original_url="https://x/1"
)
NOTE = (
    "INSERT INTO audit_log (tenant_id, action, detail, actor, at)"
    " SELECT 'acme', 'media_seen', 'entry ' || n, $1, $2::text::timestamptz FROM generate_series(1, $3) AS n"
)


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace), Redone()) as made:
        await made.console.write(said("g1", 2, None, LOST))
        yield made


@pytest.fixture
async def visitor(scene: Scene) -> AsyncIterator[Visitor]:
    await scene.person("adam", "admin")
    made = Visitor(scene.url)
    await made.log_in("adam", PASSWORD)
    made.client.cookies.set("tz", "America/Mexico_City")
    yield made
    await made.client.aclose()


async def shown(visitor: Visitor, query: str) -> list[str]:
    """The details on the page with these filters, which the export has too."""
    page = (await visitor.get(f"/t/acme/audit?{query}")).text
    details = re.findall(r'<td class="break">(entry \d+)</td>', page)
    export = re.search(r'href="(/t/acme/audit\.csv[^"]*)"', page)
    assert export is not None
    text = (await visitor.get(export[1].replace("&amp;", "&"))).text
    rows = list(csv.reader(io.StringIO(text)))[1:]
    assert [row[3] for row in rows if row[3].startswith("entry")] == details
    return details


async def test_entries_of_a_span_of_time_are_shown_in_the_zone_of_the_person(
    scene: Scene, visitor: Visitor
) -> None:
    for hour in (5, 6, 7):
        at = f"2026-03-01T{hour:02}:00:00Z"  # 23:00, 0:00 and 1:00 in Mexico
        await scene.console.connection.execute(
            NOTE.replace("'entry ' || n", f"'entry {hour}'"), "eve", at, 1
        )
    assert await shown(visitor, "actor=eve") == ["entry 7", "entry 6", "entry 5"]
    assert await shown(visitor, "since=2026-03-01T00:00") == ["entry 7", "entry 6"]
    assert await shown(visitor, "until=2026-03-01T00:00") == ["entry 5"]
    span = "since=2026-03-01T00:00&until=2026-03-01T01:00"
    assert await shown(visitor, span) == ["entry 6"]
    assert await shown(visitor, f"{span}&actor=eve&action=media_seen") == ["entry 6"]
    assert await shown(visitor, f"{span}&actor=adam") == []
    page = (await visitor.get(f"/t/acme/audit?{span}")).text
    assert 'value="2026-03-01T00:00"' in page and "America/Mexico_City" in page
    log = (await visitor.get("/t/acme/audit?action=audit_exported")).text
    assert "eve media_seen from 2026-03-01T06:00:00Z to 2026-03-01T07:00:00Z" in log
    for path in ("audit", "audit.csv"):
        assert (await visitor.get(f"/t/acme/{path}?since=yesterday")).status_code == 422


async def test_older_entries_keep_the_filters(scene: Scene, visitor: Visitor) -> None:
    await scene.console.connection.execute(NOTE, "eve", "2026-03-01T06:00:00Z", 130)
    await scene.console.connection.execute(NOTE, "eve", "2026-03-02T06:00:00Z", 30)
    page = (await visitor.get("/t/acme/audit?actor=eve&until=2026-03-02T00:00")).text
    assert page.count('<td class="break">entry') == 100
    older = re.search(r'class="more" href="(\?[^"]+)"', page)
    assert older is not None
    page = (await visitor.get(f"/t/acme/audit{older[1].replace('&amp;', '&')}")).text
    assert page.count('<td class="break">entry') == 30 and 'class="more"' not in page


async def test_a_person_and_an_action_of_long_ago_are_found(scene: Scene, visitor: Visitor) -> None:
    await scene.console.connection.execute(NOTE, "old.eve", "2026-03-01T06:00:00Z", 1)
    await scene.console.connection.execute(NOTE, "busy", "2026-03-02T06:00:00Z", 2_001)
    page = (await visitor.get("/t/acme/audit")).text
    assert '<option value="busy">' in page and "old.eve" not in page
    assert '<option value="conversation_unmasked">' in page  # of which there is none
    assert await shown(visitor, "actor=old.eve") == ["entry 1"]
    assert await shown(visitor, "actor=+old.eve+") == ["entry 1"]


async def test_entries_of_a_key_name_the_key_and_not_its_secret(
    scene: Scene, visitor: Visitor
) -> None:
    console = scene.console
    key = console.keys["acme", "admin"]
    plan = await console.get(
        "/api/repairs/plan?reason=media_not_found", scope="admin", method="POST"
    )
    assert plan.status_code == 200
    repair_id = plan.json()["repair_id"]
    await console.get(f"/api/repairs/{repair_id}/cancel", scope="admin", method="POST")
    ids = await console.connection.fetch("SELECT key_id FROM api_keys WHERE tenant_id = 'acme'")
    assert key_id(key) in {row["key_id"] for row in ids}
    rows = await console.connection.fetch(
        "SELECT action, actor FROM audit_log WHERE action LIKE 'repair_%' ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [
        ("repair_planned", key_id(key)),
        ("repair_cancelled", key_id(key)),
    ]
    page = (await visitor.get(f"/t/acme/audit?actor={key_id(key)}")).text
    assert page.count(f"<td>{key_id(key)}</td>") == 2 and key not in page
