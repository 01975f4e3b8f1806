import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from connectors.console.pages.repairing import repair_request_of
from schemas.keys import TenantId
from schemas.records import Attachment
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.repair_plans import (
    Counted,
    RepairChoice,
    RepairError,
    RepairLost,
    RepairRequest,
)
from storage.postgres.repairs import MOST_TRIES
from streams.repair import applying
from tests.browser.scene import Redone, Scene, said, staged
from tests.integration.console import problem
from tests.integration.people import Visitor
from tests.integration.waiting import until

ACME = TenantId("acme")
LOST = Attachment(
    index=0, type="image", status="failed", reason="media_not_found", original_url="https://x/1"
)
GONE = Attachment(
    index=0, type="image", status="failed", reason="media_gone", original_url="https://x/3"
)
LATE = Attachment(
    index=0, type="audio", status="failed", reason="model_timeout", original_url="https://x/2"
)
BARE = Attachment(index=0, type="image", status="failed", reason="media_unavailable")
RAW = Counted(9, (), RepairChoice(spans=("0:0-8",)), answers=2, paid_microusd=3_000)


@pytest.fixture
def redo() -> Redone:
    return Redone()


@pytest.fixture
async def scene(stack: Settings, namespace: str, redo: Redone) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace), redo) as made:
        for number in range(3):
            await made.console.write(said(f"g{number}", 60 - number, None, LOST))
        await made.console.write(said("t", 5, None, LATE), said("b", 4, None, BARE))
        await made.console.write(
            said("o", 5, None, LOST, tenant_id="other", message_key="other:ycloud:o")
        )
        yield made


async def state_of(scene: Scene, repair_id: str) -> str:
    pages = scene.console.parts.pages
    assert pages is not None
    found = await pages.repairs.one(ACME, repair_id)
    assert found is not None
    return str(found["state"])


async def test_trouble_is_counted_by_cause_and_leads_to_its_messages(visitor: Visitor) -> None:
    page = (await visitor.get("/t/acme/trouble")).text
    for reason in ("media_not_found", "model_timeout", "media_unavailable"):
        assert f"<code>{reason}</code>" in page
    listed = (await visitor.get("/t/acme/trouble/files?reason=media_not_found")).text
    assert listed.count("/t/acme/m/") == 3
    assert "/t/acme/m/" not in (await visitor.get("/t/acme/trouble/files?reason=nosuch")).text


