"""Follows docs/extending.md: a provider that only the tests know, from its webhook to the row."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.providers import catalogue
from connectors.providers.samples import SampleMessage
from schemas.providers import PROVIDERS
from schemas.settings import Settings
from storage.postgres.pool import connect
from streams.local.samples import deliver
from tests.pipeline import Pipeline, wait_for
from tests.quick_commands import run_anew
from tests.unit.toy_provider import TELEGRAPH, Telegraph

ROOT = Path(__file__).parents[2]
ROLES = ("receive", "dedupe", "sink")
REGISTERED = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.unit.toy_provider import register
register()
"""
"""Code for each Python process that finds it at start: commands, roles and children of roles."""


@pytest.fixture
def pipeline(
    stack: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    (tmp_path / "sitecustomize.py").write_text(REGISTERED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(PROVIDERS, TELEGRAPH.name, TELEGRAPH)
    monkeypatch.setitem(catalogue.PROVIDERS, TELEGRAPH.name, Telegraph())
    running = Pipeline(stack, f"y{secrets.token_hex(3)}", tmp_path, run=run_anew)
    try:
        running.make_topics()
        running.command("migrate")
        for role in ROLES:
            running.start(role)
        for role in ROLES:
            running.wait_ready(role)
        yield running
    finally:
        running.stop_all()


@pytest.mark.slow
async def test_its_message_goes_once_through_receiver_dedupe_and_sink_to_a_row(
    pipeline: Pipeline,
) -> None:
    pipeline.command("tenants", "add", "acme")
    endpoint = pipeline.command("endpoints", "add", "acme", "telegraph")
    assert endpoint["next"][0] == TELEGRAPH.webhook_page
    url = f"{pipeline.receiver}/webhooks/telegraph/{endpoint['token']}"
    sample = Telegraph().sample(SampleMessage("hello"))

    async def is_taken() -> bool:
        return deliver(sample, url, endpoint["secret"]) == 200

    await wait_for(is_taken, "the endpoint to be known")
    assert deliver(sample, url, endpoint["secret"]) == 200
    assert deliver(sample, url, "wrong") == 401
    opened = await connect(pipeline.settings.postgres, pipeline.names, "test")

    async def rows() -> Any:
        return await opened.fetch(
            "SELECT message_key, provider, conversation_id, content, status FROM chat_messages"
        )

    try:
        found = await wait_for(rows, "the row")
        assert [tuple(row) for row in found] == [
            (
                f"acme:telegraph:{sample.provider_message_id}",
                "telegraph",
                "7",
                "hello",
                "complete",
            )
        ]
    finally:
        await opened.close()
