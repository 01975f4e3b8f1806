"""axe-core from the npm registry. It looks for obstacles to people with disabilities."""

import hashlib
from pathlib import Path
from typing import Any

from playwright.async_api import Page

SOURCE = Path(__file__).with_name("vendored") / "axe.min.js"
PACKAGE, SHA256 = (
    "axe-core@4.14.1",
    "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
)
SERIOUS = {"serious", "critical"}


def source() -> str:
    """The script, exactly as it was published."""
    data = SOURCE.read_bytes()
    assert hashlib.sha256(data).hexdigest() == SHA256, f"{SOURCE} is not that of {PACKAGE}"
    return data.decode()


async def serious_findings(page: Page) -> list[str]:
    """The rule and the place of each serious finding.

    The page's own policy allows no foreign script, so the script is evaluated.
    """
    await page.evaluate(source() + "; undefined")
    found: dict[str, Any] = await page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})"
    )
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
