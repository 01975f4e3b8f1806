"""Sample traffic: bodies as providers send them, signed as they sign, with real photographs and voice notes behind the links."""

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
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, unquote

from connectors.webhooks.signatures import sign
from schemas.keys import message_key

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


class Sample(NamedTuple):
    """One delivery: what it shows, the body, and the id of its message (empty: none)."""

    what: str
    provider: str
    body: bytes
    provider_message_id: str

    def key(self, tenant: str, instance: str | None = None) -> str:
        """`instance`: the label of the endpoint it is sent to."""
        found = self.provider_message_id
        labelled = f"{instance}/{found}" if instance else found
        return message_key(tenant, self.provider, labelled)  # type: ignore[arg-type]


class File(NamedTuple):
    """A file behind a link."""

    kind: Literal["image", "audio"]
    url: str
    mime: str


def mime_of(path: Path) -> str:
    return _MIME.get(path.suffix.lower(), "application/octet-stream")


def ycloud(
    text: str | None, file: File | None, *, what: str, conversation: str = "15550100001"
) -> Sample:
    """A WhatsApp message as YCloud delivers it."""
    wamid, now = (
        f"wamid.DEMO{uuid.uuid4().hex.upper()}",
        datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    )
    message: dict[str, Any] = {
        "id": uuid.uuid4().hex[:24],
        "wamid": wamid,
        "wabaId": "246000000000111",
        "from": f"+{conversation}",
        "customerProfile": {"name": "Demo Customer"},
        "to": "+15550109999",
        "sendTime": now,
    }
    if file is None:
        message |= {"type": "text", "text": {"body": text}}
    else:
        content = {"link": file.url, "id": uuid.uuid4().hex[:15], "mime_type": file.mime} | (
            {"caption": text} if text else {}
        )
        message |= {"type": file.kind, file.kind: content}
    event = {
        "id": f"evt_{uuid.uuid4().hex[:24]}",
        "type": "whatsapp.inbound_message.received",
        "apiVersion": "v2",
        "createTime": now,
        "whatsappInboundMessage": message,
    }
    return Sample(what, "ycloud", json.dumps(event).encode(), wamid)


def chatwoot(text: str | None, file: File | None, *, what: str, conversation: int = 41) -> Sample:
    """An incoming message as Chatwoot delivers it."""
    number, now = (
        uuid.uuid4().int % 10**12,
        datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )
    event: dict[str, Any] = {
        "event": "message_created",
        "account": {"id": 7, "name": "Demo"},
        "id": number,
        "content": text,
        "content_type": "text",
        "content_attributes": {},
        "message_type": "incoming",
        "private": False,
        "created_at": now,
        "conversation": {
            "id": conversation,
            "channel": "Channel::Whatsapp",
            "contact_inbox": {"source_id": "15550100002"},
        },
        "inbox": {"id": 31, "name": "Demo WhatsApp"},
        "sender": {"id": 9101, "name": "Demo Customer", "phone_number": "+15550100002"},
    }
    if file is not None:
        event["attachments"] = [
            {
                "id": number + 1,
                "message_id": number,
                "file_type": file.kind,
                "account_id": 7,
                "data_url": file.url,
            }
        ]
    return Sample(what, "chatwoot", json.dumps(event).encode(), f"7/{number}")


def deliver(sample: Sample, url: str, secret: str | None) -> int:
    """Posts it signed; returns the status. Raises OSError when nobody answers."""
    headers = {"content-type": "application/json"} | (
        sign(sample.provider, secret, sample.body, int(time.time())) if secret else {}
    )
    request = urllib.request.Request(url, sample.body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@contextmanager
def serving(
    files: Mapping[str, Path], port: int, fetched: threading.Event | None = None
) -> Iterator[str]:
    """Serves the files by name on 127.0.0.1 while the block runs; gives the address they stand under. `fetched`: set when one was fetched whole."""

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = files.get(unquote(self.path.partition("?")[0].rpartition("/")[2]))
            if path is None:
                self.send_error(404)
                return
            data = path.read_bytes()
            self.send_response(200)
            self.send_header("content-type", mime_of(path))
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            if fetched is not None:
                fetched.set()

        def log_message(self, format: str, *args: object) -> None:
            """The demo has its own progress to show."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Files)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        server.server_close()


def link(address: str, name: str) -> str:
    """A link of its own for each delivery, as providers make them."""
    return f"{address}/{uuid.uuid4().hex}/{quote(name)}"
