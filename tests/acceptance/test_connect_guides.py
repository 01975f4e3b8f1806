"""Runs the commands of docs/connect-*.md, against servers that act for the providers."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from streams.local.samples import Sample, chatwoot, ycloud
from tests.acceptance.guides import Guide, Provider
from tests.pipeline import Pipeline

API_KEY = "key-of-the-account"


@contextmanager
def played(name: str, key_header: str, *paths: str) -> Iterator[Provider]:
    provider = Provider(name, key_header, API_KEY, paths)
    try:
        yield provider
    finally:
        provider.close()


def guide_of(pipeline: Pipeline, page: str, tenant: str, instead: dict[str, str]) -> Guide:
    return Guide(page, pipeline.environment(), instead | {"acme": tenant})


def finishes(pipeline: Pipeline, tenant: str, key: str) -> None:
    """Waits until the row exists, as a person would look again."""
    deadline = time.monotonic() + 60
    while True:
        try:
            if pipeline.command("trace", key)["message"]["status"] == "complete":
                return
        except AssertionError:
            assert time.monotonic() < deadline, f"{tenant} has no row {key}"
        time.sleep(0.3)


def reasons(guide: Guide, pipeline: Pipeline, *wanted: str) -> None:
    """Waits until `endpoints deliveries` shows these reasons."""
    deadline = time.monotonic() + 60
    while True:
        rows = pipeline.command("endpoints", "deliveries", guide.environment["ID"])["deliveries"]
        if {row["reason"] for row in rows} == set(wanted):
            return
        assert time.monotonic() < deadline, rows
        time.sleep(0.3)


def works(guide: Guide, pipeline: Pipeline, tenant: str, sample: Sample) -> None:
    """Runs the part `See that it works` of a page."""
    key = sample.key(tenant)
    finishes(pipeline, tenant, key)
    reasons(guide, pipeline, "secret_awaited", "accepted")
    seen = guide.run()
    assert "  accepted  " in seen and "secret_awaited" in seen and "endpoints secret ep_" in seen
    assert f" {key} v1 complete text: hola" in seen
    guide.set(KEY=key)
    assert "dedupe" in guide.run()


def rotated(guide: Guide, provider: Provider, old: str, sample: Sample) -> None:
    """Runs the part `When the secret changes`, once the new secret is known."""
    new = provider.webhook["secret"]
    guide.set(NEW_SECRET=new)
    listed = guide.run()
    provider.send_until(200, sample.body, secret=new)
    assert provider.send(sample.body, secret=old) == 200
    (line,) = [
        one for one in listed.splitlines() if guide.environment["ID"] in one and "accepted" in one
    ]
    ids = [word.strip(",") for word in line.split() if word.startswith("sec_")]
    assert len(ids) == 2
    guide.set(OLD_SECRET_ID=ids[1])
    guide.run()
    provider.send_until(401, sample.body, secret=old)
    assert provider.send(sample.body, secret=new) == 200


def test_the_guide_for_ycloud_connects_it(pipeline: Pipeline) -> None:
    tenant, sample = "guide-ycloud", ycloud("hola", None, what="text")
    with played(
        "ycloud", "X-API-Key", "/v2/webhookEndpoints", "/v2/webhookEndpoints/w1/rotateSecret"
    ) as provider:
        instead = {
            "https://api.ycloud.com": provider.address,
            "https://hooks.example.com": pipeline.receiver,
        }
        guide = guide_of(pipeline, "connect-ycloud.md", tenant, instead)
        guide.set(YCLOUD_API_KEY=API_KEY)
        guide.run()  # the public address
        guide.endpoint(guide.run())
        assert guide.environment["URL"].startswith(f"{pipeline.receiver}/webhooks/ycloud/")
        made = json.loads(guide.run())
        assert provider.asked[0][1]["url"] == guide.environment["URL"]
        assert "whatsapp.inbound_message.received" in provider.asked[0][1]["enabledEvents"]
        provider.send_until(503, sample.body)
        guide.set(SECRET=made["secret"])
        guide.run()
        provider.send_until(200, sample.body)
        works(guide, pipeline, tenant, sample)
        guide.set(YCLOUD_ENDPOINT_ID=made["id"])
        assert json.loads(guide.run())["secret"] != made["secret"]
        rotated(guide, provider, made["secret"], sample)
        assert guide.left == []
    answered_in(pipeline, tenant, "15550109999~15550100001")


def answered_in(pipeline: Pipeline, tenant: str, conversation: str) -> None:
    """Checks that a bot's answer by `POST /chat` is in the conversation of the provider."""
    chat = pipeline.chat_key(tenant)
    read = pipeline.command("keys", "add", tenant, "--scope", "read")["key"]
    answer = {
        "provider": "bot",
        "provider_message_id": "1",
        "conversation_id": conversation,
        "sender": {"id": "bot"},
        "text": "adiós",
        "direction": "outbound",
    }
    deadline = time.monotonic() + 60
    with httpx.Client(trust_env=False, timeout=30) as client:
        bearer = {"authorization": f"Bearer {chat}"}
        while client.post(f"{pipeline.receiver}/chat", json=answer, headers=bearer).is_error:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finishes(pipeline, tenant, f"{tenant}:bot:1")
    context = pipeline.get(f"/api/conversations/{conversation}/context?limit=10", read)
    assert [(one["role"], one["content"]) for one in context["messages"]] == [
        ("user", "hola"),
        ("assistant", "adiós"),
    ]


