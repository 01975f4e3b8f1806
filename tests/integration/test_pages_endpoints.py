import dataclasses
import re
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from connectors.console.pages.other_roles import SampleSent
from connectors.providers.catalogue import sign
from schemas.keys import message_key
from schemas.settings import Settings
from schemas.tenants import Endpoint
from schemas.topics import Names
from storage.postgres.tenancy import Tenancy
from streams.roles.other_roles import other_roles_of
from tests.browser.scene import Scene, said, staged
from tests.integration.people import Visitor

PAGE = "/t/acme/tenants"
SENT = message_key("acme", "ycloud", "sent")  # type: ignore[arg-type]


class Receiver:
    """Replaces the receiver and answers as it is told to."""

    def __init__(self) -> None:
        self.status, self.asked = 202, list[str]()

    async def send(self, endpoint: Endpoint) -> SampleSent:
        self.asked.append(endpoint.endpoint_id)
        if not self.status:
            raise ConnectionRefusedError
        return SampleSent(self.status, SENT)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def scene(stack: Settings, namespace: str, receiver: Receiver) -> AsyncIterator[Scene]:
    receives = msgspec.structs.replace(stack.receiver, url="https://hooks.example.com")
    settings = msgspec.structs.replace(stack, receiver=receives)
    around = dataclasses.replace(other_roles_of(settings), send_test=receiver.send)
    async with staged(stack, Names(namespace), other_roles=around) as made:
        yield made


@pytest.fixture
def visitor(adam: Visitor) -> Visitor:
    return adam


async def endpoint_in(scene: Scene, tenant: str = "acme", **more: object) -> Endpoint:
    tenancy = Tenancy(scene.console.connection, scene.console.vault)
    how = {"secret": "whsec_first", "unsigned": False, "api_key": None} | more
    return await tenancy.add_endpoint(tenant, "ycloud", **how)  # type: ignore[arg-type]


async def test_an_endpoint_is_created_with_its_url_shown_once_and_connected(
    scene: Scene, visitor: Visitor
) -> None:
    form = {"provider": "ycloud", "signature": "later", "instance": ""}
    made = await visitor.send("/t/acme/endpoints", form, at=PAGE)
    url = re.search(r"https://hooks\.example\.com/webhooks/ycloud/([\w-]{40,})", made.text)
    assert url is not None and "paste the URL" in made.text
    tenancy = Tenancy(scene.console.connection, scene.console.vault)
    endpoint = await tenancy.endpoint(url[1])
    path = f"/t/acme/endpoints/{endpoint.endpoint_id}"
    page = (await visitor.get(path)).text
    assert "waits for its secret" in page and url[1] not in page
    answer = await visitor.post(f"{path}/secret", {"secret": " whsec_theirs "}, at=path)
    assert answer.status_code == 303
    assert (await tenancy.endpoint(endpoint.endpoint_id)).secrets == ("whsec_theirs",)
    await visitor.post(f"{path}/secret", {"secret": "whsec_new", "keep_old": "on"}, at=path)
    assert (await tenancy.endpoint(endpoint.endpoint_id)).secrets == ("whsec_new", "whsec_theirs")
    await visitor.post(f"{path}/api-key", {"api_key": "of-ycloud"}, at=path)
    assert (await tenancy.endpoint(endpoint.endpoint_id)).api_key == "of-ycloud"
    page = (await visitor.get(path)).text
    assert not [one for one in ("whsec_new", "whsec_theirs", "of-ycloud") if one in page]


async def test_a_sender_of_ones_own_gets_a_secret_that_is_made_here_and_shown_once(
    scene: Scene, visitor: Visitor
) -> None:
    endpoint = await endpoint_in(scene, secret=None, secret_later=True)
    path = f"/t/acme/endpoints/{endpoint.endpoint_id}"
    assert "Make a secret here" in (await visitor.get(path)).text
    shown = await visitor.send(f"{path}/rotate", {}, at=path)
    tenancy = Tenancy(scene.console.connection, scene.console.vault)
    (secret,) = (await tenancy.endpoint(endpoint.endpoint_id)).secrets
    page = (await visitor.get(path)).text
    assert "The secret. It is shown this once" in shown.text and secret in shown.text
    assert secret not in page and "Make a secret here" not in page


async def test_what_the_commands_refuse_the_page_refuses_too(visitor: Visitor) -> None:
    for form in (
        {"provider": "telegram"},
        {"provider": "ycloud", "instance": "x"},
        {"provider": "chatwoot", "instance": "direct"},
    ):
        assert (await visitor.post("/t/acme/endpoints", form, at=PAGE)).status_code == 422, form
    form = {"provider": "ycloud", "instance": "x"}
    answer = await visitor.post("/t/acme/endpoints", form, at=PAGE)
    assert "Only endpoints of Chatwoot have a server" in answer.text


async def test_an_endpoint_that_cannot_be_opened_says_so_and_is_removed(
    scene: Scene, visitor: Visitor
) -> None:
    endpoint = await endpoint_in(scene)
    path = f"/t/acme/endpoints/{endpoint.endpoint_id}"
    await scene.console.connection.execute(
        "UPDATE webhook_endpoints SET sealed = 'x' WHERE endpoint_id = $1", endpoint.endpoint_id
    )
    page = (await visitor.get(PAGE)).text
    assert "The endpoint cannot be opened" in page and f"{path}/remove" in page
    assert (await visitor.get(path)).status_code == 409
    assert (await visitor.post(f"{path}/remove", {}, at=PAGE)).status_code == 303
    assert endpoint.endpoint_id not in (await visitor.get(PAGE)).text


