"""`sensorium send` delivers as a provider does: signed, and with files that can be fetched."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from connectors.providers.catalogue import check_signature
from schemas.signatures import Claim
from streams.local.home import write
from streams.local.ports import free_port
from tests.integration.commands import Commands


class Receiver:
    """Accepts webhooks, checks their signatures with the product's own check, and keeps them."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.status = [200]
        self.secret = ""
        outer = self

        class Takes(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                provider = self.path.split("/")[2]
                headers = {name.lower(): value for name, value in self.headers.items()}
                claim = Claim(headers, body, time.time())
                examined = check_signature(provider, claim, (outer.secret,), 60)
                assert examined is not None and examined.verdict == "valid"
                outer.got.append((self.path, body))
                outer._fetch(body)
                self.send_response(outer.status[min(len(outer.got), len(outer.status)) - 1])
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Logs nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Takes)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.files: list[bytes] = []
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _fetch(self, body: bytes) -> None:
        """Fetches the file as store_media does."""
        document = json.loads(body)
        message = document.get("whatsappInboundMessage", {})
        links = [message[kind]["link"] for kind in ("image", "audio") if kind in message] + [
            one["data_url"] for one in document.get("attachments", [])
        ]
        for link in links:
            with urllib.request.urlopen(link, timeout=10) as answer:
                self.files.append(answer.read())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver(acme: Commands) -> Iterator[Receiver]:
    made = Receiver()
    acme.more["SENSORIUM_RECEIVER__URL"] = made.url
    yield made
    made.close()


@pytest.mark.parametrize("provider", ["ycloud", "chatwoot"])
def test_send_delivers_a_signed_text_as_often_as_asked(
    acme: Commands, receiver: Receiver, provider: str
) -> None:
    endpoint = acme.json("endpoints", "add", "acme", provider)
    receiver.secret = endpoint["secret"]
    document = acme.json("send", provider, "--tenant", "acme", "--text", "¿hola?", "--times", "3")
    assert document["statuses"] == [200, 200, 200] and document["message_key"].startswith(
        f"acme:{provider}:"
    )
    assert {path for path, _ in receiver.got} == {f"/webhooks/{provider}/{endpoint['token']}"}
    assert len({body for _, body in receiver.got}) == 1 and "¿hola?" in str(
        json.loads(receiver.got[0][1])
    )
    assert len(acme.json("endpoints", "list")["endpoints"]) == 1  # the one there is was used


def test_send_adds_an_endpoint_where_the_tenant_has_none(
    acme: Commands, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.postgres.tenancy.secrets.token_urlsafe", lambda _: "made")
    receiver.secret = "whsec_made"
    receiver.status = [401, 200]  # until the receiver knows it
    assert acme.json("send", "ycloud", "--tenant", "acme", "--text", "hola")["statuses"] == [200]
    assert len(acme.json("endpoints", "list")["endpoints"]) == 1


@pytest.mark.parametrize(
    ("option", "name"), [("--image", "cat.jpg"), ("--audio", "voice-note-es.ogg")]
)
@pytest.mark.parametrize("provider", ["ycloud", "chatwoot"])
def test_send_serves_the_file_until_it_was_fetched(
    acme: Commands, receiver: Receiver, provider: str, option: str, name: str, tmp_path: Path
) -> None:
    receiver.secret = acme.json("endpoints", "add", "acme", provider)["secret"]
    (tmp_path / "run").mkdir()
    write(tmp_path / "run" / "ports.json", {"demo_media": free_port(set())})
    file = Path(__file__).parents[1] / "media" / name
    document = acme.json(
        "send",
        provider,
        "--tenant",
        "acme",
        option,
        str(file),
        "--home",
        str(tmp_path),
        "--serve-seconds",
        "600",
    )
    assert document["statuses"] == [200] and receiver.files == [file.read_bytes()]


def test_send_tells_of_a_delivery_that_was_refused(acme: Commands, receiver: Receiver) -> None:
    receiver.secret = acme.json("endpoints", "add", "acme", "ycloud")["secret"]
    receiver.status = [503]
    document = acme.json("send", "ycloud", "--tenant", "acme", "--text", "hola", exit_code=1)
    assert document["statuses"] == [503]


def test_send_tells_of_an_unknown_tenant_and_of_a_receiver_that_is_away(acme: Commands) -> None:
    acme.more["SENSORIUM_RECEIVER__URL"] = f"http://127.0.0.1:{free_port(set())}"
    assert (
        acme.fails("send", "ycloud", "--tenant", "nobody", "--text", "x")
        == "there is no tenant 'nobody': sensorium tenants add nobody"
    )
    assert "does not answer" in acme.fails("send", "ycloud", "--tenant", "acme", "--text", "x")
