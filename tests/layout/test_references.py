"""The pages of docs/reference say what the code declares; `make docs` writes them again."""

from typing import get_args

import pytest
from prometheus_client import REGISTRY

from schemas.reasons import AttachmentReason, QuarantineReason, SkipReason
from streams.settings import known_settings
from tests.layout.references import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_what_the_code_declares(name: str) -> None:
    stands = (FOLDER / name).read_text()
    assert stands == PAGES[name](), f"docs/reference/{name} is out of date: run `make docs`"


def test_every_setting_metric_and_reason_has_its_line() -> None:
    settings, metrics, reasons = (
        (FOLDER / f"{name}.md").read_text() for name in ("settings", "metrics", "reasons")
    )
    for name in known_settings():
        assert f"| `{name}` |" in settings
    for family in REGISTRY.collect():
        if family.name.startswith("sensorium_"):
            assert f"`{family.name}" in metrics
    for closed in (SkipReason, QuarantineReason, AttachmentReason):
        for reason in get_args(closed):
            assert f"| `{reason}` |" in reasons


def test_the_http_reference_has_both_servers_and_says_how_a_bot_is_heard() -> None:
    page = (FOLDER / "http-api.md").read_text()
    for route in ("POST /chat", "POST /webhooks/{provider}/{token}", "GET /api/messages/"):
        assert f"### `{route}" in page
    assert "`outbound`: your bot wrote it (role `assistant`)" in page
