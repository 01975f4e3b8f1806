import re

import pytest

from schemas.tenants import Endpoint
from storage.postgres.portals import portal_token
from storage.postgres.tenancy import Tenancy
from tests.browser.scene import Scene
from tests.integration.people import Visitor, visitor_of

PAGE = "/t/acme/deliveries"
SECRET, KEY = "whsec_geheim", "yc_key_geheim"


async def endpoint_in(scene: Scene, tenant: str) -> Endpoint:
    """An endpoint with two accepted deliveries and a refused one."""
    tenancy = Tenancy(scene.console.connection, scene.console.vault)
    made = await tenancy.add_endpoint(tenant, "ycloud", secret=SECRET, unsigned=False, api_key=KEY)
    await scene.console.connection.execute(
        "INSERT INTO webhook_deliveries VALUES"
        " ($1, $2, current_date, 'accepted', $3, 2, now(), now(), 200, '{}'),"
        " ($1, $2, current_date, 'signature_mismatch', '', 1, now(), now(), 401, '{}'),"
        " ($1, $2, current_date - 40, 'body_too_large', '', 1, now(), now(), 413, '{}')",
        tenant, made.endpoint_id, made.secret_ids()[0],
    )  # fmt: skip
    return made


async def test_the_reader_of_a_portal_sees_endpoints_and_their_last_deliveries(
    scene: Scene,
) -> None:
    endpoint, foreign = await endpoint_in(scene, "acme"), await endpoint_in(scene, "other")
    pages = scene.console.parts.pages
    assert pages is not None
    token = await portal_token(pages.people, "acme")
    reader = Visitor(scene.url)
    await reader.use(f"/login/link?token={token}")
    text = (await reader.get(PAGE)).text
    assert endpoint.endpoint_id in text and foreign.endpoint_id not in text
    verdicts = re.findall(r'<p class="verdict-top"><strong>([^<]+)</strong>', text)
    assert sorted(verdicts) == ["A wrong signature", "Accepted"]
    assert (await reader.get("/t/other/deliveries")).status_code == 404
    await reader.client.aclose()


@pytest.mark.parametrize("role", ["viewer", "reader", "operator"])
async def test_the_page_of_deliveries_shows_no_secret_and_changes_nothing(
    scene: Scene, role: str
) -> None:
    endpoint = await endpoint_in(scene, "acme")
    await scene.person("luz", role)  # type: ignore[arg-type]
    luz = await visitor_of(scene, "luz")
    text = (await luz.get(PAGE)).text
    hidden = (SECRET, KEY, endpoint.token, endpoint.token[:4], *endpoint.secret_ids())
    assert [one for one in hidden if one in text] == []
    assert re.findall(r'<form[^>]* action="([^"]+)"', text) == ["/logout"]
    assert (await luz.get(f"/t/acme/endpoints/{endpoint.endpoint_id}")).status_code == 403
    await luz.client.aclose()


async def test_an_admin_finds_deliveries_in_the_settings_and_others_in_the_navigation(
    scene: Scene,
) -> None:
    await scene.person("luz", "reader")
    luz, ana = await visitor_of(scene, "luz"), await visitor_of(scene, "ana")
    link = 'href="/t/acme/deliveries"'
    assert link in (await luz.get("/t/acme/trouble")).text
    assert link not in (await ana.get("/t/acme/trouble")).text
    text = (await luz.get(PAGE)).text
    assert "No endpoint yet" in text
    await luz.client.aclose()
    await ana.client.aclose()
