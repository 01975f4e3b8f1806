import csv
import io
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.console.pages import audit
from connectors.console.pages.audit import as_csv
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from storage.postgres.directory import digest
from storage.postgres.tenancy import Tenancy
from tests.browser.scene import PASSWORD, Scene
from tests.integration.people import Visitor

PAGE = "/t/acme/tenants"


@pytest.fixture
def visitor(adam: Visitor) -> Visitor:
    return adam


async def test_a_key_is_created_shown_once_and_revoked(scene: Scene, visitor: Visitor) -> None:
    shown = await visitor.send("/t/acme/keys", {"name": "bot 1", "scope": "read"}, at=PAGE)
    found = re.search(r"sk_read_[\w-]{40,}", shown.text)
    assert shown.status_code == 200 and found is not None
    database = scene.console.connection
    key_id = await database.fetchval(
        "SELECT key_id FROM api_keys WHERE key_sha256 = $1", digest(found[0])
    )
    again = (await visitor.get(PAGE)).text
    assert found[0] not in again and key_id in again and "bot 1" in again
    assert (await visitor.post(f"/t/acme/keys/{key_id}/revoke", {}, at=PAGE)).status_code == 303
    assert key_id not in (await visitor.get(PAGE)).text
    rows = await database.fetch(
        "SELECT actor, action, detail FROM audit_log WHERE action IN ('key_added', 'key_revoked') AND actor <> ''"
    )
    named = f"{key_id} read bot 1"
    assert [tuple(row) for row in rows] == [
        ("adam", "key_added", named),
        ("adam", "key_revoked", named),
    ]


async def test_to_load_the_page_of_a_new_key_again_makes_no_other_one(
    scene: Scene, visitor: Visitor
) -> None:
    count = "SELECT count(*) FROM api_keys"
    before = await scene.console.connection.fetchval(count)
    made = await visitor.post("/t/acme/keys", {"name": "bot 1", "scope": "read"}, at=PAGE)
    assert made.status_code == 303 and "sk_read" not in made.text
    pages = [(await visitor.get(made.headers["location"])).text for _ in range(3)]
    assert [page.count("sk_read_") for page in pages] == [1, 0, 0]
    assert ["was shown once" in page for page in pages] == [False, True, True]
    assert await scene.console.connection.fetchval(count) == before + 1


async def test_keys_and_endpoints_of_another_tenant_stay(scene: Scene, visitor: Visitor) -> None:
    database = scene.console.connection
    foreign = await database.fetchval(
        "SELECT key_id FROM api_keys WHERE tenant_id = 'other' LIMIT 1"
    )
    tenancy = Tenancy(database, scene.console.vault)
    endpoint = await tenancy.add_endpoint(
        "other", "ycloud", secret="s", unsigned=False, api_key=None
    )
    for path in (
        f"keys/{foreign}/revoke",
        f"endpoints/{endpoint.endpoint_id}/rotate",
        f"endpoints/{endpoint.endpoint_id}/drop",
    ):
        assert (await visitor.post(f"/t/acme/{path}", {}, at=PAGE)).status_code == 404, path
    assert await database.fetchval("SELECT count(*) FROM api_keys WHERE key_id = $1", foreign) == 1
    for scope, name in (("root", "x"), ("read", "x" * 101)):
        form = {"scope": scope, "name": name}
        assert (await visitor.post("/t/acme/keys", form, at=PAGE)).status_code == 422


async def test_a_secret_is_rotated_with_both_live_until_the_old_one_ends(
    scene: Scene, visitor: Visitor
) -> None:
    tenancy = Tenancy(scene.console.connection, scene.console.vault)
    made = await tenancy.add_endpoint(
        "acme", "ycloud", secret="first", unsigned=False, api_key=None
    )
    path = f"/t/acme/endpoints/{made.endpoint_id}"
    shown = await visitor.send(f"{path}/rotate", {}, at=PAGE)
    assert 'id="shown-once"' in shown.text and made.token not in shown.text
    both = await tenancy.endpoint_of("acme", "ycloud")
    assert both is not None and len(both.secrets) == 2 and both.secrets[0] in shown.text
    old = both.secret_ids()[1]
    assert (await visitor.post(f"{path}/drop", {"secret": old}, at=PAGE)).status_code == 303
    left = await tenancy.endpoint_of("acme", "ycloud")
    assert left is not None and left.secrets == both.secrets[:1]
    assert both.secrets[0] not in (await visitor.get(PAGE)).text


async def test_the_audit_log_is_filtered_paged_and_exported(scene: Scene, visitor: Visitor) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    for number in range(105):
        await pages.people.note("acme", "eve", "media_seen", f"file {number}")
    await pages.people.note("other", "eve", "media_seen", "secret of other")
    first = (await visitor.get("/t/acme/audit?actor=eve")).text
    assert first.count("opened a file</span>") == 100 and "file 104" in first
    older = re.search(r"before=(\d+)", first)
    assert older is not None
    second = (await visitor.get(f"/t/acme/audit?actor=eve&before={older[1]}")).text
    assert second.count("opened a file</span>") == 5
    assert "opened a file</span>" not in (await visitor.get("/t/acme/audit?action=nosuch")).text
    exported = (await visitor.get("/t/acme/audit.csv?actor=eve")).text
    rows = list(csv.reader(io.StringIO(exported)))
    assert len(rows) == 106 and "secret of other" not in exported


def test_an_export_runs_nothing_in_a_spreadsheet() -> None:
    at = datetime(2026, 7, 14, tzinfo=UTC)
    row = {"at": at, "actor": "=cmd", "action": "x", "detail": "@SUM(1)", "tenant_id": "acme"}
    assert list(csv.reader(io.StringIO(as_csv([row])))) == [
        [at.isoformat(), "'=cmd", "x", "'@SUM(1)", "acme"],
    ]


async def test_an_export_has_every_entry_however_many_there_are(
    scene: Scene, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PORTION", 10)
    pages = scene.console.parts.pages
    assert pages is not None
    for number in range(40):  # so that the last portion is a full one, too
        await pages.people.note("acme", "eve", "media_seen", f"file {number}")
    exported = (await visitor.get("/t/acme/audit.csv?actor=eve")).text
    rows = list(csv.reader(io.StringIO(exported)))[1:]
    assert [row[3] for row in rows] == [f"file {number}" for number in reversed(range(40))]


async def test_an_export_that_breaks_off_says_so_and_where_to_continue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit, "PORTION", 1)
    entry = {"id": 77, "at": datetime.now(UTC), "actor": "eve", "action": "x", "detail": ""}

    class Away:
        async def fetch(self, *_: object) -> list[Any]:
            raise Unavailable("Postgres")

    wanted = audit.AuditFilter(("acme",), 99, "", "")
    reading: Any = Away()
    lines = [
        line
        async for line in audit.whole_table(
            reading, TenantId("acme"), wanted, [entry | {"tenant_id": "acme"}]
        )
    ]
    assert "INCOMPLETE" in lines[-1] and "before=77" in lines[-1] and len(lines) == 3


async def test_what_was_done_to_every_tenant_is_shown_to_admins_of_all_only(
    scene: Scene, visitor: Visitor
) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    await pages.people.note("*", "root", "password_set", "somebody")
    chief = Visitor(scene.url)
    await chief.log_in("ana", PASSWORD)
    for path in ("/t/acme/audit", "/t/acme/audit.csv"):
        assert "somebody" in (await chief.get(path)).text
        assert "somebody" not in (await visitor.get(path)).text
    await chief.client.aclose()
