import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from connectors.providers import catalogue
from connectors.providers.catalogue import DIRECT, check_signature, sign
from connectors.webhooks import receiver
from connectors.webhooks.ports import ProviderFunctions
from schemas.keys import TenantId
from schemas.records import ChatMessage
from schemas.tenants import Endpoint, TenantSettings
from tests.integration.waiting import until
from tests.unit.receiving import ACME, ADMIN, CHAT, READ, SECRETS, TOKENS, Answer, Application
from tests.unit.records import PAYLOADS, TRACEPARENT, body, payload

TEXT = (PAYLOADS / "ycloud" / "text_plain.json").read_bytes()
WOOT = (PAYLOADS / "chatwoot" / "whatsapp_text_cloud_2026_04.json").read_bytes()
MESSAGE = {
    "provider": "vetchat",
    "provider_message_id": "42",
    "conversation_id": "c1",
    "sender": {"id": "u1"},
    "text": "Hola",
}


def problem(answer: Answer) -> tuple[int, str]:
    """The status and title of an answer, which must be a problem by RFC 9457."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.json["type"] == "about:blank"
    assert answer.json["status"] == answer.status
    return answer.status, answer.json["title"]


def count(provider: str, status: int) -> float:
    return (
        REGISTRY.get_sample_value(
            "sensorium_receiver_requests_total", {"provider": provider, "status": str(status)}
        )
        or 0.0
    )


# --- what is taken


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


# --- who is refused


async def test_all_strangers_get_the_same_bytes() -> None:
    application = Application()
    application.directory.endpoints["none"] = Endpoint(
        endpoint_id="ep_n", token="none", tenant_id=ACME, provider="ycloud"
    )
    signature = sign("ycloud", SECRETS[0], TEXT, int(datetime.now(UTC).timestamp()))
    own = f"/webhooks/ycloud/{TOKENS['ycloud']}"
    answers = [
        await application.deliver("ycloud", TEXT, token="unknown"),
        await application.deliver("ycloud", TEXT, token=""),
        await application.deliver("ycloud", TEXT, token="none"),
        await application.deliver("ycloud", TEXT, token=TOKENS["ycloud"] + "/"),
        await application.deliver("ycloud", TEXT, token=TOKENS["ycloud"] + "\x00"),
        await application.deliver("ycloud", TEXT, token="\u00f1\ufffd" * 5_000),
        await application.deliver("ycloud", TEXT, token=TOKENS["chatwoot"]),
        await application.deliver("ycloud", TEXT, secret="whsec_wrong"),
        await application.deliver("ycloud", TEXT, at=-90_000),
        await application.deliver("ycloud", TEXT, at=400),
        await application.deliver("chatwoot", WOOT, at=-400),
        await application.request("POST", own, TEXT),
        await application.request("POST", own, TEXT, {"ycloud-signature": "\u00b2"}),
        await application.request("POST", own, TEXT + b" ", signature),
        await application.request(
            "POST", f"/webhooks/chatwoot/{TOKENS['ycloud']}", TEXT, signature
        ),
        await application.request("POST", f"/webhooks/YCLOUD/{TOKENS['ycloud']}", TEXT, signature),
        await application.request("POST", f"/webhooks/meta/{TOKENS['meta']}", TEXT, signature),
        await application.request("POST", "/webhooks/ycloud", TEXT, signature),
        await application.request("POST", "/webhooks/", TEXT, signature),
    ]
    assert problem(answers[0]) == (401, "Unauthorized")
    assert all(answer == answers[0] for answer in answers)
    assert application.log.sent == []


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "post"]
)
@pytest.mark.parametrize(
    "path", ["/chat", "/webhooks/ycloud/unknown", f"/webhooks/ycloud/{TOKENS['ycloud']}"]
)
async def test_only_post_is_allowed(method: str, path: str) -> None:
    answer = await Application().request(method, path)
    assert problem(answer) == (405, "Method Not Allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("token", [TOKENS["ycloud"], "unknown"])
async def test_a_body_over_the_limit_is_413_for_every_sender(token: str) -> None:
    application = Application(max_body_bytes=len(TEXT))
    assert (await application.deliver("ycloud", TEXT)).status == 200
    assert problem(await application.deliver("ycloud", TEXT + b" ", token=token)) == (
        413,
        "Content Too Large",
    )
    path = f"/webhooks/ycloud/{token}"
    assert problem(await application.request("POST", path, [TEXT, b"", b" "])) == (
        413,
        "Content Too Large",
    )
    assert problem(
        await application.request("POST", path, [], {"content-length": str(len(TEXT) + 1)})
    ) == (413, "Content Too Large")


@pytest.mark.parametrize("token", [TOKENS["ycloud"], "unknown"])
async def test_an_encoded_body_is_415(token: str) -> None:
    answer = await Application().deliver(
        "ycloud", TEXT, token=token, headers={"content-encoding": "gzip"}
    )
    assert problem(answer) == (415, "Unsupported Media Type")


async def test_the_bodies_of_strangers_take_no_room() -> None:
    application = Application(max_pending_bytes=2 * len(TEXT))
    big = TEXT + b" " * 10
    assert (await application.deliver("ycloud", big)).status == 503
    assert (await application.deliver("ycloud", big, token="unknown")).status == 401
    assert (await application.deliver("ycloud", TEXT)).status == 200


# --- rates


async def test_over_the_tenants_rate_is_429_and_says_when() -> None:
    application = Application(tenant_rate_per_second=0.5)
    assert (await application.deliver("ycloud", TEXT)).status == 200
    answer = await application.deliver("ycloud", TEXT)
    assert problem(answer) == (429, "Too Many Requests")
    assert answer.headers["retry-after"] == "2"
    assert problem(await application.chat(MESSAGE)) == (429, "Too Many Requests")
    assert len(application.log.sent) == 1


async def test_who_is_not_signed_takes_nothing_of_the_rate() -> None:
    application = Application(tenant_rate_per_second=1)
    for _ in range(5):
        assert (await application.deliver("ycloud", TEXT, secret="whsec_wrong")).status == 401
    assert (await application.deliver("ycloud", TEXT)).status == 200


async def test_chatwoot_does_not_retry_so_only_a_rate_of_its_endpoint_counts() -> None:
    application = Application(tenant_rate_per_second=1)
    application.directory.settings = TenantSettings(rate=1)
    assert {(await application.deliver("chatwoot", WOOT)).status for _ in range(10)} == {200}
    own = application.directory.endpoints[TOKENS["chatwoot"]]
    application.directory.endpoints["rated"] = Endpoint(
        endpoint_id="ep_r",
        token="rated",
        tenant_id=own.tenant_id,
        provider="chatwoot",
        secrets=SECRETS,
        rate_per_second=2,
    )
    assert [
        (await application.deliver("chatwoot", WOOT, token="rated")).status for _ in range(3)
    ] == [200, 200, 429]


@pytest.mark.parametrize(("own", "allowed"), [(2.0, 2), (0.0, 5)])
async def test_a_tenants_own_rate_takes_precedence_over_the_installations(
    own: float, allowed: int
) -> None:
    application = Application(tenant_rate_per_second=1)
    application.directory.settings = TenantSettings(rate=own)
    assert [(await application.deliver("ycloud", TEXT)).status for _ in range(5)] == [
        200
    ] * allowed + [429] * (5 - allowed)


# --- when the world is wrong


async def test_without_kafka_nothing_is_accepted_and_all_are_asked_to_come_again() -> None:
    application = Application()
    application.log.away = True
    for answer in (
        await application.deliver("ycloud", TEXT),
        await application.deliver("chatwoot", WOOT),
        await application.chat(MESSAGE),
    ):
        assert problem(answer) == (503, "Service Unavailable")
        assert answer.headers["retry-after"] == "1"


async def test_an_outage_is_not_a_line_of_log_for_every_request() -> None:
    application = Application()
    application.log.away = True
    with capture_logs() as lines:
        for _ in range(20):
            assert (await application.deliver("ycloud", TEXT)).status == 503
    assert len(lines) < 5
    assert lines[0] == {
        "event": "receiver_unavailable",
        "log_level": "warning",
        "what": "kafka",
        "detail": "_TIMED_OUT",
    }


async def test_before_tenants_are_known_nobody_is_a_stranger() -> None:
    application = Application()
    application.directory.loaded = False
    for answer in (
        await application.deliver("ycloud", TEXT),
        await application.deliver("ycloud", TEXT, token="unknown"),
        await application.chat(MESSAGE),
        await application.chat(MESSAGE, key="unknown"),
    ):
        assert problem(answer) == (503, "Service Unavailable")
        assert answer.headers["retry-after"] == "1"
    assert (await application.request("GET", "/readyz")).status == 503
    assert (await application.request("GET", "/livez")).status == 200


async def test_while_draining_it_is_not_ready_and_still_answers() -> None:
    application = Application()
    assert (await application.request("GET", "/readyz")).status == 200
    application.receiver.drain()
    assert (await application.request("GET", "/readyz")).status == 503
    assert (await application.request("GET", "/livez")).status == 200
    assert (await application.deliver("ycloud", TEXT)).status == 200
    assert (await application.chat(MESSAGE)).status == 202


async def test_it_is_not_ready_while_kafka_is_away() -> None:
    application = Application()
    application.log.healthy = False
    assert (await application.request("GET", "/readyz")).status == 503


async def test_a_bug_is_counted_as_500_and_leaves_nothing_in_the_budget() -> None:
    application = Application(max_pending_bytes=2 * len(TEXT))
    application.log.broken = True
    before = count("ycloud", 500)
    for _ in range(3):
        answer = await application.deliver("ycloud", TEXT)
        assert problem(answer) == (500, "Internal Server Error")
    assert count("ycloud", 500) == before + 3


# --- several servers of a provider


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


# --- POST /chat


@pytest.mark.parametrize("key", [CHAT, ADMIN])
async def test_a_direct_message_is_202_with_its_key(key: str) -> None:
    application = Application()
    body = json.dumps(MESSAGE, indent=1).encode()
    answer = await application.chat(body, key=key, headers={"traceparent": TRACEPARENT})
    assert (answer.status, answer.json) == (202, {"message_key": "acme:vetchat:42"})
    ((_, written, _, headers),) = application.log.sent
    assert written == b"acme:vetchat:42"
    assert dict(headers) == {
        "tenant": b"acme",
        "provider": b"vetchat",
        "traceparent": TRACEPARENT.encode(),
        "generation": b"0",
    }
    (record,) = application.log.records
    assert (record.body, record.endpoint_id, record.provider, record.headers) == (
        body,
        "",
        "vetchat",
        {},
    )


async def test_a_direct_message_that_names_a_built_in_provider_has_a_key_of_its_own() -> None:
    application = Application()
    answer = await application.chat(MESSAGE | {"provider": "ycloud"})
    assert (answer.status, answer.json) == (202, {"message_key": "acme:ycloud:direct/42"})
    (record,) = application.log.records
    assert (record.provider, record.message_key) == ("ycloud", "acme:ycloud:direct/42")


async def test_what_dedupe_would_refuse_for_its_depth_is_422() -> None:
    nested: list[Any] = []
    for _ in range(70):
        nested = [nested]
    application = Application()
    answer = await application.chat(MESSAGE | {"sender": {"id": "1", "x": nested}})
    assert (answer.status, answer.json["errors"]) == (422, ["nested too deep"])
    assert application.log.records == []


async def test_half_a_million_media_entries_are_one_error() -> None:
    answer = await Application(max_body_bytes=2**21).chat(MESSAGE | {"media": [1] * 500_000})
    assert (answer.status, answer.json["errors"]) == (
        422,
        ["media: must be an array of at most 50"],
    )


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer unknown",
        CHAT,
        f"Basic {CHAT}",
        f"Bearer{CHAT}",
        f"Bearer {CHAT} {CHAT}",
        "Bearer \u00b2\u00ff",
    ],
)
async def test_without_a_known_bearer_key_it_is_401(authorization: str) -> None:
    answer = await Application().chat(MESSAGE, headers={"authorization": authorization})
    assert problem(answer) == (401, "Unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
async def test_the_scheme_has_no_case(scheme: str) -> None:
    assert (
        await Application().chat(MESSAGE, headers={"authorization": f"{scheme} {CHAT}"})
    ).status == 202


async def test_a_key_to_read_may_not_write() -> None:
    assert problem(await Application().chat(MESSAGE, key=READ)) == (403, "Forbidden")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"{",
        b"\xff",
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"text":' + b"9" * 5_000 + b"}",
        TEXT + b"x",
    ],
    ids=["empty", "text", "cut", "bytes", "deep array", "deep object", "huge number", "more"],
)
async def test_what_is_not_json_is_400(body: bytes) -> None:
    assert problem(await Application().chat(body)) == (400, "Bad Request")


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        7,
        "text",
        {},
        {**MESSAGE, "text": 7},
        {**MESSAGE, "text": "\ud800", "provider": "\ud800"},
        {**MESSAGE, "provider_message_id": "\x00"},
        {**MESSAGE, "provider_message_id": "a\ud800"},
        {**MESSAGE, "provider": "a:b"},
        {**MESSAGE, "provider": "x" * 33},
        {**MESSAGE, "sender": {"id": {"id": []}}},
        {**MESSAGE, "media": {"url": "x"}},
        {**MESSAGE, "media": [[[[]]]]},
        {**MESSAGE, "occurred_at": 10**400},
        {**MESSAGE, "occurred_at": float("inf")},
        {**MESSAGE, "occurred_at": "9" * 1_000},
        {**MESSAGE, "\ud800": 1, "\x00": 2},
    ],
    ids=lambda d: json.dumps(d)[-40:],
)
async def test_what_is_wrong_is_422_with_a_list_of_errors(document: object) -> None:
    application = Application()
    answer = await application.chat(document)
    assert problem(answer) == (422, "Unprocessable Content")
    assert answer.json["errors"]
    assert all(isinstance(error, str) for error in answer.json["errors"])
    assert application.log.sent == []


async def test_an_answer_does_not_give_back_what_was_sent_at_length() -> None:
    answer = await Application().chat({**MESSAGE, **{f"{n}" + "x" * 50_000: 1 for n in range(15)}})
    assert answer.status == 422
    assert len(answer.body) < 10_000


@pytest.mark.parametrize("said", ["\x00", "\ud800", "\u202e", "x" * 900_000])
async def test_hostile_text_is_kept_as_it_came(said: str) -> None:
    application = Application()
    body = json.dumps({**MESSAGE, "text": said}).encode()
    assert (await application.chat(body)).status == 202
    assert application.log.records[0].body == body


async def test_the_bounds_of_a_direct_message_are_those_of_a_webhook() -> None:
    application = Application(max_body_bytes=200)
    assert problem(await application.chat(b" " * 201)) == (413, "Content Too Large")
    assert problem(await application.chat(MESSAGE, headers={"content-encoding": "gzip"})) == (
        415,
        "Unsupported Media Type",
    )


# --- everything else


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_operations_answer_get_and_head_only(path: str) -> None:
    application = Application()
    assert (await application.request("GET", path)).status == 200
    assert (await application.request("HEAD", path)).status == 200
    answer = await application.request("POST", path)
    assert problem(answer) == (405, "Method Not Allowed")
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path", ["/", "", "/webhooks", "/chat/", "//chat", "/metrics/", "/admin", "/webhook/ycloud/x"]
)
async def test_any_other_path_is_404(path: str) -> None:
    assert problem(await Application().request("POST", path)) == (404, "Not Found")


async def test_labels_of_metrics_do_not_follow_what_strangers_send() -> None:
    def labels() -> set[Any]:
        families = [
            family for family in REGISTRY.collect() if family.name == "sensorium_receiver_requests"
        ]
        return {tuple(sample.labels.values()) for family in families for sample in family.samples}

    application = Application()
    await application.request("POST", "/webhooks/other/x", b"")
    before = labels()
    for n in range(50):
        await application.request("POST", f"/webhooks/provider{n}/{n}", b"")
    assert labels() == before


async def test_the_metrics_name_the_bytes_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "METRICS_SECONDS", 0.0)
    application = Application()
    application.log.held = True
    delivering = asyncio.create_task(application.deliver("ycloud", TEXT))
    await until(lambda: bool(application.log.waiting))
    found = (await application.request("GET", "/metrics")).body
    application.log.release()
    assert (await delivering).status == 200
    assert f"sensorium_receiver_pending_bytes {float(len(TEXT))}".encode() in found
    assert (
        b"sensorium_receiver_pending_bytes 0.0"
        in (await application.request("GET", "/metrics")).body
    )


async def test_tenants_do_not_share_a_rate() -> None:
    application = Application(tenant_rate_per_second=1)
    application.directory.endpoints["other"] = Endpoint(
        endpoint_id="ep_2",
        token="other",
        tenant_id=TenantId("other"),
        provider="ycloud",
        secrets=SECRETS,
    )
    assert [(await application.deliver("ycloud", TEXT)).status for _ in range(2)] == [200, 429]
    assert (await application.deliver("ycloud", TEXT, token="other")).status == 200


async def test_an_endpoint_that_awaits_its_secret_is_tried_again_and_only_the_log_says_why() -> (
    None
):
    application = Application()
    application.directory.endpoints["later"] = Endpoint(
        endpoint_id="ep_later",
        token="later",
        tenant_id=ACME,
        provider="ycloud",
        awaits_secret=True,
    )
    with capture_logs() as logs:
        answer = await application.deliver("ycloud", TEXT, token="later")
    assert answer.status == 503 and b"secret" not in answer.body
    assert [line["detail"] for line in logs if "ep_later" in line.get("detail", "")]
    assert application.log.sent == []
