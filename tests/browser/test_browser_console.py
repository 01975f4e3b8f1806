from collections.abc import AsyncIterator, Sequence

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from schemas.records import Attachment
from schemas.settings import Settings
from schemas.topics import Names
from tests.browser.chromium import CHROMIUM, FLAGS
from tests.browser.scene import CAT, PASSWORD, VOICE, Redone, Scene, kept, later, said, staged
from tests.integration.waiting import until

PLAYED = "document.querySelector('audio').currentTime > 0.2"
INLINE = """() => {
    const script = document.createElement("script");
    script.textContent = "window.owned = 1";
    document.head.append(script);
    return window.owned ?? null;
}"""
SHOWN = (
    "[...document.querySelectorAll('.picture img')].every(i => i.complete && i.naturalWidth > 20)"
)


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace)) as made:
        yield made


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as driver:
        made = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        await made.close()


async def entered(scene: Scene, browser: Browser, complaints: list[str]) -> Page:
    """A page of ana after her login. Complaints of the browser are noted."""
    page = await (await browser.new_context(locale="en-US")).new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(f"{scene.url}/login")
    await page.fill("input[name=name]", "ana")
    await page.fill("input[name=password]", PASSWORD)
    await page.click("button[type=submit]")
    await page.wait_for_url("**/t/acme/conversations")
    return page


async def test_a_person_watches_a_message_arrive_and_complete_hears_it_and_sees_it(
    scene: Scene, browser: Browser
) -> None:
    complaints: list[str] = []
    console = scene.console
    page = await entered(scene, browser, complaints)
    await expect(page.locator(".hollow h2").first).to_have_text("No conversations yet")
    await expect(page.locator(".live")).to_have_attribute("data-live", "on")
    await console.write(said("1", 2, "first words"))
    await page.click(".head:has-text('Mariana')")
    await expect(page.locator(".bubble .text")).to_have_text("first words")

    cat = await kept(console, "2", "cat.jpg", "image", "image/jpeg", status="pending")
    arrived = said("2", 1, None, cat)
    await console.write(arrived)
    await expect(page.locator(".bubble")).to_have_count(2)
    await expect(page.locator(".bubble .tag.pulse")).to_have_count(1)
    described = await kept(
        console, "2", "cat.jpg", "image", "image/jpeg", status="described", description=CAT
    )
    voice = await kept(
        console, "3", "voice-es.mp3", "audio", "audio/mpeg", status="transcribed", transcript=VOICE
    )
    await console.write(later(arrived, described), said("3", 0.5, None, voice))
    await expect(page.locator(".bubble")).to_have_count(3)
    await expect(page.locator(".bubble .tag.pulse")).to_have_count(0)
    await expect(page.locator(".seen").first).to_contain_text(CAT)
    await until(lambda: page.evaluate(SHOWN))

    await page.evaluate("document.querySelector('audio').play()")
    await until(lambda: page.evaluate(PLAYED))
    await console.write(said("4", 0, "while it plays"))
    await expect(page.locator(".bubble")).to_have_count(4)
    assert await page.evaluate(PLAYED) and not await page.evaluate(
        "document.querySelector('audio').paused"
    )

    await page.click(".bubble >> nth=1 >> .when")
    await expect(page.locator(".steps .step")).to_have_count(3)
    await expect(page.locator(".why.described")).to_contain_text("the bot reads the description")
    assert complaints == []


async def test_a_failed_picture_is_repaired_from_the_page_of_trouble(
    stack: Settings, namespace: str, browser: Browser
) -> None:
    redo, complaints = Redone(), list[str]()
    async with staged(stack, Names(namespace), redo) as scene:
        console = scene.console
        lost = Attachment(
            index=0,
            type="image",
            status="failed",
            reason="media_timeout",
            original_url="https://x/1",
        )
        first = said("1", 3, None, lost)
        await console.write(first)

        async def described(keys: Sequence[str]) -> None:
            cat = await kept(
                console, "1", "cat.jpg", "image", "image/jpeg", status="described", description=CAT
            )
            await console.write(later(first, cat))

        redo.then = described
        page = await entered(scene, browser, complaints)
        await page.click(".head")
        await page.click(".failure a:has-text('Repair')")
        await expect(page.locator("main button.primary")).to_contain_text("Repair")
        await page.click("nav a:has-text('Trouble')")
        await page.click(".causes button")
        await page.click("button:has-text('Start this repair')")
        await expect(page.locator(".alert.fine")).to_contain_text("Files being read again: 1")
        await page.click("nav a:has-text('Conversations')")
        await page.click(".head")
        await expect(page.locator(".seen")).to_contain_text(CAT)
        await page.click("nav a:has-text('Trouble')")
        await expect(page.locator(".hollow h2")).to_have_text("Nothing failed")
        assert complaints == []


