import asyncio
from collections.abc import AsyncIterator

import pytest

from connectors.console.pages import repairing
from schemas.keys import TenantId
from schemas.records import Attachment
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.repairs import MOST_TRIES, RepairError
from tests.browser.scene import PASSWORD, Redone, Scene, said, staged
from tests.integration.console import problem
from tests.integration.people import Visitor
from tests.integration.waiting import until

ACME = TenantId("acme")
GONE = Attachment(
    index=0, type="image", status="failed", reason="media_gone", original_url="https://x/1"
)
LATE = Attachment(
    index=0, type="audio", status="failed", reason="model_timeout", original_url="https://x/2"
)
BARE = Attachment(index=0, type="image", status="failed", reason="media_unavailable")


@pytest.fixture
def redo() -> Redone:
    return Redone()


@pytest.fixture
async def scene(stack: Settings, namespace: str, redo: Redone) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace), redo) as made:
        for number in range(3):
            await made.console.write(said(f"g{number}", 60 - number, None, GONE))
        await made.console.write(said("t", 5, None, LATE), said("b", 4, None, BARE))
        await made.console.write(
            said("o", 5, None, GONE, tenant_id="other", message_key="other:ycloud:o")
        )
        yield made


@pytest.fixture
async def visitor(scene: Scene) -> AsyncIterator[Visitor]:
    made = Visitor(scene.url)
    await made.log_in("ana", PASSWORD)
    yield made
    await made.client.aclose()


async def state_of(scene: Scene, repair_id: str) -> str:
    pages = scene.console.parts.pages
    assert pages is not None
    found = await pages.repairs.one(ACME, repair_id)
    assert found is not None
    return str(found["state"])


async def test_trouble_is_counted_by_cause_and_leads_to_its_messages(visitor: Visitor) -> None:
    page = (await visitor.get("/t/acme/trouble")).text
    for reason in ("media_gone", "model_timeout", "media_unavailable"):
        assert f"<code>{reason}</code>" in page
    listed = (await visitor.get("/t/acme/trouble/files?reason=media_gone")).text
    assert listed.count("/t/acme/m/") == 3
    assert "/t/acme/m/" not in (await visitor.get("/t/acme/trouble/files?reason=nosuch")).text


async def test_a_repair_is_planned_confirmed_and_reported(
    scene: Scene, visitor: Visitor, redo: Redone
) -> None:
    planned = await visitor.post("/t/acme/repairs", {"reason": "media_gone"}, at="/t/acme/trouble")
    where = planned.headers["location"]
    assert "Start this repair" in (await visitor.get(where)).text and redo.asked == []
    await visitor.post(f"{where}/apply", {}, at=where)
    repair_id = where.rpartition("/")[2]

    async def is_done() -> bool:
        return await state_of(scene, repair_id) == "done"

    await until(is_done)
    keys = tuple(f"acme:ycloud:g{number}" for number in range(3))
    assert redo.asked == [("acme", "media_gone", keys, 7)]
    assert "Files being read again: 3" in (await visitor.get(where)).text
    rows = await scene.console.connection.fetch(
        "SELECT actor, action FROM audit_log WHERE action LIKE 'repair%'"
    )
    assert [tuple(row) for row in rows] == [("ana", "repair_applied")]
    again = await visitor.post(f"{where}/apply", {}, at="/t/acme/trouble")
    assert again.status_code == 409


async def test_what_has_no_file_and_no_address_cannot_be_planned(visitor: Visitor) -> None:
    for reason in ("media_unavailable", "nosuch", ""):
        answer = await visitor.post("/t/acme/repairs", {"reason": reason}, at="/t/acme/trouble")
        assert answer.status_code == 409, reason


async def test_a_repair_goes_on_where_it_stood_when_kafka_comes_back_or_the_console_restarts(
    scene: Scene, redo: Redone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repairing, "PORTION", 1)
    pages = scene.console.parts.pages
    assert pages is not None
    redo.away = True
    repair_id = await pages.repairs.plan(ACME, "media_gone", "x")
    await pages.repairs.apply(ACME, repair_id, 7)
    pages.work.hurry()

    async def is_troubled() -> bool:
        found = await pages.repairs.one(ACME, repair_id)
        return found is not None and found["trouble"] == "Kafka"

    await until(is_troubled)
    assert redo.asked == []
    redo.away = False
    await scene.console.connection.execute("UPDATE repairs SET held_until = NULL")
    pages.work.hurry()

    async def is_done() -> bool:
        return await state_of(scene, repair_id) == "done"

    await until(is_done)
    assert [keys for _, _, keys, _ in redo.asked] == [(f"acme:ycloud:g{n}",) for n in range(3)]


