"""Commands about a tenant that can also be done in the console.

These are a portal link, a new tenant, and an erasure.
"""

import re
from collections.abc import AsyncIterator

import msgspec
import pytest

from schemas.keys import TenantId, log_digest
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.people import EVERY_TENANT
from tests.browser.scene import PASSWORD, Scene, said, staged
from tests.integration.console import CONVERSATION, key_of
from tests.integration.people import Visitor, noted
from tests.topics import make_topics

ACME = TenantId("acme")
BESIDE = "15550109999~15550100002"


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace)) as made:
        cat = await made.console.keep(b"meow", "image/png", "png", of="m1")
        cat = msgspec.structs.replace(cat, type="image", status="described", description="a cat")
        await made.console.write(
            said("m1", 5, "palabra-clave", cat),
            said("m2", 4, "palabra-clave"),
            said("m3", 3, "se queda", conversation_id=BESIDE),
        )
        await made.person("otto", "operator")
        yield made


async def test_an_admin_makes_a_portal_link_that_is_shown_once_and_lets_in_as_reader(
    scene: Scene, adam: Visitor
) -> None:
    assert 'action="/t/acme/portal"' in (await adam.get("/t/acme/people")).text
    made = await adam.send("/t/acme/portal", {}, at="/t/acme/people")
    link = re.search(r"http[^<\"]+/login/link\?token=[\w-]+", made.text)
    assert link is not None
    assert link[0] not in (await adam.get("/t/acme/people")).text
    guest = Visitor(scene.url)
    assert (await guest.use(link[0])).status_code == 303
    assert (await guest.get("/t/acme/conversations")).status_code == 200
    assert (await guest.get("/t/other/conversations")).status_code == 404
    assert (await guest.get("/t/acme/people")).status_code == 403
    await guest.post("/logout", {}, at="/t/acme/conversations")
    assert (await guest.use(link[0])).status_code == 403  # a second time
    name = f"portal@acme#{link[0].partition('token=')[2][:6]}"
    assert await noted(scene, "portal_link_made") == [("acme", "adam", name)]
    await guest.client.aclose()


async def test_a_portal_whose_account_has_other_roles_makes_no_link(
    scene: Scene, adam: Visitor
) -> None:
    await scene.person("portal@acme", "reader", "other")
    made = await adam.post("/t/acme/portal", {}, at="/t/acme/people")
    assert made.status_code == 409 and "token=" not in made.text
    assert await noted(scene, "portal_link_made") == []


async def test_an_admin_of_every_tenant_adds_a_tenant_and_nobody_else(
    scene: Scene, adam: Visitor
) -> None:
    assert 'action="/tenants"' not in (await adam.get("/t/acme/tenants")).text
    refused = await adam.post("/tenants", {"name": "nueva"}, at="/t/acme/tenants")
    assert refused.status_code == 403
    ana = Visitor(scene.url)
    await ana.log_in("ana", PASSWORD)
    assert 'action="/tenants"' in (await ana.get("/t/acme/tenants")).text
    for wrong in ("", "Nueva", "a b", "-a", EVERY_TENANT, "a" * 64):
        answer = await ana.post("/tenants", {"name": wrong}, at="/t/acme/tenants")
        assert answer.status_code == 422, wrong
    for _ in range(2):  # the second time it changes nothing
        answer = await ana.post("/tenants", {"name": "nueva"}, at="/t/acme/tenants")
        assert answer.headers["location"] == "/t/nueva/tenants"
    assert (await ana.get("/t/nueva/tenants")).status_code == 200
    ours = [one for one in await noted(scene, "tenant_added") if one[1] == "ana"]
    assert ours == [("nueva", "ana", "")]
    await scene.console.connection.execute(
        "UPDATE tenants SET removed_at = now() WHERE tenant_id = 'nueva'"
    )
    answer = await ana.post("/tenants", {"name": "nueva"}, at="/t/acme/tenants")
    assert answer.status_code == 409
    await ana.client.aclose()


