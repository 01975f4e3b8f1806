"""The answers to addresses and bodies that reach no page, for a browser and for a program."""

from storage.postgres.tenancy import Tenancy
from tests.browser.scene import PASSWORD, Scene
from tests.integration.people import Visitor

BROWSER = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"


async def test_a_person_reads_a_page_where_a_program_reads_a_problem(scene: Scene) -> None:
    visitor = Visitor(scene.url)
    large = b"x" * (600 * 1024)
    for method, path, body, status in (
        ("GET", "/conversations", b"", 404),
        ("GET", "/settings", b"", 404),
        ("GET", "/logout", b"", 405),
        ("POST", "/login", large, 413),
        ("POST", "/t/acme/endpoints/ep/check", large, 413),
    ):
        for accept, kind in ((BROWSER, "text/html"), ("*/*", "application/problem+json")):
            answer = await visitor.client.request(
                method, path, content=body, headers={"accept": accept}
            )
            assert answer.status_code == status, path
            assert answer.headers["content-type"].startswith(kind), path
            assert ("content-security-policy" in answer.headers) == (kind == "text/html")
    await visitor.client.aclose()


async def test_a_large_delivery_with_accents_is_checked_and_another_form_stays_small(
    scene: Scene,
) -> None:
    visitor = Visitor(scene.url)
    await visitor.log_in("ana", PASSWORD)
    tenancy = Tenancy(scene.console.connection, scene.console.vault)
    endpoint = await tenancy.add_endpoint(
        "acme", "ycloud", secret="whsec_first", unsigned=False, api_key=None
    )
    path = f"/t/acme/endpoints/{endpoint.endpoint_id}"
    form = {"headers": "YCloud-Signature: t=1,s=00", "body": '{"text":"' + "á" * 50_000 + '"}'}
    checked = await visitor.post(f"{path}/check", form, at=path)
    assert checked.status_code == 200
    assert 'class="checks"' in checked.text
    refused = await visitor.post(f"{path}/secret", {"secret": "á" * 50_000}, at=path)
    assert refused.status_code == 413
    stranger = Visitor(scene.url)
    assert (await stranger.post(f"{path}/check", form)).status_code == 413
    await visitor.client.aclose()
    await stranger.client.aclose()
