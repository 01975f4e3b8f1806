"""The entries of the audit log about logins and plans."""

from collections.abc import AsyncIterator

import pytest

from schemas.records import Attachment
from schemas.settings import Settings
from schemas.topics import Names
from tests.browser.scene import PASSWORD, Redone, Scene, said, staged
from tests.integration.people import Visitor, noted, visiting
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
    async with visiting(scene) as made:
        yield made


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
    assert "failed to log in</span>" in page and "logged out</span>" in page


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