async def test_a_repair_is_planned_confirmed_and_reported(
    scene: Scene, visitor: Visitor, redo: Redone
) -> None:
    planned = await visitor.post(
        "/t/acme/repairs", {"reason": "media_not_found"}, at="/t/acme/trouble"
    )
    where = planned.headers["location"]
    assert "Start this repair" in (await visitor.get(where)).text and redo.asked == []
    await visitor.post(f"{where}/apply", {}, at=where)
    repair_id = where.rpartition("/")[2]

    async def is_done() -> bool:
        return await state_of(scene, repair_id) == "done"

    await until(is_done)
    keys = tuple(f"acme:ycloud:g{number}" for number in range(3))
    assert redo.asked == [("acme", "media_not_found", keys, 7)]
    assert "Files being read again: 3" in (await visitor.get(where)).text
    rows = await scene.console.connection.fetch(
        "SELECT actor, action FROM audit_log WHERE action LIKE 'repair%' ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [("ana", "repair_planned"), ("ana", "repair_applied")]
    again = await visitor.post(f"{where}/apply", {}, at="/t/acme/trouble")
    assert again.status_code == 409


async def test_what_has_no_file_and_no_address_cannot_be_planned(visitor: Visitor) -> None:
    for reason in ("media_unavailable", "nosuch", ""):
        answer = await visitor.post("/t/acme/repairs", {"reason": reason}, at="/t/acme/trouble")
        assert answer.status_code == 409, reason


async def test_files_that_the_provider_no_longer_has_are_counted_and_left_out(
    scene: Scene, visitor: Visitor, redo: Redone
) -> None:
    write, kept = scene.console.write, msgspec.structs.replace(GONE, url="/media/acme/kept.jpg")
    await write(*(said(f"n{number}", 9, None, GONE) for number in range(2)))
    form = {"reason": "media_gone"}
    planned = await visitor.post("/t/acme/repairs", form, at="/t/acme/trouble")
    where = planned.headers["location"]
    page = (await visitor.get(where)).text
    assert "2 files cannot be retried" in page and "Start this repair" not in page
    assert (await visitor.post(f"{where}/apply", {}, at="/t/acme/trouble")).status_code == 409
    await write(said("n9", 1, None, kept))  # ours is away: it may come back from a backup
    await until_done(scene, await applied(scene, reason="media_gone"))
    assert [keys for _, _, keys, _ in redo.asked] == [("acme:ycloud:n9",)]
    insisted = await visitor.post("/t/acme/repairs", form | {"with_gone": "1"}, at=where)
    where = insisted.headers["location"]
    page = (await visitor.get(where)).text
    assert "cannot be retried" not in page and "Start this repair" in page
    await visitor.post(f"{where}/apply", {}, at=where)
    await until_done(scene, where.rpartition("/")[2])
    tried = {key for _, _, keys, _ in redo.asked for key in keys}
    assert tried == {"acme:ycloud:n0", "acme:ycloud:n1", "acme:ycloud:n9"}


async def test_a_program_learns_that_files_are_gone_and_may_try_them_all_the_same(
    scene: Scene, redo: Redone
) -> None:
    await scene.console.write(said("n", 9, None, GONE))
    plan, post = "/api/repairs/plan?reason=media_gone", {"scope": "admin", "method": "POST"}
    document = (await scene.console.get(plan, **post)).json()
    assert (document["messages"], document["gone_files"]) == (0, 1)
    assert [line["becomes"] for line in document["lines"]] == ["gone"]
    refused = await scene.console.get(f"/api/repairs/{document['repair_id']}/apply", **post)
    assert "Ask the senders" in problem(refused, 409)["detail"]
    document = (await scene.console.get(f"{plan}&with_gone=true", **post)).json()
    assert (document["messages"], document["gone_files"]) == (1, 0)


async def applied(scene: Scene, kind: str = "attachments", **chosen: str) -> str:
    """A repair of acme that has begun."""
    pages = scene.console.parts.pages
    assert pages is not None
    asked = repair_request_of(ACME, "x", kind, chosen)
    repair_id = await pages.work.plan(asked)
    await pages.work.begin(asked, repair_id, 1000.0)
    return repair_id


async def until_done(scene: Scene, repair_id: str) -> None:
    async def is_done() -> bool:
        return await state_of(scene, repair_id) == "done"

    await until(is_done)


async def found_of(scene: Scene, repair_id: str) -> dict[str, Any]:
    pages = scene.console.parts.pages
    assert pages is not None
    found = await pages.repairs.one(ACME, repair_id)
    assert found is not None
    return found


async def test_a_repair_continues_where_it_was_when_kafka_comes_back(
    scene: Scene, redo: Redone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applying, "MOST_RECORDS", 1)
    redo.away = True
    repair_id = await applied(scene, reason="media_not_found")

    async def is_troubled() -> bool:
        return bool((await found_of(scene, repair_id))["trouble"] == "Kafka")

    await until(is_troubled)
    assert redo.asked == []
    redo.away = False
    await scene.console.connection.execute("UPDATE repairs SET held_until = NULL")
    await until_done(scene, repair_id)
    assert [keys for _, _, keys, _ in redo.asked] == [(f"acme:ycloud:g{n}",) for n in range(3)]


async def test_a_portion_that_was_written_before_a_crash_is_settled_and_not_written_twice(
    scene: Scene, redo: Redone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applying, "MOST_RECORDS", 1)
    redo.dies = 2
    repair_id = await applied(scene, reason="media_not_found")

    async def is_over() -> bool:
        await scene.console.connection.execute("UPDATE repairs SET held_until = NULL")
        return await state_of(scene, repair_id) == "done"

    await until(is_over)
    keys = [keys for _, _, keys, _ in redo.asked]
    assert keys == [(f"acme:ycloud:g{number}",) for number in range(3)]
    found = await found_of(scene, repair_id)
    assert (found["looked"], found["redone"]) == (3, 3)


async def test_a_process_that_lost_a_repair_to_another_one_settles_nothing(scene: Scene) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    asked = repair_request_of(ACME, "x", "attachments", {"reason": "media_not_found"})
    for task in asyncio.all_tasks():
        if task.get_name() == "repair-loop":
            task.cancel()
    repair_id = await pages.work.plan(asked)
    await pages.repairs.apply(ACME, repair_id, 7, "x", holder="first")
    first = await pages.repairs.hold("first", repair_id)
    assert first is not None and await pages.repairs.hold("second", repair_id) is None
    intent = await pages.repairs.following(first, 1)
    assert intent is not None and await pages.repairs.intend(first, intent)
    await scene.console.connection.execute("UPDATE repairs SET held_until = now()")
    second = await pages.repairs.hold("second", repair_id)
    assert second is not None and second.intent == intent
    with pytest.raises(RepairLost):
        await pages.repairs.settle(first, intent)
    await pages.repairs.settle(second, intent)
    assert (await found_of(scene, repair_id))["looked"] == 1
    assert not await pages.repairs.intend(first, intent)
    await pages.repairs.cancel(ACME, repair_id, "x")
    assert not await pages.repairs.intend(second, intent)


async def test_a_message_that_was_tried_three_times_is_set_aside(
    scene: Scene, redo: Redone
) -> None:
    for _ in range(MOST_TRIES):
        await until_done(scene, await applied(scene, reason="model_timeout"))
    assert len(redo.asked) == MOST_TRIES
    with pytest.raises(RepairError):  # nothing is left that another try could help
        await applied(scene, reason="model_timeout")
    await scene.console.write(said("t2", 3, None, LATE))
    last = await applied(scene, reason="model_timeout")
    counted = (await found_of(scene, last))["files"]
    assert {line.becomes: line.records for line in counted.lines} == {"again": 1, "set_aside": 1}
    await until_done(scene, last)
    found = await found_of(scene, last)
    assert (found["redone"], found["set_aside"]) == (1, 1)


async def test_a_plan_ends_and_only_one_repair_of_a_kind_runs_at_a_tenant(
    scene: Scene, redo: Redone
) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    redo.away = True
    asked = repair_request_of(ACME, "x", "attachments", {"reason": "model_timeout"})
    second = await pages.work.plan(asked)
    first = await applied(scene, reason="media_not_found")
    with pytest.raises(RepairError) as refused:
        await pages.work.begin(asked, second)
    assert refused.value.args[:2] == ("repair.cannot_begin", first)
    await pages.repairs.cancel(ACME, first, "x")
    with pytest.raises(RepairError):
        await pages.repairs.cancel(ACME, first, "x")
    await scene.console.connection.execute(
        "UPDATE repairs SET ends_at = now() WHERE state = 'planned'"
    )
    with pytest.raises(RepairError):
        await pages.work.begin(asked, second)


async def test_of_repairs_that_begin_at_once_one_runs(scene: Scene, redo: Redone) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    redo.away = True
    asked = repair_request_of(ACME, "x", "attachments", {"reason": "media_not_found"})
    plans = [await pages.work.plan(asked) for _ in range(6)]
    begun = await asyncio.gather(
        *(pages.work.begin(asked, plan) for plan in plans), return_exceptions=True
    )
    assert sorted(isinstance(one, RepairError) for one in begun) == [False] + [True] * 5


async def refuse(scene: Scene, offset: int, **fields: Any) -> None:
    """Puts a record of acme into quarantine."""
    row = {"tenant_id": "acme", "stage": "dedupe", "reason": "not_json", "topic": "raw-messages"}
    row |= fields
    await scene.console.connection.execute(
        """INSERT INTO quarantined_messages (tenant_id, stage, reason, topic, record_key, partition, "offset", detail,
               created_at, key, value, program_version)
           VALUES ($1, $2, $3, $4, $5, 0, $6, 'detail-clave', now(), 'k', $7, '1')""",
        *(row["tenant_id"], row["stage"], row["reason"], row["topic"]),
        *(f"{row['tenant_id']}:ycloud:q{offset}", offset, row.get("value", b"body")),
    )


async def test_a_class_in_quarantine_is_planned_confirmed_and_sent_again(
    scene: Scene, visitor: Visitor, redo: Redone
) -> None:
    for offset in range(3):
        await refuse(scene, offset)
    await refuse(scene, 3, reason="stage_error")
    await refuse(scene, 4, tenant_id="other")
    page = (await visitor.get("/t/acme/trouble")).text
    assert "/t/acme/trouble/records?stage=dedupe&amp;reason=not_json" in page
    listed = (await visitor.get("/t/acme/trouble/records?stage=dedupe&reason=not_json")).text
    assert listed.count("raw-messages[0]@") == 2 * 3  # shown, and in the form of each
    form = {"kind": "quarantine", "stage": "dedupe", "reason": "not_json"}
    planned = await visitor.post("/t/acme/repairs", form, at="/t/acme/trouble")
    where = planned.headers["location"]
    await visitor.post(f"{where}/apply", {"rate": "1000"}, at=where)
    await until_done(scene, where.rpartition("/")[2])
    assert "Records sent again: 3" in (await visitor.get(where)).text
    keys = tuple(f"acme:ycloud:q{offset}" for offset in range(3))
    assert redo.asked == [("acme", "not_json", keys, 7)]
    states = await scene.console.connection.fetch(
        'SELECT "offset", state FROM quarantined_messages ORDER BY 1'
    )
    assert [row["state"] for row in states] == ["replayed"] * 3 + ["new"] * 2


async def test_a_record_that_comes_back_three_times_is_set_aside_and_listed(
    scene: Scene, visitor: Visitor, redo: Redone
) -> None:
    for offset in range(MOST_TRIES):  # the same bytes, refused again at another offset
        await refuse(scene, offset)
        await scene.console.connection.execute(
            "UPDATE quarantined_messages SET record_key = 'acme:ycloud:stubborn'"
        )
        await until_done(scene, await applied(scene, "quarantine"))
    await refuse(scene, 9)
    await scene.console.connection.execute(
        "UPDATE quarantined_messages SET record_key = 'acme:ycloud:stubborn'"
    )
    with pytest.raises(RepairError):
        await applied(scene, "quarantine")
    listed = (await visitor.get("/t/acme/trouble/records")).text
    assert "set aside" in listed and f">{MOST_TRIES}<br>" in listed
    assert len(redo.asked) == MOST_TRIES
    by_place = await applied(scene, "quarantine", place="raw-messages[0]@9")  # a person insists
    await until_done(scene, by_place)
    assert len(redo.asked) == MOST_TRIES + 1


async def test_jobs_and_receipts_are_not_sent_again(scene: Scene, redo: Redone) -> None:
    await refuse(scene, 1, stage="describe", topic="vision")
    await refuse(scene, 2, stage="sink", topic="receipts")
    with pytest.raises(RepairError):
        await applied(scene, "quarantine")
    await refuse(scene, 3)
    repair_id = await applied(scene, "quarantine")
    counted = (await found_of(scene, repair_id))["files"]
    assert {(line.what, line.becomes): line.records for line in counted.lines} == {
        ("dedupe", "again"): 1,
        ("describe", "job"): 1,
        ("sink", "refused"): 1,
    }
    await until_done(scene, repair_id)
    assert len(redo.asked) == 1


async def test_a_record_of_another_tenant_cannot_be_named(
    scene: Scene, visitor: Visitor, redo: Redone
) -> None:
    await refuse(scene, 5, tenant_id="other")
    for form in (
        {"kind": "quarantine", "place": "raw-messages[0]@5"},
        {"kind": "quarantine"},
        {"kind": "quarantine", "place": "nonsense"},
        {"kind": "nosuch"},
        {"kind": "raw"},
        {"kind": "raw", "since": "yesterday"},
    ):
        answer = await visitor.post("/t/acme/repairs", form, at="/t/acme/trouble")
        assert answer.status_code == 409, form
    assert redo.asked == []


async def test_a_cancelled_plan_is_not_begun(scene: Scene, visitor: Visitor, redo: Redone) -> None:
    planned = await visitor.post(
        "/t/acme/repairs", {"reason": "media_not_found"}, at="/t/acme/trouble"
    )
    where = planned.headers["location"]
    await visitor.post(f"{where}/cancel", {}, at=where)
    assert (await visitor.post(f"{where}/apply", {}, at="/t/acme/trouble")).status_code == 409
    assert "Stopped early" in (await visitor.get(where)).text and redo.asked == []


async def test_a_speed_that_is_none_is_refused(scene: Scene, visitor: Visitor) -> None:
    planned = await visitor.post(
        "/t/acme/repairs", {"reason": "media_not_found"}, at="/t/acme/trouble"
    )
    where = planned.headers["location"]
    for rate in ("0", "-1", "nan", "inf", "fast", "1001"):
        answer = await visitor.post(f"{where}/apply", {"rate": rate}, at=where)
        assert answer.status_code == 422, rate
    assert await state_of(scene, where.rpartition("/")[2]) == "planned"


async def test_a_button_that_is_clicked_twice_leads_to_what_runs(
    scene: Scene, visitor: Visitor, redo: Redone
) -> None:
    redo.away = True
    planned = await visitor.post(
        "/t/acme/repairs", {"reason": "media_not_found"}, at="/t/acme/trouble"
    )
    where = planned.headers["location"]
    for _ in range(2):
        answer = await visitor.post(f"{where}/apply", {}, at="/t/acme/trouble")
        assert (answer.status_code, answer.headers["location"]) == (303, where)


async def test_programs_repair_with_an_admin_key_and_only_their_tenant(
    scene: Scene, redo: Redone
) -> None:
    console = scene.console
    plan = await console.get(
        "/api/repairs/plan?reason=media_not_found", scope="admin", method="POST"
    )
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
    assert [asked[:2] for asked in redo.asked] == [("acme", "media_not_found")]
    problem(await console.get(f"{path}/cancel", scope="admin", method="POST"), 409)


async def test_raw_records_that_nobody_would_read_are_planned_by_no_page_and_no_program(
    scene: Scene, visitor: Visitor, redo: Redone
) -> None:
    redo.unread = True
    form = {"kind": "raw", "since": "2026-01-01T00:00"}
    answer = await visitor.post("/t/acme/repairs", form, at="/t/acme/trouble")
    assert answer.status_code == 409 and "nothing would read what it writes" in answer.text
    plan = "/api/repairs/plan?kind=raw&since=2026-01-01T00:00:00Z"
    refused = await scene.console.get(plan, scope="admin", method="POST")
    assert "nothing would read what it writes" in problem(refused, 409)["detail"]
    failed = await scene.console.get(
        "/api/repairs/plan?reason=media_not_found", scope="admin", method="POST"
    )
    assert failed.status_code == 200  # what is written for files is read by the stages of files
    redo.unread = False
    problem(await scene.console.get(plan, scope="admin", method="POST"), 404)  # nothing is there


@pytest.mark.parametrize(
    ("counted", "says"),
    [
        (msgspec.structs.replace(RAW, microusd=3_000), "the answers for them have cost $0.0030"),
        (
            msgspec.structs.replace(RAW, is_cost_whole=False),
            "not known: the answers for them have cost at least $0.0030",
        ),
        (
            msgspec.structs.replace(RAW, unpriced=2, paid_microusd=0),
            "not known: there are too many records",
        ),
    ],
    ids=["known", "more than was added up", "no price"],
)
async def test_a_plan_of_raw_records_says_what_is_known_of_the_cost(
    scene: Scene, visitor: Visitor, counted: Counted, says: str
) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    asked = RepairRequest(ACME, "raw", counted.choice, "ana")
    repair_id = await pages.repairs.add(asked, counted)
    page = (await visitor.get(f"/t/acme/repairs/{repair_id}")).text
    assert f"<dd>{says}" in page and "no recent calls" not in page


async def test_a_removed_tenant_leaves_no_role_and_no_repair(scene: Scene) -> None:
    from storage.postgres.tenancy import Tenancy

    await scene.person("luz", "reader")
    pages = scene.console.parts.pages
    assert pages is not None
    form = {"reason": "media_not_found"}
    await pages.work.plan(repair_request_of(ACME, "x", "attachments", form))
    await Tenancy(scene.console.connection, scene.console.vault).remove_tenant(
        "acme", keep_data=True
    )
    for table in ("people_roles", "repairs"):
        left = await scene.console.connection.fetchval(
            f"SELECT count(*) FROM {table} WHERE tenant_id = 'acme'"
        )
        assert left == 0, table