async def test_an_admin_erases_a_conversation_by_typing_its_id(
    scene: Scene, adam: Visitor, stack: Settings
) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    make_topics(stack.kafka, scene.console.names)
    chat = f"/t/acme/c/{pages.refs.of(ACME, 'c', CONVERSATION)}"
    assert f'href="{chat}/erase"' in (await adam.get(f"{chat}/context")).text
    asked = re.sub(r"\s+", " ", (await adam.get(f"{chat}/erase")).text)
    assert "<dt>Messages</dt><dd>2</dd><dt>Files</dt><dd>1</dd>" in asked and CONVERSATION in asked
    for typed in ("", BESIDE, CONVERSATION[:-1]):
        answer = await adam.post(f"{chat}/erase", {"typed": typed}, at=f"{chat}/erase")
        assert answer.status_code == 422, typed
    keys = "SELECT split_part(message_key, ':', 3) FROM chat_messages ORDER BY 1"
    assert len(await scene.console.connection.fetch(keys)) == 3
    done = await adam.send(f"{chat}/erase", {"typed": CONVERSATION}, at=f"{chat}/erase")
    assert done.status_code == 200 and "The conversation was erased" in done.text
    assert [row[0] for row in await scene.console.connection.fetch(keys)] == ["m3"]
    files = [one async for one in scene.console.parts.store.list(scene.console.names.object_prefix)]
    assert files == []
    logged = f"conversation {log_digest(CONVERSATION)}: 2 messages, 1 file"
    assert await noted(scene, "messages_erased") == [("acme", "adam", logged)]
    again = (await adam.get(f"{chat}/erase")).text
    assert "Nothing of this conversation is stored" in again and 'name="typed"' not in again


KEYS = "SELECT split_part(message_key, ':', 3) FROM chat_messages ORDER BY 1"


def path_of(scene: Scene, identifier: str) -> str:
    pages = scene.console.parts.pages
    assert pages is not None
    return f"/t/acme/m/{pages.refs.of(ACME, 'm', key_of(identifier))}"


async def test_an_admin_erases_one_message_by_ticking_a_box(
    scene: Scene, adam: Visitor, stack: Settings
) -> None:
    make_topics(stack.kafka, scene.console.names)
    path = path_of(scene, "m2")
    assert f'href="{path}/erase"' in (await adam.get(path)).text
    unconfirmed = ({}, {"what": "message"}, {"what": "all", "sure": "on"}, {"what": "contact", "typed": "1555", "sure": "on"})  # fmt: skip
    for form in unconfirmed:
        answer = await adam.post(f"{path}/erase", form, at=f"{path}/erase")
        assert answer.status_code == 422, form
    assert len(await scene.console.connection.fetch(KEYS)) == 3
    form = {"what": "message", "sure": "on"}
    done = await adam.send(f"{path}/erase", form, at=f"{path}/erase")
    assert done.status_code == 200 and "The messages were erased" in done.text
    assert [row[0] for row in await scene.console.connection.fetch(KEYS)] == ["m1", "m3"]
    logged = f"message {log_digest(key_of('m2'))}: 1 message, 0 files"
    assert await noted(scene, "messages_erased") == [("acme", "adam", logged)]
    assert (await adam.get(f"{path}/erase")).status_code == 404


async def test_an_admin_erases_everything_with_a_customer_by_typing_their_id(
    scene: Scene, adam: Visitor, stack: Settings
) -> None:
    make_topics(stack.kafka, scene.console.names)
    third = {"conversation_id": "15550109999~15550100003", "sender_id": "15550100003"}
    bot = {"role": "assistant", "direction": "outbound", "sender_id": None}
    await scene.console.write(said("m4", 2, "otra", **third), said("m5", 1, "respuesta", **bot))
    assert (
        "Everything with this customer"
        not in (await adam.get(f"{path_of(scene, 'm5')}/erase")).text
    )
    path = path_of(scene, "m1")
    asked = (await adam.get(f"{path}/erase")).text
    assert "<dt>Messages</dt><dd>1</dd>" in asked  # only this one
    assert "<dt>Messages</dt><dd>4</dd>" in asked and "15550100001" in asked
    form = {"what": "contact", "typed": "15550100001"}
    done = await adam.send(f"{path}/erase", form, at=f"{path}/erase")
    assert done.status_code == 200 and "<dt>Messages</dt><dd>4</dd>" in done.text
    assert [row[0] for row in await scene.console.connection.fetch(KEYS)] == ["m4"]
    logged = f"contact {log_digest('15550100001')}: 4 messages, 1 file"
    assert await noted(scene, "messages_erased") == [("acme", "adam", logged)]


async def test_an_operator_erases_nothing(scene: Scene) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    otto = Visitor(scene.url)
    await otto.log_in("otto", PASSWORD)
    chat = f"/t/acme/c/{pages.refs.of(ACME, 'c', CONVERSATION)}"
    assert "/erase" not in (await otto.get(f"{chat}/context")).text
    assert (await otto.get(f"{chat}/erase")).status_code == 403
    form = {"typed": CONVERSATION}
    assert (await otto.post(f"{chat}/erase", form, at="/t/acme/trouble")).status_code == 403
    message = path_of(scene, "m1")
    assert "/erase" not in (await otto.get(message)).text
    assert (await otto.get(f"{message}/erase")).status_code == 403
    form = {"what": "message", "sure": "on"}
    assert (await otto.post(f"{message}/erase", form, at="/t/acme/trouble")).status_code == 403
    assert await scene.console.connection.fetchval("SELECT count(*) FROM chat_messages") == 3
    await otto.client.aclose()
