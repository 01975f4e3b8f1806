from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.tenancy import Tenancy
from tests.browser.axe import serious_findings
from tests.browser.chromium import CHROMIUM, FLAGS
from tests.browser.scene import Scene, day_of_flow, play, staged
from tests.integration.console import key_of

LOOKS = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace)) as made:
        await play(made.console)
        await day_of_flow(made.console, 60)
        tenancy = Tenancy(made.console.connection, made.console.vault)
        endpoint = await tenancy.add_endpoint(
            "acme", "ycloud", secret="whsec_a", unsigned=False, api_key=None
        )
        made.endpoints["acme"] = endpoint.endpoint_id
        yield made


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as driver:
        made = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        await made.close()


def main_pages(scene: Scene) -> list[str]:
    pages = scene.console.parts.pages
    assert pages is not None
    message = pages.refs.of("acme", "m", key_of("m2"))  # type: ignore[arg-type]
    return [
        "conversations", f"m/{message}", "trouble", "trouble/files?reason=media_not_found", "pipeline", "tenants",
        f"endpoints/{scene.endpoints['acme']}", "preferences", "people", "audit",
    ]  # fmt: skip


async def entered(scene: Scene, browser: Browser, **options: object) -> Page:
    page = await (await browser.new_context(locale="en-US", **options)).new_page()  # type: ignore[arg-type]
    await page.goto(await scene.link("ana"))
    await page.click("button[type=submit]")
    await page.wait_for_url("**/conversations")
    return page


@pytest.mark.parametrize("look", LOOKS)
async def test_no_main_page_has_a_serious_finding(
    scene: Scene, browser: Browser, look: str
) -> None:
    page = await entered(scene, browser, **LOOKS[look])
    found = {}
    for path in [*(f"t/acme/{one}" for one in main_pages(scene)), "account", "tenants"]:
        await page.goto(f"{scene.url}/{path}")
        await page.wait_for_load_state("load")
        if findings := await serious_findings(page):
            found[path] = findings
    await page.goto(f"{scene.url}/t/acme/conversations")
    await page.click(".head:has-text('Mariana')")
    await page.wait_for_selector(".bubble")
    if findings := await serious_findings(page):
        found["chat"] = findings
    assert found == {}


async def test_a_serious_finding_is_found(scene: Scene, browser: Browser) -> None:
    page = await entered(scene, browser)
    await page.evaluate("document.querySelector('main').innerHTML = '<input><img src=/x>'")
    assert {one.partition(":")[0] for one in await serious_findings(page)} >= {"label", "image-alt"}


async def test_a_conversation_is_reached_and_read_with_the_keyboard_alone(
    scene: Scene, browser: Browser
) -> None:
    page = await entered(scene, browser)
    await page.keyboard.press("Tab")
    await expect(page.locator(":focus")).to_have_class("skip")
    await page.keyboard.press("Enter")
    await page.keyboard.press("/")
    await expect(page.locator(":focus")).to_have_attribute("name", "q")
    await page.keyboard.type("recibo")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**q=recibo**")
    await page.locator("#main").focus()
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.locator(".bubble").first).to_be_visible()
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.classList.contains('when')"):
            break
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("Message")


async def test_every_reading_page_says_what_it_has_without_script(
    scene: Scene, browser: Browser
) -> None:
    context = await browser.new_context(java_script_enabled=False, locale="en-US")
    page = await context.new_page()
    await page.goto(await scene.link("ana"))
    await page.click("button[type=submit]")
    for path in main_pages(scene):
        await page.goto(f"{scene.url}/t/acme/{path}")
        assert await page.locator("h1").count() == 1, path
    await page.goto(f"{scene.url}/t/acme/pipeline")
    await expect(page.locator("#table-rate tbody tr").first).to_be_visible()
    assert await page.locator(".plot:visible").count() == 0


async def test_plots_are_drawn_and_their_tables_closed_with_script(
    scene: Scene, browser: Browser
) -> None:
    complaints: list[str] = []
    page = await entered(scene, browser)
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(f"{scene.url}/t/acme/pipeline")
    await expect(page.locator(".plot canvas")).to_have_count(4)
    await expect(page.locator("#table-rate")).to_be_hidden()
    await expect(page.locator("[data-live=on]")).to_have_count(1)
    assert complaints == []


async def test_a_secret_is_rotated_and_the_old_one_ended_in_the_browser(
    scene: Scene, browser: Browser
) -> None:
    page = await entered(scene, browser)
    page.on("dialog", lambda dialog: dialog.accept())
    await page.goto(f"{scene.url}/t/acme/endpoints/{scene.endpoints['acme']}")
    await page.click("button:has-text('New secret')")
    shown = await page.locator("#shown-once").inner_text()
    tenancy = Tenancy(scene.console.connection, scene.console.vault)
    endpoint = await tenancy.endpoint(scene.endpoints["acme"])
    assert endpoint.secrets == (shown, "whsec_a")
    await page.reload()
    await expect(page.locator("#shown-once")).to_have_count(0)
    assert await tenancy.endpoint(scene.endpoints["acme"]) == endpoint
    await page.locator(f"li:has-text('{endpoint.secret_ids()[1]}') button").click()
    await expect(page.locator(".lines li")).to_have_count(1)
    assert (await tenancy.endpoint(scene.endpoints["acme"])).secrets == (shown,)


async def test_an_unmasking_is_found_in_the_audit_log(scene: Scene, browser: Browser) -> None:
    await scene.person("vera", "viewer")
    page = await (await browser.new_context(locale="en-US")).new_page()
    await page.goto(await scene.link("vera"))
    await page.click("button[type=submit]")
    await page.click(".head >> nth=0")
    await expect(page.locator(".veil").first).to_be_visible()
    await page.fill("input[name=why]", "complaint 4711")
    await page.press("input[name=why]", "Enter")
    await expect(page.locator(".veil-bar")).to_have_count(0)
    admin = await entered(scene, browser)
    await admin.goto(f"{scene.url}/t/acme/audit?actor=vera")
    await expect(admin.locator("tr:has-text('complaint 4711')")).to_have_count(1)
