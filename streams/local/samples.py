"""Sample traffic: bodies as providers send and sign them.

The links lead to real photographs and voice notes.
"""

import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from connectors.providers.catalogue import sign
from connectors.providers.chatwoot_sample import chatwoot as chatwoot
from connectors.providers.samples import Sample as Sample
from connectors.providers.samples import SampleFile as SampleFile
from connectors.providers.samples import SampleMessage as SampleMessage
from connectors.providers.ycloud_sample import ycloud as ycloud
from schemas.keys import direct_conversation_id

MEDIA_DIR = Path(__file__).with_name("media")
_SECONDS = 15.0
_MIME = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".heic": "image/heic",
    ".ogg": "audio/ogg; codecs=opus",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".amr": "audio/amr",
    ".wav": "audio/wav",
}


def mime_of(path: Path) -> str:
    return _MIME.get(path.suffix.lower(), "application/octet-stream")


def chat(
    text: str | None,
    file: SampleFile | None,
    *,
    what: str,
    conversation: str = "demo-conversation",
    customer: str = "demo-customer",
    outbound: bool = False,
) -> Sample:
    """Returns a message of a customer's own service, for `POST /chat`."""
    message_id = uuid.uuid4().hex
    message: dict[str, Any] = {
        "provider": "chat",
        "provider_message_id": message_id,
        "conversation_id": conversation,
        "sender": {"id": "demo-agent" if outbound else customer, "name": "Demo"},
        "occurred_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "direction": "outbound" if outbound else "inbound",
    }
    if text:
        message["text"] = text
    if file is not None:
        message["media"] = [{"type": file.kind, "url": file.url, "mime_type": file.mime}]
    conversation_id = direct_conversation_id(conversation, outbound=outbound)
    return Sample(what, "chat", json.dumps(message).encode(), message_id, conversation_id)


def chat_sample(message: SampleMessage) -> Sample:
    """Returns the sample as a body for `POST /chat`."""
    named = {"conversation": message.conversation, "customer": message.customer}
    return chat(
        message.text,
        message.file,
        what=message.what,
        outbound=message.outbound,
        **{name: value for name, value in named.items() if value},
    )


def deliver(sample: Sample, url: str, secret: str | None, key: str | None = None) -> int:
    """Posts the sample, signed or with a key. Returns the status.

    Raises OSError if no server answers.
    """
    headers = {"content-type": "application/json"}
    if secret:
        headers |= sign(sample.provider, secret, sample.body, int(time.time()))
    if key:
        headers["authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, sample.body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


BAD_FILES: dict[str, tuple[int, str, bytes]] = {
    "gone": (410, "text/plain", b"gone"),
    "page": (200, "text/html", b"<!doctype html><title>Sign in</title><form action=/login></form>"),
    "empty": (200, "image/jpeg", b""),
    "broken": (200, "image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(range(200))),
}
"""Answers of a file server instead of the announced file: status, content type and body."""


class Served(NamedTuple):
    """A file to serve, optionally with a delay in seconds, or replaced by one of BAD_FILES."""

    path: Path
    after_seconds: float = 0.0
    bad: str | None = None


@contextmanager
def serving(
    files: Mapping[str, Path | Served], port: int, fetched: threading.Event | None = None
) -> Iterator[str]:
    """Serves the files by name on 127.0.0.1 while the block runs. Yields their address.

    `fetched` is set when a file was fetched completely.
    """
    ends = threading.Event()

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served = files.get(unquote(self.path.partition("?")[0].rpartition("/")[2]))
            if served is None:
                self.send_error(404)
                return
            file = served if isinstance(served, Served) else Served(served)
            ends.wait(file.after_seconds)
            status, mime, data = (
                (200, mime_of(file.path), file.path.read_bytes())
                if file.bad is None
                else BAD_FILES[file.bad]
            )
            self.send_response(status)
            self.send_header("content-type", mime)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            if fetched is not None:
                fetched.set()

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing, because the demo shows its own progress."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Files)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        ends.set()
        server.shutdown()
        server.server_close()


def link(address: str, name: str) -> str:
    """Returns a new link per delivery, as providers do."""
    return f"{address}/{uuid.uuid4().hex}/{quote(name)}"
