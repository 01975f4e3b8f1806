"""Runs examples/bot.py against the console and a receiver that drops duplicates, as dedupe does."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from schemas.settings import Settings
from schemas.topics import Names
from streams.local.ports import free_port
from tests.integration.console import Console, row, running
from tests.integration.waiting import until

BOT = Path(__file__).parents[2] / "examples" / "bot.py"


class Chat:
    """The two servers. `posted` are all requests to POST /chat, in order."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = asyncio.Lock()
        self.posted: list[dict[str, Any]] = []

    async def customer_writes(self, identifier: str, text: str) -> None:
        await self._write(identifier, text)

    async def _write(self, identifier: str, text: str, **fields: Any) -> None:
        async with self._lock:
            await self._console.write(row(identifier, content=text, **fields))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, is_open = b"", True
        while is_open:
            message = await receive()
            body, is_open = body + message.get("body", b""), message.get("more_body", False)
        document = json.loads(body)
        self.posted.append(document)
        await self._write(
            document["provider_message_id"],
            document["text"],
            direction="outbound",
            role="assistant",
            conversation_id=document["conversation_id"],
        )
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def rows_are(self, count: int) -> bool:
        """True if this many answers are rows. The last posted one may not be a row yet."""
        async with self._lock:
            return count == await self._console.connection.fetchval(
                "SELECT count(*) FROM chat_messages WHERE direction = 'outbound'"
            )

    @property
    def texts(self) -> list[str]:
        return [document["text"] for document in self.posted]


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    port = free_port(set())
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@contextmanager
def bot(environment: dict[str, str]) -> Iterator[None]:
    """Runs the bot and ends it by SIGKILL, because a bot may die at any time."""
    process = subprocess.Popen([sys.executable, str(BOT)], env=environment)
    try:
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


async def test_a_bot_answers_once_per_message_over_its_own_death(
    stack: Settings, namespace: str, tmp_path: Path
) -> None:
    cursor = tmp_path / "bot.cursor"
    async with running(stack, Names(namespace)) as console:
        chat = Chat(console)
        async with served(console.app) as console_url, served(chat) as receiver_url:
            environment = {
                "PATH": os.environ["PATH"],
                "CONSOLE": console_url,
                "RECEIVER": receiver_url,
                "READ_KEY": console.keys["acme", "read"],
                "CHAT_KEY": console.keys["acme", "chat"],
                "CURSOR_FILE": str(cursor),
            }
            await chat.customer_writes("before", "sent before the bot was there")
            with bot(environment):
                await until(cursor.exists)
                early = cursor.read_text()
                await chat.customer_writes("1", "uno")
                await until(lambda: chat.texts == ["I read: uno"])
            await chat.customer_writes("2", "dos")
            with bot(environment):
                await until(lambda: chat.texts[-1] == "I read: dos")
            assert len({document["provider_message_id"] for document in chat.posted}) == 2
            cursor.write_text(early)  # as if it had died before it noted anything
            with bot(environment):
                await chat.customer_writes("3", "tres")
                await until(lambda: chat.texts[-1] == "I read: tres")
            assert not any("before" in text or "I read: I read" in text for text in chat.texts)
            assert len({document["provider_message_id"] for document in chat.posted}) == 3
            await until(lambda: chat.rows_are(3))
