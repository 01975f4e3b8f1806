"""What the audit log notes of logins and plans, and what a list marks as set aside."""

from collections.abc import AsyncIterator

import pytest

from schemas.records import Attachment
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.repairs import MOST_TRIES
from tests.browser.scene import PASSWORD, Redone, Scene, said, staged
from tests.integration.console import key_of
from tests.integration.people import Visitor
from tests.integration.waiting import until

LOST = Attachment(
    index=0, type="image", status="failed", reason="media_not_found", original_url="https://x/1"
)


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace), Redone()) as made:
        await made.console.write(said("g1", 2, None, LOST), said("g2", 1, None, LOST))
        yield made


@pytest.fixture
async def visitor(scene: Scene) -> AsyncIterator[Visitor]:
    made = Visitor(scene.url)
    yield made
    await made.client.aclose()


async def noted(scene: Scene, action: str) -> list[tuple[str, str, str]]:
    rows = await scene.console.connection.fetch(
        "SELECT tenant_id, actor, detail FROM audit_log WHERE action = $1 ORDER BY id", action
    )
    return [tuple(row) for row in rows]


async def test_a_failed_login_of_an_account_and_a_logout_are_noted(
    scene: Scene, visitor: Visitor
) -> None:
    await visitor.log_in("my-secret-by-mistake", "wrong")  # of no account: not noted
    await visitor.log_in("ana", "wrong")

    async def is_noted() -> bool:
        return await noted(scene, "login_failed") == [("*", "ana", "127.0.0.1")]

    await until(is_noted)
    await visitor.log_in("ana", PASSWORD)
    await visitor.post("/logout", {}, at="/t/acme/conversations")
    assert await noted(scene, "logout") == [("*", "ana", "")]
    assert len(await noted(scene, "login_failed")) == 1
    await visitor.log_in("ana", PASSWORD)
    page = (await visitor.get("/t/acme/audit")).text
    assert "failed to log in" in page and "logged out" in page


async def test_a_plan_is_noted_when_it_is_made_and_a_refused_one_is_not(
    scene: Scene, visitor: Visitor
) -> None:
    await visitor.log_in("ana", PASSWORD)
    refused = await visitor.post("/t/acme/repairs", {"reason": "none"}, at="/t/acme/trouble")
    assert refused.status_code == 409 and await noted(scene, "repair_planned") == []
    form = {"reason": "media_not_found"}
    planned = await visitor.post("/t/acme/repairs", form, at="/t/acme/trouble")
    repair_id = planned.headers["location"].rpartition("/")[2]
    detail = f"{repair_id} attachments media_not_found: 2 records"
    assert await noted(scene, "repair_planned") == [("acme", "ana", detail)]


async def test_files_that_are_set_aside_are_marked_in_their_list(
    scene: Scene, visitor: Visitor
) -> None:
    await visitor.log_in("ana", PASSWORD)
    listed = "/t/acme/trouble/files?reason=media_not_found"
    tried = "INSERT INTO repair_tries (tenant_id, message_key, reason, tries) VALUES ('acme', $1, $2, $3)"
    for key, reason, tries in (
        ("g1", "media_not_found", MOST_TRIES - 1),
        ("g2", "model_timeout", MOST_TRIES),  # for another reason
    ):
        await scene.console.connection.execute(tried, key_of(key), reason, tries)
    assert "set aside" not in (await visitor.get(listed)).text
    await scene.console.connection.execute(
        "UPDATE repair_tries SET tries = $1 WHERE reason = 'media_not_found'", MOST_TRIES
    )
    page = (await visitor.get(listed)).text
    assert page.count("/t/acme/m/") == 2 and page.count("set aside") == 1
