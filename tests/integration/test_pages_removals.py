"""A tenant that is removed in the console: who may do it, what goes, and what a restart leaves undone."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import msgspec
import pytest

from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.people import PersonRole
from storage.postgres.tenancy import Tenancy
from storage.postgres.tenant_removals import TenantRemovals
from streams.repair import removing, tombstones
from streams.repair.removing import TenantRemoving
from tests.browser.scene import PASSWORD, Scene, said, staged
from tests.integration.console import key_of
from tests.integration.people import Visitor
from tests.integration.waiting import until
from tests.topics import make_topics

PAGE, LIST = "/t/acme/removal", "/tenants/removed"


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    """acme with two messages and a file, other with one of each."""
    async with staged(stack, Names(namespace)) as made:
        cat = await made.console.keep(b"meow", "image/png", "png", of="m1")
        dog = await made.console.keep(b"woof", "image/png", "png", tenant="other", of="o1")
        cat, dog = (msgspec.structs.replace(one, type="image", status="described", description="an animal") for one in (cat, dog))  # fmt: skip
        theirs = {"tenant_id": "other", "message_key": key_of("o1", "other")}
        await made.console.write(
            said("m1", 5, "hola", cat), said("m2", 4, "adiós"), said("o1", 3, "aquí", dog, **theirs)
        )
        yield made


@pytest.fixture
async def ana(scene: Scene) -> AsyncIterator[Visitor]:
    """An admin of every tenant."""
    visitor = Visitor(scene.url)
    await visitor.log_in("ana", PASSWORD)
    yield visitor
    await visitor.client.aclose()


def removals_of(scene: Scene) -> TenantRemovals:
    pages = scene.console.parts.pages
    assert pages is not None
    return TenantRemovals(pages.pool)


@asynccontextmanager
async def working(scene: Scene, stack: Settings, **kafka: Any) -> AsyncIterator[None]:
    """The background work of a console, until the block is left."""
    settings = msgspec.structs.replace(
        stack,
        namespace=scene.console.names.namespace,
        kafka=msgspec.structs.replace(stack.kafka, **kafka),
    )
    task = asyncio.create_task(TenantRemoving(settings, removals_of(scene)).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def removal(scene: Scene) -> dict[str, Any]:
    row = await scene.console.connection.fetchrow("SELECT * FROM tenant_removals")
    return {} if row is None else dict(row) | {"deleted": json.loads(row["deleted"])}


async def until_ended(scene: Scene) -> None:
    async def has_ended() -> bool:
        return (await removal(scene))["ended_at"] is not None

    await until(has_ended, what="the end of the deletion")


async def stored(scene: Scene, tenant: str) -> tuple[int, int]:
    """Numbers of messages and of files."""
    count = "SELECT count(*) FROM chat_messages WHERE tenant_id = $1"
    prefix = f"{scene.console.names.object_prefix}media/{tenant}/"
    files = [one async for one in scene.console.parts.store.list(prefix)]
    return await scene.console.connection.fetchval(count, tenant), len(files)


async def is_removed(scene: Scene, tenant: str) -> bool:
    found = "SELECT removed_at IS NOT NULL FROM tenants WHERE tenant_id = $1"
    return bool(await scene.console.connection.fetchval(found, tenant))


async def remove(ana: Visitor, **more: str) -> None:
    answer = await ana.post(PAGE, {"typed": "acme"} | more, at=PAGE)
    assert (answer.status_code, answer.headers.get("location")) == (303, LIST)


async def test_a_tenant_is_removed_by_typing_its_name_and_its_data_goes(
    scene: Scene, ana: Visitor, stack: Settings
) -> None:
    make_topics(stack.kafka, scene.console.names)
    assert f'href="{PAGE}"' in (await ana.get("/t/acme/tenants")).text
    asked = (await ana.get(PAGE)).text
    assert "<dt>Messages</dt><dd>2</dd><dt>Files</dt><dd>1</dd>" in asked
    for typed in ("", "other", "acm"):
        answer = await ana.post(PAGE, {"typed": typed}, at=PAGE)
        assert answer.status_code == 422, typed
    assert not await is_removed(scene, "acme")
    await remove(ana)
    page = (await ana.get(LIST)).text
    assert "data is being deleted" in page and 'http-equiv="refresh"' in page
    assert (await ana.get("/t/acme/conversations")).status_code == 404
    async with working(scene, stack):
        await until_ended(scene)
    page = (await ana.get(LIST)).text
    assert "data deleted" in page and "refresh" not in page
    assert "<dt>Messages deleted</dt><dd>2</dd><dt>Files deleted</dt><dd>1</dd>" in page
    assert (await removal(scene))["deleted"]["tombstones"] == 2
    assert (await stored(scene, "acme"), await stored(scene, "other")) == ((0, 0), (1, 1))
    keys = "SELECT DISTINCT tenant_id FROM api_keys"
    assert await scene.console.connection.fetchval(keys) == "other"


async def test_people_who_had_a_role_there_only_are_logged_out(scene: Scene, ana: Visitor) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    both = await scene.person("both", "reader")
    await pages.people.set_role("other", both, "reader")
    await scene.person("tom", "reader")
    visitors = {name: Visitor(scene.url) for name in ("tom", "both")}
    for name, visitor in visitors.items():
        await visitor.log_in(name, PASSWORD)
        await pages.people.add_link(scene.people[name])
    await remove(ana)
    answers = {name: await one.get("/t/other/conversations") for name, one in visitors.items()}
    assert answers["tom"].headers["location"].startswith("/login")
    assert answers["both"].status_code == 200
    links = "SELECT person_id FROM login_links"
    assert await scene.console.connection.fetchval(links) == both
    for visitor in visitors.values():
        await visitor.client.aclose()


async def test_the_log_says_who_removed_it_also_to_those_who_see_no_page_of_it_any_more(
    scene: Scene, ana: Visitor, stack: Settings
) -> None:
    make_topics(stack.kafka, scene.console.names)
    await remove(ana)
    async with working(scene, stack):
        await until_ended(scene)
    rows = await scene.console.connection.fetch(
        "SELECT tenant_id, actor, action FROM audit_log"
        " WHERE action IN ('tenant_removed', 'tenant_data_deleted') ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [
        ("acme", "ana", "tenant_removed"),
        ("*", "ana", "tenant_removed"),
        ("acme", "ana", "tenant_data_deleted"),
    ]
    log = (await ana.get("/t/other/audit")).text
    assert "removed the tenant" in log and "acme, data to be deleted" in log


@pytest.mark.parametrize("role", get_args(PersonRole))
async def test_nobody_of_one_tenant_removes_it(scene: Scene, role: PersonRole) -> None:
    await scene.person("tom", role)
    tom, stranger = Visitor(scene.url), Visitor(scene.url)
    await tom.log_in("tom", PASSWORD)
    forms = ((PAGE, {"typed": "acme"}), (LIST, {"name": "acme", "typed": "acme"}))
    for path, form in forms:
        assert (await tom.get(path)).status_code == 403
        answer = await tom.post(path, form, at="/t/acme/conversations")
        assert answer.status_code == 403
        assert (await stranger.get(path)).headers["location"].startswith("/login")
        assert (await stranger.post(path, form)).status_code == 401
    answer = await tom.post("/t/other/removal", {"typed": "other"}, at="/t/acme/conversations")
    assert answer.status_code == 404
    assert "removal" not in (await tom.get("/t/acme/tenants")).text
    assert not await is_removed(scene, "acme") and not await is_removed(scene, "other")
    for one in (tom, stranger):
        await one.client.aclose()


async def test_a_deletion_that_a_restart_interrupts_is_continued_by_another_console(
    scene: Scene, ana: Visitor, stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topics(stack.kafka, scene.console.names)
    await remove(ana)
    began = asyncio.Event()

    async def endless(_settings: Any, _connection: Any, _tenant: Any, deleted: Any) -> None:
        deleted.messages += 7
        began.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(removing, "delete_removed", endless)
        async with working(scene, stack):
            await asyncio.wait_for(began.wait(), 60)
            assert await removals_of(scene).hold("another") is None
    assert (await removal(scene))["ended_at"] is None
    async with working(scene, stack):
        await until_ended(scene)
    assert (await removal(scene))["deleted"]["messages"] == 9  # with those of before
    assert await stored(scene, "acme") == (0, 0)


async def test_a_hold_is_renewed_with_the_counts_so_far(
    scene: Scene, ana: Visitor, stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remove(ana)

    async def endless(_settings: Any, _connection: Any, _tenant: Any, deleted: Any) -> None:
        deleted.files = 3
        await asyncio.Event().wait()

    monkeypatch.setattr(removing, "delete_removed", endless)
    monkeypatch.setattr(removing, "RENEW_SECONDS", 0.05)
    async with working(scene, stack):

        async def is_written() -> bool:
            return (await removal(scene))["deleted"].get("files") == 3

        await until(is_written)
        first = (await removal(scene))["held_until"]

        async def is_renewed() -> bool:
            return bool((await removal(scene))["held_until"] > first)

        await until(is_renewed)
    assert "<dt>Files deleted</dt><dd>3</dd>" in (await ana.get(LIST)).text


async def test_a_deletion_waits_while_kafka_is_away_and_the_page_says_so(
    scene: Scene, ana: Visitor, stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "ACKNOWLEDGED_SECONDS", 0.5)
    await remove(ana)

    async def waits() -> bool:
        return (await removal(scene))["trouble"] != ""

    async with working(scene, stack, bootstrap_servers="127.0.0.1:1"):
        await until(waits)
        page = (await ana.get(LIST)).text
        assert "deletion waits" in page and "Waiting: Kafka is away" in page
    assert await stored(scene, "acme") == (2, 1)


async def test_a_process_that_does_not_renew_its_hold_loses_it(scene: Scene, ana: Visitor) -> None:
    await remove(ana)
    removals = removals_of(scene)
    first = await removals.hold("first")
    assert first is not None and (first.tenant_id, first.person) == ("acme", "ana")
    assert await removals.hold("second") is None
    await scene.console.connection.execute("UPDATE tenant_removals SET held_until = now()")
    second = await removals.hold("second")
    assert second is not None
    assert not await removals.renew(first, {"messages": 1})
    await removals.finish(first, {"messages": 1})
    assert (await removal(scene))["ended_at"] is None
    await removals.finish(second, {"messages": 2})
    assert (await removal(scene))["deleted"] == {"messages": 2}


async def test_data_that_was_kept_is_deleted_later_and_that_of_a_tenant_that_is_there_is_not(
    scene: Scene, ana: Visitor
) -> None:
    await remove(ana, keep_data="on")
    page = (await ana.get(LIST)).text
    assert "data kept" in page and "refresh" not in page
    assert await removals_of(scene).hold("x") is None and await stored(scene, "acme") == (2, 1)
    refused = [("acme", "", 422), ("acme", "other", 422), ("other", "other", 404), ("none", "none", 404), ("*", "*", 422)]  # fmt: skip
    for name, typed, status in refused:
        answer = await ana.post(LIST, {"name": name, "typed": typed}, at=LIST)
        assert answer.status_code == status, name
    assert not await is_removed(scene, "other")
    assert (await ana.post(LIST, {"name": "acme", "typed": "acme"}, at=LIST)).status_code == 303
    held = await removals_of(scene).hold("x")
    assert held is not None and held.tenant_id == "acme"


async def test_what_a_command_left_is_deleted_by_the_console(scene: Scene, ana: Visitor) -> None:
    tenancy = Tenancy(scene.console.connection, scene.console.vault)
    assert "No tenant was removed" in (await ana.get(LIST)).text
    await tenancy.remove_tenant("acme", keep_data=False)
    page = re.sub(r"\s+", " ", (await ana.get(LIST)).text)
    assert "data left" in page and await removals_of(scene).hold("x") is None
    await ana.post(LIST, {"name": "acme", "typed": "acme"}, at=LIST)
    assert "data is being deleted" in (await ana.get(LIST)).text


async def test_a_tenant_that_was_added_again_loses_nothing_until_it_is_removed_again(
    scene: Scene, ana: Visitor
) -> None:
    await remove(ana)
    await scene.console.connection.execute(
        "UPDATE tenants SET removed_at = NULL WHERE tenant_id = 'acme'"
    )
    assert await removals_of(scene).hold("x") is None
    earlier = (await removal(scene))["began_at"]
    await remove(ana)
    assert (await removal(scene))["began_at"] > earlier
    assert "data is being deleted" in (await ana.get(LIST)).text
    assert await removals_of(scene).hold("x") is not None
