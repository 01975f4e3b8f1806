import re
from collections.abc import AsyncIterator

import msgspec
import pytest

from connectors.console.pages.raw_records import MASK
from schemas.codec import encode
from schemas.settings import Settings
from schemas.topics import Names
from tests.browser.scene import PASSWORD, Scene, said, staged
from tests.integration.console import key_of
from tests.integration.people import Visitor
from tests.unit.records import raw

BODY = b'{"text": "palabra-clave", "link": "https://files.example.com/a.jpg?sig=geheim&e=1"}'
RECORD = msgspec.structs.replace(
    raw(content=BODY), tenant_id="acme", headers={"ycloud-signature": "t=1,s=aa"}
)
PLACE = "raw-messages[0]@"
HREF = "/t/acme/quarantined/dedupe/raw-messages/0"


async def refuse(
    scene: Scene,
    offset: int,
    *,
    key: str = "q",
    reason: str = "not_json",
    value: bytes | None = None,
    tenant: str = "acme",
) -> None:
    await scene.console.connection.execute(
        """INSERT INTO quarantined_messages (tenant_id, stage, reason, topic, record_key, partition, "offset", detail,
               created_at, key, value, program_version, headers)
           VALUES ($1, 'dedupe', $2, 'raw-messages', $3, 0, $4, 'detail-clave', now(), 'k', $5, '1',
               '{"tenant": "acme", "x-token": "geheim"}')""",
        *(tenant, reason, key_of(key, tenant), offset, value or encode(RECORD)),
    )


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace)) as made:
        await made.console.write(said("m", 5, "palabra-clave"))
        await refuse(made, 1, key="m")  # of a message that has a row
        await refuse(made, 2)
        await refuse(made, 3, reason="stage_error")
        await refuse(made, 4, tenant="other")
        for name, role in (("rita", "reader"), ("vera", "viewer"), ("otto", "operator")):
            await made.person(name, role)
        yield made


async def as_(scene: Scene, name: str) -> Visitor:
    visitor = Visitor(scene.url)
    await visitor.log_in(name, PASSWORD)
    return visitor


async def page(visitor: Visitor, path: str) -> str:
    return re.sub(r"\s+", " ", (await visitor.get(path)).text)


async def seen(scene: Scene) -> list[tuple[str, str, str]]:
    rows = await scene.console.connection.fetch(
        "SELECT actor, action, detail FROM audit_log WHERE action LIKE '%record_seen' ORDER BY id"
    )
    return [tuple(row) for row in rows]


async def state_of(scene: Scene) -> dict[int, str]:
    rows = await scene.console.connection.fetch(
        'SELECT "offset", state FROM quarantined_messages ORDER BY 1'
    )
    return {row["offset"]: row["state"] for row in rows}


async def test_the_list_and_the_message_lead_to_the_content_with_its_secrets_masked(
    scene: Scene,
) -> None:
    rita = await as_(scene, "rita")
    ref = scene.console.parts.pages.refs.of("acme", "m", key_of("m"))  # type: ignore[union-attr, arg-type]
    assert f'href="{HREF}/2"' in await page(rita, "/t/acme/trouble/records")
    assert f'href="{HREF}/1"' in await page(rita, f"/t/acme/m/{ref}")
    for offset in (1, 2):
        text = await page(rita, f"{HREF}/{offset}")
        assert "palabra-clave" in text and "detail-clave" in text and f"a.jpg?{MASK}" in text
        assert "geheim" not in text and "s=aa" not in text
        assert "quarantined/dismiss" not in text  # is for operators
    assert await seen(scene) == [
        ("rita", "record_seen", f"{key_of('m')} {PLACE}1"),
        ("rita", "quarantined_record_seen", f"dedupe {PLACE}2"),
    ]
    await rita.client.aclose()


async def test_a_viewer_sees_why_it_was_refused_and_after_unmasking_its_content(
    scene: Scene,
) -> None:
    vera = await as_(scene, "vera")
    for path in (f"{HREF}/1", f"{HREF}/2", "/t/acme/trouble/records"):
        text = await page(vera, path)
        assert "The body is not JSON" in text, path
        assert not any(one in text for one in ("clave", "x-token", "ycloud:q", "ycloud:m")), path
    assert await seen(scene) == []
    chat = re.search(r"/t/acme/c/[^\"]+", await page(vera, f"{HREF}/1"))
    assert chat is not None
    await vera.post(f"{chat[0]}/unmask", {"why": "complaint 77"}, at=chat[0])
    assert "palabra-clave" in await page(vera, f"{HREF}/1")
    assert "palabra-clave" not in await page(vera, f"{HREF}/2")  # of no conversation
    assert [(who, what) for who, what, _ in await seen(scene)] == [("vera", "record_seen")]
    await vera.client.aclose()


async def test_a_record_of_another_tenant_or_of_no_place_is_not_there(scene: Scene) -> None:
    rita = await as_(scene, "rita")
    for path in (f"{HREF}/4", f"{HREF}/77", f"{HREF}/{2**63}", f"{HREF}/-1", f"{HREF}/x"):
        assert (await rita.get(path)).status_code == 404, path
    await rita.client.aclose()


async def test_a_record_without_bytes_says_so(scene: Scene) -> None:
    await scene.console.connection.execute(
        "UPDATE quarantined_messages SET value = NULL, state = 'dismissed' WHERE \"offset\" = 2"
    )
    rita = await as_(scene, "rita")
    text = await page(rita, f"{HREF}/2")
    assert "no longer in Postgres" in text and "dismissed" in text
    assert await seen(scene) == []
    await rita.client.aclose()


async def test_an_operator_dismisses_one_or_a_cause_after_confirming(scene: Scene) -> None:
    otto, form = await as_(scene, "otto"), "/t/acme/quarantined/dismiss"
    assert form in await page(otto, f"{HREF}/2")
    assert form in await page(otto, "/t/acme/trouble/records?stage=dedupe&reason=not_json")
    one = {"stage": "dedupe", "place": f"{PLACE}2"}
    for refused in (one, {"sure": "yes"}, {"sure": "yes", "place": "nothing"}):
        answer = await otto.post(form, refused, at=f"{HREF}/2")
        assert answer.status_code == 422, refused
    assert set((await state_of(scene)).values()) == {"new"}
    assert (await otto.post(form, one | {"sure": "yes"}, at=f"{HREF}/2")).status_code == 303
    assert await state_of(scene) == {1: "new", 2: "dismissed", 3: "new", 4: "new"}
    assert (await otto.post(form, one | {"sure": "yes"}, at=f"{HREF}/1")).status_code == 409
    text = await page(otto, f"{HREF}/2")
    assert form not in text and "dismissed" in text
    cause = {"stage": "dedupe", "reason": "not_json", "sure": "yes"}
    assert (await otto.post(form, cause, at=f"{HREF}/1")).status_code == 303
    assert await state_of(scene) == {1: "dismissed", 2: "dismissed", 3: "new", 4: "new"}
    noted = await scene.console.connection.fetch(
        "SELECT tenant_id, actor, detail FROM audit_log WHERE action = 'quarantine dismiss' ORDER BY id"
    )
    assert [tuple(row) for row in noted] == [
        ("acme", "otto", f"1 record: {PLACE}2 dedupe"),
        ("acme", "otto", "1 record: dedupe not_json"),
    ]
    await otto.client.aclose()
