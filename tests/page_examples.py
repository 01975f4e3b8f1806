"""The worked examples of docs/extending.md, as a reader would copy them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples_of(section: str, page: str | None = None) -> list[str]:
    """The code blocks of a section of the page, in order."""
    text = (ROOT / "docs" / "extending.md").read_text() if page is None else page
    _, found, rest = text.partition(f"\n## {section}\n")
    assert found, f"the page has no section {section!r}"
    return _BLOCK.findall(rest.partition("\n## ")[0])


def with_row(file: str, after: str, row: str) -> str:
    """The text of a file of the product, once the row is added after a line."""
    text = (ROOT / file).read_text()
    assert text.count(after) == 1, f"{file} has changed: {after!r}"
    return text.replace(after, f"{after}{row.rstrip()},\n")