def test_the_guide_for_chatwoot_connects_it(pipeline: Pipeline) -> None:
    tenant, sample = "guide-chatwoot", chatwoot("hola", None, what="text")
    with played("chatwoot", "api_access_token", "/api/v1/accounts/7/webhooks") as provider:
        instead = {
            "https://app.chatwoot.com": provider.address,
            "https://hooks.example.com": pipeline.receiver,
        }
        guide = guide_of(pipeline, "connect-chatwoot.md", tenant, instead)
        guide.set(CHATWOOT_ACCOUNT="7", CHATWOOT_TOKEN=API_KEY)
        guide.run()  # the address
        guide.endpoint(guide.run())
        made = json.loads(guide.run())["payload"]["webhook"]
        assert provider.asked[0][1]["subscriptions"] == ["message_created", "message_updated"]
        provider.send_until(503, sample.body)
        guide.set(SECRET=made["secret"])
        guide.run()
        provider.send_until(200, sample.body)
        works(guide, pipeline, tenant, sample)
        provider.new_secret()
        rotated(guide, provider, made["secret"], sample)
        assert guide.left == []


def test_the_guide_for_chat_makes_a_conversation_with_the_bots_answer(pipeline: Pipeline) -> None:
    tenant = "guide-chat"
    guide = guide_of(pipeline, "connect-chat.md", tenant, {})
    guide.set(RECEIVER=pipeline.receiver, CONSOLE=pipeline.console)
    guide.set(CHAT_KEY=guide.run().split()[-1])
    guide.set(READ_KEY=guide.run().split()[-1])
    time_out = time.monotonic() + 60
    while not (sent := json.loads(_again(guide))).get("message_key"):
        assert time.monotonic() < time_out, sent
        time.sleep(0.2)
    assert sent == {"message_key": f"{tenant}:myapp:42"}
    context = json.loads(guide.run())
    assert [(one["role"], one["content"]) for one in context["messages"]] == [
        ("user", "¿Cuánto cuesta?")
    ]
    assert json.loads(guide.run()) == {"message_key": f"{tenant}:myapp:43"}
    assert guide.left == []
    finishes(pipeline, tenant, f"{tenant}:myapp:43")
    again = pipeline.get("/api/conversations/customer-7/context", guide.environment["READ_KEY"])
    assert [(one["role"], one["content"]) for one in again["messages"]] == [
        ("user", "¿Cuánto cuesta?"),
        ("assistant", "Cuesta 20 euros."),
    ]


def _again(guide: Guide) -> str:
    """Runs the next block until it works, because a new key is known within two seconds."""
    block = guide.left[0]
    printed = guide.run()
    if "message_key" not in printed:
        guide.left.insert(0, block)
    return printed
