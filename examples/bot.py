"""Answers every message of a tenant once: CONSOLE=… RECEIVER=… READ_KEY=… CHAT_KEY=… python bot.py

It goes on where it stopped, because its cursor is in a file. What it had answered and not noted, it
answers again under the same id, which Sensorium drops.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

CONSOLE, RECEIVER = os.environ["CONSOLE"], os.environ["RECEIVER"]
CURSOR = Path(os.environ.get("CURSOR_FILE", "bot.cursor"))


def call(url: str, key: str, body: dict[str, Any] | None = None) -> Any:
    request = Request(url, body and json.dumps(body).encode(), {"Authorization": f"Bearer {key}"})
    while True:
        try:
            with urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except HTTPError as error:
            if error.code not in (429, 503):
                raise SystemExit(f"{url}: {error.read().decode()}") from None
        except OSError:
            pass  # away for a moment
        time.sleep(1)


def reply_to(message: dict[str, Any]) -> str:
    """Where your model goes: it reads text and transcripts in `content`, pictures in the other."""
    return f"I read: {message['content'] or ''}\n{message['visual_context']}".strip()


def id_of_reply(message: dict[str, Any]) -> str:
    """The same for every version of a message, so that a second answer is a duplicate."""
    return hashlib.sha256(message["message_key"].encode()).hexdigest()


while True:
    where = f"after={CURSOR.read_text()}&wait_seconds=25" if CURSOR.exists() else "after=latest"
    url = f"{CONSOLE}/api/messages?status=complete&status=degraded&{where}"
    page = call(url, os.environ["READ_KEY"])
    for message in page["messages"]:
        if message["role"] == "user":
            answer = {"provider": "bot", "provider_message_id": id_of_reply(message),
                      "conversation_id": message["conversation_id"], "sender": {"id": "bot"},
                      "text": reply_to(message), "direction": "outbound"}  # fmt: skip
            call(f"{RECEIVER}/chat", os.environ["CHAT_KEY"], answer)
    CURSOR.with_suffix(".new").write_text(page["cursor"])
    CURSOR.with_suffix(".new").replace(CURSOR)
