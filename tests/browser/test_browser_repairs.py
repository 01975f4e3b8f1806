"""Repairs of quarantined records in a real browser."""

from collections.abc import Sequence
from typing import Any

from playwright.async_api import Browser, expect

from schemas.settings import Settings
from schemas.topics import Names
from tests.browser.scene import Redone, Scene, staged
from tests.browser.test_browser_console import browser, entered

__all__ = ["browser"]


async def refused(scene: Scene, *offsets: int) -> None:
    """Records of acme that dedupe refused."""
    await scene.console.connection.execute(
        """INSERT INTO quarantined_messages (tenant_id, stage, reason, topic, record_key, partition, "offset", detail,
               created_at, key, value, program_version)
           SELECT 'acme', 'dedupe', 'not_json', 'raw-messages', 'acme:ycloud:q' || n, 0, n, 'no JSON at line 1', now(), 'k', '{', '1'
           FROM unnest($1::int[]) AS n""",
        list(offsets),
    )


async def test_a_class_in_quarantine_is_sent_again_from_the_page_of_trouble(
    stack: Settings, namespace: str, browser: Browser
) -> None:
    redo, complaints = Redone(), list[str]()
    async with staged(stack, Names(namespace), redo) as scene:
        await refused(scene, 1, 2, 3)
        page = await entered(scene, browser, complaints)
        await page.click("nav a:has-text('Trouble')")
        await page.click(".refusals a.cause")
        await expect(page.locator("td code")).to_have_count(3)
        await page.click("nav a:has-text('Trouble')")
        await page.click(".refusals button")
        await expect(page.locator("td strong")).to_have_text("3")
        await page.fill("input[name=rate]", "500")
        await page.click("button:has-text('Start this repair')")
        await expect(page.locator(".alert.fine")).to_contain_text("Records sent again: 3")
        await page.click("main a.button")
        await expect(page.locator("main")).to_contain_text("Nothing is in quarantine.")
        assert [keys for _, _, keys, _ in redo.asked] == [
            tuple(f"acme:ycloud:q{n}" for n in (1, 2, 3))
        ]
        assert complaints == []


async def test_a_plan_is_discarded_and_a_repair_is_stopped(
    stack: Settings, namespace: str, browser: Browser
) -> None:
    redo, complaints = Redone(), list[str]()
    async with staged(stack, Names(namespace), redo) as scene:
        await refused(scene, *range(40))
        page = await entered(scene, browser, complaints)
        await page.click("nav a:has-text('Trouble')")
        await page.click("button:has-text('Send all again')")
        await page.click("button:has-text('Discard')")
        await expect(page.locator(".alert.soft")).to_contain_text("Stopped early")
        assert redo.asked == []

        seen: list[Any] = []

        async def noted(keys: Sequence[str]) -> None:
            seen.append(keys)

        redo.then = noted
        await page.click("main a.button")
        await page.click("button:has-text('Send all again')")
        await page.fill("input[name=rate]", "1")
        await page.click("button:has-text('Start this repair')")
        await page.click("button:has-text('Stop')")
        await expect(page.locator(".alert.soft")).to_contain_text("Stopped early")
        state = await scene.console.connection.fetchval(
            "SELECT count(*) FROM quarantined_messages WHERE state = 'new'"
        )
        assert 40 - len(seen) <= state + 1 and state > 30
        assert complaints == []
