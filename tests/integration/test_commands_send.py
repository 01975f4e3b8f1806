"""Options of `sensorium send`: sender, conversation, faulty files, and `POST /chat`."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.console.pages.refs import page_refs
from schemas.keys import TenantId
from schemas.settings import Settings
from storage.postgres.vault import Vault
from streams.commands import demo
from streams.local.home import home_at
from streams.local.samples import MEDIA_DIR
from tests.integration.commands import Commands
from tests.integration.databases import Connection

README = Path(__file__).parents[2] / "README.md"


class Receiver:
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, Any]] = []
        self.status = [200]
        outer = self

        class Takes(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append((self.path, self.headers["authorization"] or "", json.loads(body)))
                self.send_response(outer.status[min(len(outer.got), len(outer.status)) - 1])
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Logs nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Takes)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def acme(stack: Settings, namespace: str) -> Iterator[Commands]:
    made = Commands(msgspec.structs.replace(stack, namespace=namespace), {})
    made.make_tables()
    made.json("tenants", "add", "acme")
    made.more["SENSORIUM_CONSOLE__URL"] = "http://127.0.0.1:8081"
    yield made
    made.drop_tables()


@pytest.fixture
def receiver(acme: Commands) -> Iterator[Receiver]:
    made = Receiver()
    acme.more["SENSORIUM_RECEIVER__URL"] = made.url
    yield made
    made.close()


def send(acme: Commands, provider: str, *words: str) -> Any:
    return acme.json("send", provider, "--tenant", "acme", *words)


def test_send_names_the_conversation_and_where_a_bot_reads_it(
    acme: Commands, receiver: Receiver
) -> None:
    sent = send(acme, "ycloud", "--text", "hola", "--from", "+15550100042")
    assert sent["conversation_id"] == "15550109999~15550100042"
    assert sent["context_url"] == (
        "http://127.0.0.1:8081/api/conversations/15550109999~15550100042/context"
    )
    refs = page_refs(Vault(acme.settings.secrets.key))
    ref = refs.of(TenantId("acme"), "c", sent["conversation_id"])
    assert sent["page_url"] == f"http://127.0.0.1:8081/t/acme/c/{ref}"
    assert receiver.got[0][2]["whatsappInboundMessage"]["from"] == "+15550100042"
    plain = acme.run("send", "ycloud", "--tenant", "acme", "--text", "hola")
    assert plain.stdout.startswith("acme:ycloud:") and plain.stdout.count("\n") == 1
    assert "conversation 15550109999~15550100001" in plain.stderr


def test_send_plays_the_business_too(acme: Commands, receiver: Receiver) -> None:
    send(acme, "ycloud", "--text", "a", "--outbound", "--conversation", "4930~15550100042")
    message = receiver.got[0][2]["whatsappMessage"]
    assert (message["from"], message["to"]) == ("+4930", "+15550100042")
    sent = send(acme, "chatwoot", "--text", "b", "--outbound", "--conversation", "77")
    assert sent["conversation_id"] == "7~77"
    assert receiver.got[1][2]["message_type"] == "outgoing"


def test_send_posts_to_chat_with_a_key_that_ends_with_the_call(
    acme: Commands, receiver: Receiver
) -> None:
    receiver.status = [401, 202]  # until the receiver knows the key
    sent = send(acme, "chat", "--text", "hola", "--conversation", "c-1", "--from", "ana")
    assert sent["statuses"] == [202] and sent["conversation_id"] == "c-1"
    path, authorization, body = receiver.got[-1]
    assert path == "/chat" and authorization.startswith("Bearer sk_chat_")
    assert (
        body["sender"]["id"] == "ana"
        and sent["message_key"] == f"acme:chat:{body['provider_message_id']}"
    )
    assert acme.json("keys", "list", "acme")["keys"] == []


def test_send_refuses_a_file_that_is_not_a_picture_unless_asked(
    acme: Commands, receiver: Receiver, tmp_path: Path
) -> None:
    words = ("send", "ycloud", "--tenant", "acme", "--image", str(README))
    refused = acme.fails(*words)
    assert "README.md is text/plain, and --image needs" in refused and "--anyway" in refused
    assert "--audio needs another kind" in acme.fails(
        "send", "ycloud", "--tenant", "acme", "--audio", str(MEDIA_DIR / "cat.jpg")
    )
    assert "run it first" in acme.fails(*words, "--anyway", "--home", str(tmp_path))
    assert receiver.got == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--slow", "3", "--text", "x"), "--slow and --bad need a file"),
        (("--bad", "page", "--text", "x"), "--slow and --bad need a file"),
        (("--text", "x", "--conversation", "a b"), "is not a conversation id"),
        (
            ("--text", "x", "--conversation", "1~2", "--from", "3"),
            "either --from or --conversation",
        ),
        ((), "nothing to send"),
    ],
)
def test_send_says_what_does_not_go_together(
    acme: Commands, words: tuple[str, ...], said: str
) -> None:
    assert said in acme.fails("send", "ycloud", "--tenant", "acme", *words)


def test_the_demo_has_one_key_however_often_it_runs(
    acme: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sensorium(_settings: Settings, *words: str) -> str:
        result = acme.run(*words)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    monkeypatch.setattr(demo, "sensorium", sensorium)
    home = home_at(tmp_path)
    home.run.mkdir(parents=True)
    first = demo.demo_key(home, acme.settings, "acme")
    assert demo.demo_key(home, acme.settings, "acme") == first
    (made,) = acme.json("keys", "list", "acme")["keys"]
    acme.json("keys", "revoke", made["key_id"])
    second = demo.demo_key(home, acme.settings, "acme")
    (home.run / "demo-key.json").unlink()
    third = demo.demo_key(home, acme.settings, "acme")
    assert len({first, second, third}) == 3

    async def keys(connection: Connection) -> int:
        return int(await connection.fetchval("SELECT count(*) FROM api_keys"))

    assert acme.database(keys) == 1
