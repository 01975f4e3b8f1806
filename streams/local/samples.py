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
from schemas.keys import direct_conversation_id, message_key

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
    """One delivery: what it shows, the body, the id of its message (empty: none), and of its conversation."""

    what: str
    provider: str
    body: bytes
    provider_message_id: str
    conversation_id: str = ""

    def key(self, tenant: str, instance: str | None = None) -> str:
        """`instance`: the label of the endpoint it is sent to."""
        found = self.provider_message_id
        labelled = f"{instance}/{found}" if instance else found
        return message_key(tenant, self.provider, labelled)  # type: ignore[arg-type]


class SampleFile(NamedTuple):
    """A file behind a link."""

    kind: Literal["image", "audio"]
    url: str
    mime: str


def mime_of(path: Path) -> str:
    return _MIME.get(path.suffix.lower(), "application/octet-stream")


YCLOUD_BUSINESS, YCLOUD_CUSTOMER = "15550109999", "15550100001"
CHATWOOT_ACCOUNT, CHATWOOT_CONVERSATION = 7, "41"


def ycloud(
    text: str | None,
    file: SampleFile | None,
    *,
    what: str,
    conversation: str = YCLOUD_CUSTOMER,
    outbound: bool = False,
) -> Sample:
    """A WhatsApp message as YCloud delivers it. `conversation` is the customer's number, or `business~customer`."""
    business, _, customer = conversation.rpartition("~")
    business = business or YCLOUD_BUSINESS
    wamid, now = (
        f"wamid.DEMO{uuid.uuid4().hex.upper()}",
        datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    )
    sender, receiver = (business, customer) if outbound else (customer, business)
    message: dict[str, Any] = {
        "id": uuid.uuid4().hex[:24],
        "wamid": wamid,
        "wabaId": "246000000000111",
        "from": f"+{sender}",
        "to": f"+{receiver}",
        "sendTime": now,
    }
    if not outbound:
        message["customerProfile"] = {"name": "Demo Customer"}
    if file is None:
        message |= {"type": "text", "text": {"body": text}}
    else:
        content = {"link": file.url, "id": uuid.uuid4().hex[:15], "mime_type": file.mime} | (
            {"caption": text} if text else {}
        )
        message |= {"type": file.kind, file.kind: content}
    kind, place = (
        ("whatsapp.smb.message.echoes", "whatsappMessage")
        if outbound
        else ("whatsapp.inbound_message.received", "whatsappInboundMessage")
    )
    event = {
        "id": f"evt_{uuid.uuid4().hex[:24]}",
        "type": kind,
        "apiVersion": "v2",
        "createTime": now,
        place: message,
    }
    said = f"{business}~{customer}"
    return Sample(what, "ycloud", json.dumps(event).encode(), wamid, said)


def chatwoot(
    text: str | None,
    file: SampleFile | None,
    *,
    what: str,
    conversation: int | str = CHATWOOT_CONVERSATION,
    customer: str = "9101",
    outbound: bool = False,
) -> Sample:
    """A message as Chatwoot delivers it. `conversation` is its number, or `account~number`; `customer` the contact's id."""
    account, _, talk = str(conversation).rpartition("~")
    account = account or str(CHATWOOT_ACCOUNT)
    number, now = (
        uuid.uuid4().int % 10**12,
        datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )
    agent = {"id": 21, "name": "Demo Agent", "type": "user"}
    contact = {"id": _number(customer), "name": "Demo Customer", "phone_number": "+15550100002"}
    event: dict[str, Any] = {
        "event": "message_created",
        "account": {"id": _number(account), "name": "Demo"},
        "id": number,
        "content": text,
        "content_type": "text",
        "content_attributes": {},
        "message_type": "outgoing" if outbound else "incoming",
        "private": False,
        "created_at": now,
        "conversation": {
            "id": _number(talk),
            "channel": "Channel::Whatsapp",
            "contact_inbox": {"source_id": "15550100002"},
        },
        "inbox": {"id": 31, "name": "Demo WhatsApp"},
        "sender": agent if outbound else contact,
    }
    if file is not None:
        event["attachments"] = [
            {
                "id": number + 1,
                "message_id": number,
                "file_type": file.kind,
                "account_id": _number(account),
                "data_url": file.url,
            }
        ]
    said, body = f"{account}~{talk}", json.dumps(event).encode()
    return Sample(what, "chatwoot", body, f"{account}/{number}", said)


def chat(
    text: str | None,
    file: SampleFile | None,
    *,
    what: str,
    conversation: str = "demo-conversation",
    customer: str = "demo-customer",
    outbound: bool = False,
) -> Sample:
    """A message of a service of one's own, for `POST /chat`."""
    found = uuid.uuid4().hex
    message: dict[str, Any] = {
        "provider": "chat",
        "provider_message_id": found,
        "conversation_id": conversation,
        "sender": {"id": "demo-agent" if outbound else customer, "name": "Demo"},
        "occurred_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "direction": "outbound" if outbound else "inbound",
    }
    if text:
        message["text"] = text
    if file is not None:
        message["media"] = [{"type": file.kind, "url": file.url, "mime_type": file.mime}]
    said = direct_conversation_id(conversation, outbound=outbound)
    return Sample(what, "chat", json.dumps(message).encode(), found, said)


def _number(text: str) -> int | str:
    """Ids of Chatwoot are numbers; another one is sent as it is, to see what becomes of it."""
    return int(text) if text.isascii() and text.isdigit() else text


def deliver(sample: Sample, url: str, secret: str | None, key: str | None = None) -> int:
    """Posts it signed, or with a key; returns the status. Raises OSError when nobody answers."""
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
"""What a server of files may answer where a file was announced: status, type and body."""


class Served(NamedTuple):
    """How a file is served: the answer begins after some seconds, and may be one of BAD_FILES."""

    path: Path
    after_seconds: float = 0.0
    bad: str | None = None


@contextmanager
def serving(
    files: Mapping[str, Path | Served], port: int, fetched: threading.Event | None = None
) -> Iterator[str]:
    """Serves the files by name on 127.0.0.1 while the block runs; gives the address they stand under. `fetched`: set when one was fetched whole."""
    ends = threading.Event()

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = files.get(unquote(self.path.partition("?")[0].rpartition("/")[2]))
            if found is None:
                self.send_error(404)
                return
            file = found if isinstance(found, Served) else Served(found)
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
            """The demo has its own progress to show."""

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
    """A link of its own for each delivery, as providers make them."""
    return f"{address}/{uuid.uuid4().hex}/{quote(name)}"