async def test_what_is_erased_leaves_an_open_page_by_itself(scene: Scene, browser: Browser) -> None:
    complaints: list[str] = []
    await scene.console.write(said("1", 2, "first words"), said("2", 1, "second words"))
    page = await entered(scene, browser, complaints)
    await page.click(".head")
    await expect(page.locator(".bubble")).to_have_count(2)
    erase = "DELETE FROM chat_messages WHERE message_key LIKE '%' || $1"
    await scene.console.connection.execute(erase, "2")
    await expect(page.locator(".bubble .text")).to_have_text(["first words"], timeout=20_000)
    await expect(page.locator(".preview")).to_have_text("first words", timeout=20_000)
    assert "second words" not in await page.content()
    await scene.console.connection.execute(erase, "1")
    await expect(page.locator("h1")).to_contain_text("no messages any more", timeout=20_000)
    assert "first words" not in await page.content() and "Mariana" not in await page.content()


async def test_the_open_page_of_a_message_completes_and_ends_by_itself(
    scene: Scene, browser: Browser
) -> None:
    complaints: list[str] = []
    console = scene.console
    sound = await kept(console, "1", "voice-es.mp3", "audio", "audio/mpeg", status="pending")
    arrived = said("1", 1, None, sound)
    await console.write(arrived)
    page = await entered(scene, browser, complaints)
    await page.click(".head")
    await page.click(".bubble .when")
    await expect(page.locator(".why.pending")).to_have_count(1)
    await expect(page.locator(".live")).to_have_attribute("data-live", "on")
    await page.evaluate("document.querySelector('audio').play()")
    await until(lambda: page.evaluate(PLAYED))
    heard = await kept(
        console, "1", "voice-es.mp3", "audio", "audio/mpeg", status="transcribed", transcript=VOICE
    )
    await console.write(later(arrived, heard))
    await expect(page.locator(".why.transcribed")).to_have_count(1)
    await expect(page.locator(".seen")).to_contain_text(VOICE)
    await expect(page.locator(".page-top .tag")).to_have_class("tag good")
    assert await page.evaluate("!document.querySelector('audio').paused")
    assert complaints == []
    await console.connection.execute("DELETE FROM chat_messages")
    await expect(page.locator("h1")).to_contain_text("not here any more", timeout=20_000)
    assert VOICE not in await page.content()


async def test_pages_are_read_without_script(scene: Scene, browser: Browser) -> None:
    await scene.console.write(said("1", 2, "first words"))
    context = await browser.new_context(java_script_enabled=False, locale="es-MX")
    page = await context.new_page()
    await page.goto(await scene.link("ana"))
    await page.click("button[type=submit]")
    await expect(page.locator(".no-script").first).to_be_visible()
    await page.fill("input[type=search]", "first wor")
    await page.press("input[type=search]", "Enter")
    await page.click(".head")
    await expect(page.locator(".bubble .text")).to_have_text("first words")
    await expect(page.locator("html")).to_have_attribute("lang", "es")


async def test_what_was_injected_runs_no_script(scene: Scene, browser: Browser) -> None:
    complaints: list[str] = []
    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    await scene.console.write(said("1", 1, evil, sender_name=evil))
    page = await entered(scene, browser, complaints)
    await page.click(".head")
    await expect(page.locator(".bubble .text")).to_have_text(evil)
    assert "owned" not in (await page.title()).replace(evil, "")
    assert await page.evaluate("typeof htmx") == "object"
    assert await page.evaluate(INLINE) is None
    assert any("Content Security Policy" in one for one in complaints)