async def test_a_message_that_was_tried_three_times_is_set_aside(
    scene: Scene, redo: Redone
) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    for number in range(MOST_TRIES + 1):
        repair_id = await pages.repairs.plan(ACME, "model_timeout", "x")
        await pages.repairs.apply(ACME, repair_id, 7 + number)
        pages.work.hurry()

        async def is_done(repair_id: str = repair_id) -> bool:
            return await state_of(scene, repair_id) == "done"

        await until(is_done)
    assert len(redo.asked) == MOST_TRIES
    last = await pages.repairs.one(ACME, repair_id)
    assert last is not None and (last["redone"], last["set_aside"]) == (0, 1)


async def test_a_plan_ends_and_only_one_repair_of_a_tenant_runs(scene: Scene, redo: Redone) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    redo.away = True
    first = await pages.repairs.plan(ACME, "media_gone", "x")
    second = await pages.repairs.plan(ACME, "model_timeout", "x")
    await pages.repairs.apply(ACME, first, 7)
    with pytest.raises(RepairError):
        await pages.repairs.apply(ACME, second, 8)
    await pages.repairs.cancel(ACME, first)
    with pytest.raises(RepairError):
        await pages.repairs.cancel(ACME, first)
    await scene.console.connection.execute(
        "UPDATE repairs SET ends_at = now() WHERE state = 'planned'"
    )
    with pytest.raises(RepairError):
        await pages.repairs.apply(ACME, second, 8)


async def test_of_repairs_that_begin_at_once_one_runs(scene: Scene, redo: Redone) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    redo.away = True
    plans = [await pages.repairs.plan(ACME, "media_gone", "x") for _ in range(6)]
    begun = await asyncio.gather(
        *(pages.repairs.apply(ACME, plan, 7 + number) for number, plan in enumerate(plans)),
        return_exceptions=True,
    )
    assert sorted(isinstance(one, RepairError) for one in begun) == [False] + [True] * 5


async def test_a_button_that_is_clicked_twice_leads_to_what_runs(
    scene: Scene, visitor: Visitor, redo: Redone
) -> None:
    redo.away = True
    planned = await visitor.post("/t/acme/repairs", {"reason": "media_gone"}, at="/t/acme/trouble")
    where = planned.headers["location"]
    for _ in range(2):
        answer = await visitor.post(f"{where}/apply", {}, at="/t/acme/trouble")
        assert (answer.status_code, answer.headers["location"]) == (303, where)


async def test_programs_repair_with_an_admin_key_and_only_their_tenant(
    scene: Scene, redo: Redone
) -> None:
    console = scene.console
    plan = await console.get("/api/repairs/plan?reason=media_gone", scope="admin", method="POST")
    document = plan.json()
    assert plan.status_code == 200 and (document["messages"], document["files"]) == (
        3,
        {"image": 3},
    )
    path = f"/api/repairs/{document['repair_id']}"
    problem(await console.get(path, scope="read"), 403)
    problem(await console.get(path, tenant="other", scope="admin"), 404)
    problem(await console.get(f"{path}/apply", tenant="other", scope="admin", method="POST"), 404)
    problem(await console.get("/api/repairs/plan?reason=nosuch", scope="admin", method="POST"), 404)
    begun = await console.get(f"{path}/apply", scope="admin", method="POST")
    assert begun.json()["state"] == "running"

    async def is_done() -> bool:
        return bool((await console.get(path, scope="admin")).json()["state"] == "done")

    await until(is_done)
    assert [asked[:2] for asked in redo.asked] == [("acme", "media_gone")]
    problem(await console.get(f"{path}/cancel", scope="admin", method="POST"), 409)


async def test_a_removed_tenant_leaves_no_role_and_no_repair(scene: Scene) -> None:
    from storage.postgres.tenancy import Tenancy

    await scene.person("luz", "reader")
    pages = scene.console.parts.pages
    assert pages is not None
    await pages.repairs.plan(ACME, "media_gone", "x")
    await Tenancy(scene.console.connection, scene.console.vault).remove_tenant(
        "acme", keep_data=True
    )
    for table in ("people_roles", "repairs"):
        left = await scene.console.connection.fetchval(
            f"SELECT count(*) FROM {table} WHERE tenant_id = 'acme'"
        )
        assert left == 0, table
