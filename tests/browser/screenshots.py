"""`python -m tests.browser.screenshots FOLDER`: pictures of the console's main pages.

They are light, dark and for a phone. SENSORIUM_TEST_STACK names the environment file of
running servers, as for the tests.
"""

import asyncio
import os
import secrets
import sys
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.tenancy import Tenancy
from streams.local.home import LocalSecrets, environment_in
from streams.local.topology import PORTS, local_settings
from tests.browser.chromium import CHROMIUM, FLAGS
from tests.browser.scene import Redone, Scene, day_of_flow, play, staged

KEPT = {
    "conversation-light", "conversation-dark", "conversation-phone", "masked-light", "trouble-light",
    "message-light", "pipeline-light", "endpoint-light",
}  # fmt: skip
"""The pictures that are kept. Others are only to be looked at: EVERY=1 keeps them."""
LAST_PICTURE = "[...document.querySelectorAll('.picture img')].pop().naturalWidth > 0"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def running_servers() -> Settings:
    """The servers that the environment names."""
    nothing = LocalSecrets(postgres_password="", objects_secret_key="", key="")
    environment = environment_in(Path(os.environ.pop("SENSORIUM_TEST_STACK")))
    return local_settings(environment, dict.fromkeys(PORTS, 0), nothing)


async def logged_in(scene: Scene, browser: Browser, name: str, **options: object) -> Page:
    """A page of this person, in Spanish."""
    context = await browser.new_context(
        locale="es-MX", timezone_id="America/Mexico_City", **options
    )  # type: ignore[arg-type]
    page = await context.new_page()
    page.set_default_timeout(120_000)
    await page.goto(await scene.link(name))
    await page.click("button[type=submit]")
    await page.wait_for_url("**/conversations")
    return page


async def connected(scene: Scene) -> str:
    """An endpoint that has received something."""
    tenancy = Tenancy(scene.console.connection, scene.console.vault)
    endpoint = await tenancy.add_endpoint(
        "acme", "ycloud", secret="whsec_a", unsigned=False, api_key=None
    )
    await scene.console.connection.execute(
        "INSERT INTO webhook_deliveries VALUES"
        " ('acme', $1, current_date, 'accepted', $2, 4127, now() - interval '9 days', now(), 200, '{\"signature_age_seconds\": 1}'),"
        " ('acme', $1, current_date, 'signature_mismatch', '', 3, now() - interval '9 days', now() - interval '9 days', 401, '{}')",
        endpoint.endpoint_id, endpoint.secret_ids()[0],
    )  # fmt: skip
    return endpoint.endpoint_id


async def first_chat(page: Page, name: str) -> None:
    await page.click(f".head:has-text('{name}')")
    await page.wait_for_selector(".bubble")
    await page.wait_for_load_state("load")
    if await page.locator(".picture img").count():
        await page.wait_for_function(LAST_PICTURE)


async def shoot(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    async with staged(running_servers(), Names(f"shots{secrets.token_hex(3)}"), Redone()) as scene:
        await play(scene.console)
        await day_of_flow(scene.console)
        scene.endpoints["acme"] = await connected(scene)
        await scene.person("vera", "viewer")
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            await pictures(scene, browser, folder)
            await browser.close()
    for picture in folder.glob("*.png"):
        if picture.stem in KEPT:
            small(picture)
        elif not os.environ.get("EVERY"):
            picture.unlink()


def small(picture: Path) -> None:
    """Reduces a picture to at most 900 points and 128 colours, for the repository."""
    with Image.open(picture) as image:
        image.thumbnail((900, 900))
        image.convert("RGB").quantize(128).save(picture, optimize=True)


async def pictures(scene: Scene, browser: Browser, folder: Path) -> None:
    for look, options in {
        "light": {"viewport": DESKTOP, "color_scheme": "light"},
        "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
        "phone": {"viewport": PHONE, "color_scheme": "light", "device_scale_factor": 2},
    }.items():
        page = await logged_in(scene, browser, "ana", **options)
        await page.screenshot(path=folder / f"list-{look}.png")
        await first_chat(page, "Mariana")
        await page.screenshot(path=folder / f"conversation-{look}.png")
        await page.click(".bubble:has-text('Mi recibo') .when >> nth=0")
        await page.wait_for_selector(".steps")
        await page.screenshot(path=folder / f"message-{look}.png")
        if place := await page.get_attribute(".steps .place", "href"):
            await page.goto(scene.url + place)
            await page.screenshot(path=folder / f"record-{look}.png")
        await page.goto(f"{scene.url}/t/acme/conversations")
        await first_chat(page, "Mariana")
        await page.click("a.button[href$=context]")
        await page.screenshot(path=folder / f"context-{look}.png")
        await page.goto(f"{scene.url}/t/acme/trouble")
        await page.screenshot(path=folder / f"trouble-{look}.png")
        await page.click(".causes button")
        await page.screenshot(path=folder / f"repair-{look}.png")
        await page.goto(f"{scene.url}/t/acme/pipeline")
        await page.wait_for_selector(".plot canvas")
        await page.screenshot(path=folder / f"pipeline-{look}.png", full_page=False)
        await page.locator(".part").scroll_into_view_if_needed()
        await page.screenshot(path=folder / f"pipeline2-{look}.png")
        await page.goto(f"{scene.url}/t/acme/tenants")
        await page.screenshot(path=folder / f"settings-{look}.png")
        for name, path in {
            "endpoint": f"/t/acme/endpoints/{scene.endpoints['acme']}",
            "preferences": "/t/acme/preferences",
            "people": "/t/acme/people",
            "deliveries": "/t/acme/deliveries",
            "failed": "/t/acme/trouble/files?reason=media_not_found",
            "records": "/t/acme/trouble/records?stage=dedupe&reason=not_json",
            "everywhere": "/trouble",
            "audit": "/t/acme/audit",
            "nothing": "/t/other/conversations",
            "nothing-failed": "/t/other/trouble",
            "nothing-flows": "/t/other/pipeline",
            "nobody": "/t/acme/none",
        }.items():
            await page.goto(f"{scene.url}{path}")
            await page.screenshot(path=folder / f"{name}-{look}.png", full_page=True)
        await page.context.close()
    page = await logged_in(scene, browser, "vera", viewport=DESKTOP, color_scheme="light")
    await page.click(".head >> nth=2")
    await page.wait_for_selector(".bubble")
    await page.screenshot(path=folder / "masked-light.png")
    context = await browser.new_context(locale="es-MX", viewport=DESKTOP, color_scheme="light")  # type: ignore[arg-type]
    page = await context.new_page()
    await page.goto(f"{scene.url}/login")
    await page.screenshot(path=folder / "login-light.png")


if __name__ == "__main__":
    asyncio.run(shoot(Path(sys.argv[1])))
