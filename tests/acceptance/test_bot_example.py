"""Runs examples/bot.py as a developer does: one answer per message, even if the bot dies."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from streams.local.samples import MEDIA_DIR, SampleFile, link, mime_of, ycloud
from tests.pipeline import Pipeline, Tenant, wait_for

BOT = Path(__file__).parents[2] / "examples" / "bot.py"


class Bot:
    def __init__(self, pipeline: Pipeline, tenant: Tenant, folder: Path) -> None:
        self.chat_key = pipeline.chat_key(tenant.name)
        self.cursor = folder / "bot.cursor"
        self._log = folder / "bot.log"
        self._environment = {
            "PATH": os.environ["PATH"],
            "CONSOLE": pipeline.console,
            "RECEIVER": pipeline.receiver,
            "READ_KEY": tenant.key,
            "CHAT_KEY": self.chat_key,
            "CURSOR_FILE": str(self.cursor),
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """Runs the bot and ends it by SIGKILL, because a bot may die at any time."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(BOT)], env=self._environment, stdout=log, stderr=log
            )
        try:
            yield
            assert process.poll() is None, self._log.read_text()
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def post(self, pipeline: Pipeline, identifier: str, text: str) -> None:
        body = {"provider": "myapp", "provider_message_id": identifier, "conversation_id": "customer-7",
                "sender": {"id": "7"}, "text": text}  # fmt: skip
        request = urllib.request.Request(
            f"{pipeline.receiver}/chat",
            json.dumps(body).encode(),
            {"authorization": f"Bearer {self.chat_key}"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 202


async def replies(tenant: Tenant, connection: Any, count: int) -> list[str]:
    """The bot's answers, once there are this many."""

    async def enough() -> list[str] | None:
        said = [
            row["content"]
            for row in (await tenant.rows(connection)).values()
            if row["direction"] == "outbound"
        ]
        return sorted(said) if len(said) >= count else None

    found: list[str] = await wait_for(enough, f"{count} answers of the bot")
    return found


async def test_the_bot_answers_each_message_once_and_continues_where_it_stopped(
    pipeline: Pipeline, media: str, connection: Any, tmp_path: Path
) -> None:
    tenant = Tenant(pipeline, "bot-example")
    bot = Bot(pipeline, tenant, tmp_path)
    bot.post(pipeline, "before", "sent before the bot was there")

    async def is_stored() -> Any:
        return await tenant.rows(connection)

    await wait_for(is_stored, "the message from before the bot")

    async def has_cursor() -> bool:
        return bot.cursor.exists()

    with bot.running():
        await wait_for(has_cursor, "the bot's first cursor")
        early = bot.cursor.read_text()
        bot.post(pipeline, "1", "hola")
        cat = SampleFile("image", link(media, "cat.jpg"), mime_of(MEDIA_DIR / "cat.jpg"))
        picture = ycloud("mira", cat, what="image")
        assert tenant.post(picture) == 200
        first = await replies(tenant, connection, 2)
        assert first[0] == "I read: hola"
        assert first[1].startswith("I read: mira\n[CONTEXTO VISUAL: (stand-in) ")

    bot.post(pipeline, "2", "while it was away")
    with bot.running():
        assert len(await replies(tenant, connection, 3)) == 3

    bot.cursor.write_text(early)  # as if it had died before it noted anything
    with bot.running():
        bot.post(pipeline, "3", "last")
        assert len(await replies(tenant, connection, 4)) == 4

    deliveries = """SELECT coalesce(sum(deliveries), 0) FROM arrivals
                    WHERE tenant_id = $1 AND provider = 'bot'"""

    async def answered_again() -> bool:
        return bool(await connection.fetchval(deliveries, tenant.name) >= 7)

    await wait_for(answered_again, "the second answers were dropped as duplicates")
    assert await replies(tenant, connection, 4) == sorted(
        ["I read: hola", "I read: while it was away", "I read: last", first[1]]
    )
    context = await asyncio.to_thread(
        pipeline.get, "/api/conversations/customer-7/context?limit=20", tenant.key
    )
    assert sorted(one["role"] for one in context["messages"]) == ["assistant"] * 3 + ["user"] * 4
    seen = await asyncio.to_thread(
        pipeline.get, f"/api/messages/{quote(picture.key(tenant.name), safe='')}", tenant.key
    )
    assert seen["content_attributes"]["attachments"][0]["model"] == "stand-in"


async def test_an_answer_that_waits_for_the_last_of_a_burst_has_every_message_of_a_burst_that_was_accepted(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    tenant = Tenant(pipeline, "burst")
    bot = Bot(pipeline, tenant, tmp_path)
    for burst in range(5):
        keys = [f"{burst}-{number}" for number in range(12)]
        for key in keys:
            await asyncio.to_thread(bot.post, pipeline, key, key)
        answer = await asyncio.to_thread(
            pipeline.get,
            f"/api/conversations/customer-7/context?limit=12&wait_seconds=20"
            f"&wait_for=burst:myapp:{keys[-1]}",
            tenant.key,
        )
        assert answer["in_order"]
        assert [one["content"] for one in answer["messages"]] == keys