async def test_a_new_url_leaves_the_old_one_for_an_hour(scene: Scene, visitor: Visitor) -> None:
    endpoint = await endpoint_in(scene)
    path = f"/t/acme/endpoints/{endpoint.endpoint_id}"
    shown = await visitor.send(f"{path}/url", {}, at=path)
    assert "https://hooks.example.com/webhooks/ycloud/" in shown.text
    assert endpoint.token not in shown.text
    left = await scene.console.connection.fetchval(
        "SELECT extract(epoch FROM former_token_until - now()) FROM webhook_endpoints WHERE endpoint_id = $1",
        endpoint.endpoint_id,
    )
    assert 3_500 < left <= 3_600


async def test_a_new_url_in_place_of_one_that_leaked_ends_the_old_one_at_once(
    scene: Scene, visitor: Visitor
) -> None:
    endpoint = await endpoint_in(scene)
    path = f"/t/acme/endpoints/{endpoint.endpoint_id}"
    assert 'name="leaked"' in (await visitor.get(path)).text
    shown = await visitor.send(f"{path}/url", {"leaked": "yes"}, at=path)
    assert "https://hooks.example.com/webhooks/ycloud/" in shown.text
    row = await scene.console.connection.fetchrow(
        "SELECT former_token_until FROM webhook_endpoints WHERE endpoint_id = $1",
        endpoint.endpoint_id,
    )
    assert row is not None and row["former_token_until"] is None


async def test_a_removed_endpoint_is_gone(scene: Scene, visitor: Visitor) -> None:
    endpoint = await endpoint_in(scene)
    path = f"/t/acme/endpoints/{endpoint.endpoint_id}"
    assert (await visitor.post(f"{path}/remove", {}, at=path)).status_code == 303
    assert (await visitor.get(path)).status_code == 404


async def test_no_action_reaches_an_endpoint_of_another_tenant(
    scene: Scene, visitor: Visitor, receiver: Receiver
) -> None:
    endpoint = await endpoint_in(scene, "other")
    for action in ("rotate", "drop", "secret", "api-key", "url", "remove", "check", "test"):
        path = f"/t/acme/endpoints/{endpoint.endpoint_id}/{action}"
        assert (await visitor.post(path, {"secret": "x"}, at=PAGE)).status_code == 404, action
    tenancy = Tenancy(scene.console.connection, scene.console.vault)
    assert await tenancy.endpoint(endpoint.endpoint_id) == endpoint
    assert receiver.asked == []


async def test_the_last_deliveries_come_with_their_verdicts(scene: Scene, visitor: Visitor) -> None:
    endpoint = await endpoint_in(scene)
    await scene.console.connection.execute(
        "INSERT INTO webhook_deliveries VALUES ('acme', $1, current_date, 'signature_mismatch', '', 7, now(), now(), 401, '{}'),"
        " ('acme', $1, current_date, 'accepted', 'sec_1', 1, now(), now(), 200, '{\"signature_age_seconds\": 3}'),"
        " ('other', 'ep_x', current_date, 'no_room', '', 1, now(), now(), 503, '{}')",
        endpoint.endpoint_id,
    )
    page = (await visitor.get(f"/t/acme/endpoints/{endpoint.endpoint_id}")).text
    assert "A wrong signature" in page and "Copy the secret of this webhook again" in page
    assert "7 ×" in page and "signature 3 s old" in page and "The receiver was full" not in page


async def test_the_debugger_says_at_which_step_a_delivery_fails(
    scene: Scene, visitor: Visitor
) -> None:
    endpoint = await endpoint_in(scene)
    path, body = f"/t/acme/endpoints/{endpoint.endpoint_id}", '{"id": "evt_1", "type": "x"}'
    (line,) = sign("ycloud", "whsec_first", body.encode(), int(time.time())).items()
    form = {"headers": f"{line[0]}: {line[1]}", "body": body}
    right = (await visitor.post(f"{path}/check", form, at=path)).text
    assert "The digest matches" in right and "evt_1" in right
    wrong = (await visitor.post(f"{path}/check", form | {"body": body + " "}, at=path)).text
    assert "the digest begins" in wrong and "whsec_first" not in wrong + right


async def test_a_test_is_sent_and_leads_to_its_message(
    scene: Scene, visitor: Visitor, receiver: Receiver
) -> None:
    endpoint = await endpoint_in(scene)
    path = f"/t/acme/endpoints/{endpoint.endpoint_id}"
    went = await visitor.post(f"{path}/test", {}, at=path)
    assert went.status_code == 303 and receiver.asked == [endpoint.endpoint_id]
    waits = (await visitor.get(went.headers["location"])).text
    assert "on its way" in waits and 'http-equiv="refresh"' in waits
    late = went.headers["location"].partition("?")[0]
    assert 'http-equiv="refresh"' not in (await visitor.get(late)).text
    await scene.console.write(said("sent", 0, "This is a test of Sensorium."))
    came = await visitor.get(went.headers["location"])
    assert came.status_code == 303 and "/m/" in came.headers["location"]
    receiver.status = 401
    assert "answered 401" in (await visitor.send(f"{path}/test", {}, at=path)).text
    receiver.status = 0
    assert (await visitor.post(f"{path}/test", {}, at=path)).status_code == 502


async def test_no_test_is_sent_before_there_is_a_secret(
    scene: Scene, visitor: Visitor, receiver: Receiver
) -> None:
    endpoint = await endpoint_in(scene, secret=None, secret_later=True)
    path = f"/t/acme/endpoints/{endpoint.endpoint_id}"
    assert (await visitor.post(f"{path}/test", {}, at=path)).status_code == 409
    assert receiver.asked == []
