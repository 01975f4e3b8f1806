"""The pages beside the main ones have no serious finding of axe either."""

from playwright.async_api import Browser

from schemas.keys import TenantId
from tests.browser.axe import serious_findings
from tests.browser.scene import PASSWORD, Scene
from tests.browser.test_browser_access import browser, entered, scene
from tests.integration.console import CONVERSATION, key_of

__all__ = ["browser", "scene"]
ACME = TenantId("acme")


async def further_pages(scene: Scene) -> list[str]:
    pages = scene.console.parts.pages
    assert pages is not None
    chat = f"/t/acme/c/{pages.refs.of(ACME, 'c', CONVERSATION)}"
    message = f"/t/acme/m/{pages.refs.of(ACME, 'm', key_of('m2'))}"
    await scene.console.connection.execute(
        """INSERT INTO quarantined_messages (tenant_id, stage, reason, topic, record_key, partition, "offset", detail,
               created_at, key, value, program_version)
           VALUES ('acme', 'dedupe', 'not_json', 'raw-messages', 'acme:ycloud:q', 0, 1, 'x', now(), 'k', '{', '1')"""
    )
    await scene.console.connection.execute(
        "INSERT INTO tenants (tenant_id, settings, removed_at, data_kept)"
        " SELECT 'gone', settings, now(), true FROM tenants WHERE tenant_id = 'acme'"
    )
    return [
        f"{chat}/context", f"{chat}/erase", "/t/acme/trouble/records?stage=dedupe&reason=not_json",
        f"{message}/erase", "/t/acme/removal", "/tenants/removed",
        "/t/acme/quarantined/dedupe/raw-messages/0/1",
        "/t/acme/deliveries", "/trouble", f"{message}/record/77", "/t/acme/nothing",
    ]  # fmt: skip


async def test_no_further_page_has_a_serious_finding(scene: Scene, browser: Browser) -> None:
    page, found = await entered(scene, browser), {}
    for path in await further_pages(scene):
        await page.goto(f"{scene.url}{path}")
        await page.wait_for_load_state("load")
        if findings := await serious_findings(page):
            found[path] = findings
    assert found == {}


async def test_neither_the_login_nor_a_masked_chat_has_a_serious_finding(
    scene: Scene, browser: Browser
) -> None:
    await scene.person("vera", "viewer")
    page = await (await browser.new_context(locale="en-US")).new_page()
    await page.goto(f"{scene.url}/login")
    assert await serious_findings(page) == []
    await page.fill("[name=name]", "vera")
    await page.fill("[name=password]", PASSWORD)
    await page.click("button[type=submit]")
    await page.wait_for_url("**/conversations")
    pages = scene.console.parts.pages
    assert pages is not None
    await page.goto(f"{scene.url}/t/acme/c/{pages.refs.of(ACME, 'c', CONVERSATION)}")
    await page.wait_for_selector(".bubble")
    assert await page.locator(".veil-bar").count() == 1
    assert await serious_findings(page) == []
