"""A signed delivery is written byte for byte, under the right key, before it is answered."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from prometheus_client import REGISTRY

from connectors.providers import catalogue
from connectors.providers.catalogue import DIRECT, check_signature, sign
from connectors.webhooks.ports import ProviderFunctions
from schemas.records import ChatMessage
from schemas.tenants import Endpoint
from tests.unit.receiving import ACME, SECRETS, TEXT, TOKENS, WOOT, Application, count
from tests.unit.records import PAYLOADS, TRACEPARENT, body, payload


async def test_a_signed_delivery_is_written_before_it_is_answered() -> None:
    application = Application(ack_seconds=4.0)
    began = datetime.now(UTC)
    answer = await application.deliver(
        "ycloud",
        TEXT,
        headers={"user-agent": "YCloud", "x-webhook-endpoint-id": "5f", "cookie": "secret"},
    )
    assert (answer.status, answer.json, answer.headers["content-type"]) == (
        200,
        {"accepted": 1},
        "application/json",
    )
    ((topic, key, _, headers),) = application.log.sent
    (record,) = application.log.records
    wamid = json.loads(TEXT)["whatsappInboundMessage"]["wamid"]
    assert (topic, key) == ("raw-messages", f"acme:ycloud:{wamid}".encode())
    assert [name for name, _ in headers] == ["tenant", "provider", "traceparent", "generation"]
    assert dict(headers) | {"traceparent": b""} == {
        "tenant": b"acme",
        "provider": b"ycloud",
        "traceparent": b"",
        "generation": b"0",
    }
    assert (record.tenant_id, record.provider, record.message_key, record.endpoint_id) == (
        ACME,
        "ycloud",
        key.decode(),
        "ep_ycloud",
    )
    assert (record.position, record.body) == (0, TEXT)
    assert record.headers == {"user-agent": "YCloud", "x-webhook-endpoint-id": "5f"}
    assert began - timedelta(milliseconds=1) <= record.received_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    "path",
    sorted(PAYLOADS.glob("ycloud/*.json")) + sorted(PAYLOADS.glob("chatwoot/*.json")),
    ids=lambda p: f"{p.parent.name}/{p.name}",
)
async def test_every_captured_body_is_stored_byte_for_byte_and_answered_200(path: Path) -> None:
    application = Application()
    body = path.read_bytes()
    answer = await application.deliver(path.parent.name, body)
    assert (answer.status, answer.json) == (200, {"accepted": 1})
    assert application.log.records[0].body == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\x00\xff\xfe\xed\xa0\x80",
        b"[]",
        b"null",
        b"[" * 200_000,
        b'{"id":"evt_1","type":"whatsapp.inbound_message.received"',
        b'{"id":' + b"9" * 100_000 + b"}",
        b'{"type":"\\ud800","id":"\\u0000"}',
        b"\xef\xbb\xbf{}",
    ],
    ids=[
        "empty",
        "text",
        "bytes",
        "array",
        "null",
        "deep",
        "cut",
        "huge number",
        "surrogates",
        "bom",
    ],
)
@pytest.mark.parametrize("provider", ["ycloud", "chatwoot"])
async def test_a_signed_body_that_is_not_understood_is_stored_under_its_digest(
    provider: str, body: bytes
) -> None:
    application = Application()
    assert (await application.deliver(provider, body)).json == {"accepted": 1}
    assert (
        application.log.sent[0][1].decode()
        == f"acme:{provider}:sha256-{hashlib.sha256(body).hexdigest()}"
    )
    assert application.log.records[0].body == body


async def test_an_unknown_event_has_the_key_of_its_own_id() -> None:
    application = Application()
    assert (
        await application.deliver("ycloud", b'{"id":"evt_9","type":"whatsapp.telepathy.received"}')
    ).status == 200
    assert application.log.sent[0][1] == b"acme:ycloud:evt_9"


async def test_a_status_event_has_the_key_of_the_event_not_of_the_message() -> None:
    application = Application()
    body = (PAYLOADS / "ycloud" / "status_delivered.json").read_bytes()
    await application.deliver("ycloud", body)
    assert application.log.sent[0][1].decode() == f"acme:ycloud:{json.loads(body)['id']}"


async def test_a_chatwoot_message_has_account_and_message_in_its_key() -> None:
    application = Application()
    await application.deliver("chatwoot", WOOT, headers={"x-chatwoot-delivery": "d" * 300})
    document = json.loads(WOOT)
    assert (
        application.log.sent[0][1].decode()
        == f"acme:chatwoot:{document['account']['id']}/{document['id']}"
    )
    assert application.log.records[0].headers == {"x-chatwoot-delivery": "d" * 200}


async def test_a_batched_delivery_is_a_record_per_event() -> None:
    application = Application(
        functions=ProviderFunctions(
            lambda _provider, _body: ("a", "b:c", "d"), DIRECT.accept, check_signature
        )
    )
    assert (await application.deliver("ycloud", b"{}")).json == {"accepted": 3}
    assert [
        (record.message_key, record.position, record.body) for record in application.log.records
    ] == [
        ("acme:ycloud:a", 0, b"{}"),
        ("acme:ycloud:b:c", 1, b"{}"),
        ("acme:ycloud:d", 2, b"{}"),
    ]
    assert len({dict(headers)["traceparent"] for _, _, _, headers in application.log.sent}) == 1


@pytest.mark.parametrize("secret", SECRETS)
async def test_every_live_secret_is_accepted(secret: str) -> None:
    assert (await Application().deliver("ycloud", TEXT, secret=secret)).status == 200


async def test_an_old_ycloud_signature_is_accepted_and_counted() -> None:
    def old() -> float:
        return (
            REGISTRY.get_sample_value(
                "sensorium_receiver_old_signatures_total", {"provider": "ycloud"}
            )
            or 0.0
        )

    before = old()
    assert (await Application().deliver("ycloud", TEXT, at=-200)).status == 200
    assert old() == before
    assert (await Application().deliver("ycloud", TEXT, at=-80_000)).status == 200
    assert old() == before + 1
    assert (
        await Application(signature_age_seconds=3600).deliver("ycloud", TEXT, at=-4_000)
    ).status == 401


async def test_an_unsigned_endpoint_needs_only_its_token() -> None:
    application = Application()
    application.directory.endpoints["open"] = Endpoint(
        endpoint_id="ep_o", token="open", tenant_id=ACME, provider="chatwoot", unsigned=True
    )
    application.directory.endpoints["meta"] = Endpoint(
        endpoint_id="ep_m", token="meta", tenant_id=ACME, provider="meta", unsigned=True
    )
    assert (await application.request("POST", "/webhooks/chatwoot/open", WOOT)).status == 200
    before = count("other", 200)
    assert (await application.request("POST", "/webhooks/meta/meta", b"{}")).status == 200
    assert (
        application.log.sent[1][1].decode()
        == f"acme:meta:sha256-{hashlib.sha256(b'{}').hexdigest()}"
    )
    assert count("other", 200) == before + 1


@pytest.mark.parametrize(
    "given",
    [
        "",
        "00-" + "0" * 32 + "-" + "2" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
        TRACEPARENT.upper() + "X",
        "ff" + TRACEPARENT[2:],
        TRACEPARENT + "-more",
    ],
)
async def test_a_traceparent_is_kept_and_a_bad_one_replaced(given: str) -> None:
    application = Application()
    await application.deliver("ycloud", TEXT, headers={"traceparent": TRACEPARENT})
    await application.deliver("ycloud", TEXT, headers={"traceparent": given})
    kept, replaced = (
        dict(headers)["traceparent"].decode() for _, _, _, headers in application.log.sent
    )
    assert kept == TRACEPARENT
    assert replaced != given
    assert len(replaced) == 55


async def test_a_repeated_header_counts_once_and_the_first_time() -> None:
    application = Application()
    now = int(datetime.now(UTC).timestamp())
    good, bad = (
        sign("ycloud", secret, TEXT, now)["YCloud-Signature"] for secret in (SECRETS[0], "whsec_no")
    )
    path = f"/webhooks/ycloud/{TOKENS['ycloud']}"
    assert (
        await application.request(
            "POST", path, TEXT, [("YCloud-Signature", good), ("ycloud-signature", bad)]
        )
    ).status == 200
    assert (
        await application.request(
            "POST", path, TEXT, [("YCloud-Signature", bad), ("ycloud-signature", good)]
        )
    ).status == 401


async def test_messages_of_a_labelled_server_have_keys_of_their_own() -> None:
    application = Application()
    plain = application.directory.endpoints[TOKENS["chatwoot"]]
    for token, endpoint_id, instance in (("C2", "ep_2", None), ("C3", "ep_3", "shop-2")):
        application.directory.endpoints[token] = msgspec.structs.replace(
            plain, token=token, endpoint_id=endpoint_id, instance=instance
        )
    content = body(payload("chatwoot", "api_channel_text_2026_02.json"))
    for token in (None, "C2", "C3"):
        assert (await application.deliver("chatwoot", content, token=token)).status == 200
    first, second, third = application.log.records
    assert first.message_key == second.message_key == "acme:chatwoot:7/820014"
    assert third.message_key == "acme:chatwoot:shop-2/7/820014"
    messages = [catalogue.read(record) for record in (first, third)]
    assert all(isinstance(message, ChatMessage) for message in messages)
    assert [(m.provider_message_id, m.conversation_id) for m in messages] == [  # type: ignore[union-attr]
        ("7/820014", "7~10"),
        ("shop-2/7/820014", "shop-2~7~10"),
    ]
