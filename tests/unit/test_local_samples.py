"""The adapters read sample traffic as it was meant: sender, role, and conversation."""

import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from connectors.providers.catalogue import read
from schemas.keys import message_key
from schemas.records import ChatMessage
from streams.commands.demo import BAD, SLOW, demo_files, samples
from streams.local.ports import free_port
from streams.local.samples import (
    BAD_FILES,
    MEDIA_DIR,
    Sample,
    Served,
    chat,
    chatwoot,
    serving,
    ycloud,
)
from tests.unit.records import TENANT, raw


def said(sample: Sample) -> ChatMessage:
    endpoint = {"endpoint_id": ""} if sample.provider == "chat" else {}
    of = raw(sample.provider, sample.provider_message_id, sample.body, **endpoint)
    found = read(of)
    assert isinstance(found, ChatMessage), found
    assert of.message_key == message_key(TENANT, sample.provider, found.provider_message_id)
    assert found.conversation_id == sample.conversation_id
    return found


@pytest.mark.parametrize("make", [ycloud, chatwoot, chat])
@pytest.mark.parametrize("outbound", [False, True])
def test_a_sample_is_read_as_what_it_says(make: object, outbound: bool) -> None:
    found = said(make("hola", None, what="text", outbound=outbound))  # type: ignore[operator]
    assert (found.content, found.direction) == ("hola", "outbound" if outbound else "inbound")


def test_both_directions_of_a_customer_are_one_conversation() -> None:
    first = said(ycloud("a", None, what="", conversation="15550100007"))
    second = said(ycloud("b", None, what="", conversation="15550100007", outbound=True))
    assert first.conversation_id == second.conversation_id == "15550109999~15550100007"
    assert said(ycloud("c", None, what="", conversation="4930~15550100007")).sender_id


def test_a_conversation_of_chatwoot_may_name_its_account() -> None:
    assert chatwoot("a", None, what="", conversation="42").conversation_id == "7~42"
    assert chatwoot("a", None, what="", conversation="9~42").conversation_id == "9~42"
    assert said(chatwoot("a", None, what="", conversation="9~42", customer="55")).sender_id == "55"


def test_the_demo_shows_several_customers_both_directions_and_files_that_misbehave() -> None:
    sent = [one for one in samples("http://127.0.0.1:1") if one.provider_message_id]
    messages = [said(one) for one in sent]
    assert len({one.conversation_id for one in messages}) == 4
    assert {one.direction for one in messages} == {"inbound", "outbound"}
    links = [file.url or "" for one in messages for file in one.attachments]
    assert {name for name in (SLOW, BAD) if any(link.endswith(name) for link in links)} == {
        SLOW,
        BAD,
    }
    assert all(link.rpartition("/")[2] in demo_files() for link in links)


def fetch(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:  # it ended in the middle
        return 0, b""


@pytest.mark.parametrize("bad", BAD_FILES)
def test_a_bad_file_is_answered_as_announced(bad: str) -> None:
    status, _, data = BAD_FILES[bad]
    with serving({"a.jpg": Served(MEDIA_DIR / "cat.jpg", bad=bad)}, free_port(set())) as address:
        assert fetch(f"{address}/x/a.jpg") == (status, data)


def test_a_slow_file_is_answered_late_and_its_server_ends_at_once() -> None:
    path = Path(MEDIA_DIR / "cat.jpg")
    files = {"slow.jpg": Served(path, after_seconds=0.3), "never.jpg": Served(path, 600.0)}
    began = time.monotonic()
    with serving(files, free_port(set())) as address:
        assert fetch(f"{address}/x/slow.jpg") == (200, path.read_bytes())
        assert time.monotonic() - began >= 0.3
        waiting = threading.Thread(target=lambda: fetch(f"{address}/x/never.jpg"), daemon=True)
        waiting.start()
    waiting.join(60)
    assert not waiting.is_alive()
