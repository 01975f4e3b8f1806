"""Every link and every path that a Markdown page names leads to something that exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in ROOT.rglob("*.md")
    if not {".venv", "var", "node_modules", ".pytest_cache"} & set(page.relative_to(ROOT).parts)
)
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_OURS = re.compile(
    r"(?:docs|tests|schemas|storage|connectors|streams|bench|examples|docker)/[\w./*-]*"
)


def _dead(page: Path) -> Iterator[str]:
    """The links and paths of a page that lead nowhere."""
    text = page.read_text()
    for link in _LINK.findall(_FENCED.sub("", text)):
        if not re.match(r"[a-z]+:", link) and not _leads_somewhere(page, link):
            yield link
    for code in _CODE.findall(text):
        path = code.partition("::")[0]
        if _OURS.fullmatch(path) and not any(ROOT.glob(path.rstrip("/"))):
            yield code


def _leads_somewhere(page: Path, link: str) -> bool:
    target, _, anchor = link.partition("#")
    file = (page.parent / target).resolve() if target else page
    if not file.exists():
        return False
    return not anchor or anchor in {_anchor(title) for title in _titles(file)}


def _titles(page: Path) -> list[str]:
    return _HEADING.findall(_FENCED.sub("", page.read_text()))


def _anchor(title: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_nothing_that_is_missing(page: Path) -> None:
    assert list(_dead(page)) == []


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    named = {(ROOT / "docs" / link).resolve() for link in _LINK.findall(index)}
    pages = set((ROOT / "docs").rglob("*.md"))
    assert pages - named == {ROOT / "docs" / "README.md"}


def test_a_missing_file_heading_and_path_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page's title\n[here](#a-pages-title) [file](page.md#a-pages-title)\n"
        "`streams/stages/dedupe.py` `tests/unit/test_*.py` [web](https://example.com)\n"
    )
    assert list(_dead(page)) == []
    page.write_text("[a](gone.md) [b](#gone)\n`streams/gone.py` `tests/unit/gone_*.py`\n")
    assert list(_dead(page)) == ["gone.md", "#gone", "streams/gone.py", "tests/unit/gone_*.py"]
