"""What an operator sees of deliveries, and how little strangers can do to it."""

import json
import time

import pytest
from prometheus_client import REGISTRY

from connectors.providers.catalogue import sign
from connectors.webhooks.deliveries import (
    MOST_STRANGERS,
    NEW_STRANGERS_PER_MINUTE,
    OTHER_STRANGERS,
    Attempt,
    Count,
    Deliveries,
    DeliveryBucket,
    stranger_name,
)
from schemas.keys import log_digest
from schemas.tenants import EndedToken, Endpoint, secret_id
from tests.unit.receiving import ACME, CHAT, READ, SECRETS, TEXT, TOKENS, Application

OWN = f"/webhooks/ycloud/{TOKENS['ycloud']}"


def noted(application: Application) -> dict[tuple[str, str, str], Count]:
    """Maps (endpoint, reason, secret) to the count."""
    return {
        (place.endpoint_id, place.reason, place.secret_id): count
        for place, count in application.receiver.deliveries.due(1000)
    }


def refused(provider: str, reason: str) -> float:
    labels = {"provider": provider, "reason": reason}
    return REGISTRY.get_sample_value("sensorium_receiver_refused_total", labels) or 0.0


async def test_an_accepted_delivery_is_counted_by_the_secret_it_was_signed_with() -> None:
    application = Application()
    for secret in (*SECRETS, SECRETS[1]):
        await application.deliver("ycloud", TEXT, secret=secret, headers={"user-agent": "YCloud"})
    found = noted(application)
    first, second = (secret_id("ep_ycloud", secret) for secret in SECRETS)
    assert {key: count.deliveries for key, count in found.items()} == {
        ("ep_ycloud", "accepted", first): 1,
        ("ep_ycloud", "accepted", second): 2,
    }
    last = found["ep_ycloud", "accepted", second]
    assert (last.status, last.facts) == (
        200,
        {"path_provider": "ycloud", "user_agent": "YCloud", "body_bytes": len(TEXT), "message": log_digest(application.log.records[0].message_key), "signature_age_seconds": last.facts["signature_age_seconds"], "signed_with": second},
    )  # fmt: skip
    assert last.first_at <= last.last_at <= time.time()


@pytest.mark.parametrize(
    ("reason", "secret", "at", "headers", "more"),
    [
        ("signature_mismatch", "whsec_wrong", 0, {}, {"secrets_tried": [secret_id("ep_ycloud", one) for one in SECRETS]}),
        ("signature_expired", SECRETS[0], -90_000, {}, {"signed_with": secret_id("ep_ycloud", SECRETS[0])}),
        ("signature_from_the_future", SECRETS[0], 400, {}, {"signed_with": secret_id("ep_ycloud", SECRETS[0])}),
        ("signature_malformed", SECRETS[0], 0, {"YCloud-Signature": "s=abc"}, {}),
    ],
)  # fmt: skip
async def test_why_a_signature_was_refused_is_known_inside_only(
    reason: str, secret: str, at: float, headers: dict[str, str], more: dict[str, object]
) -> None:
    application, before = Application(), refused("ycloud", reason)
    answer = await application.deliver("ycloud", TEXT, secret=secret, at=at, headers=headers)
    assert answer.json == {"type": "about:blank", "title": "Unauthorized", "status": 401}
    found = noted(application)
    assert {key: count.deliveries for key, count in found.items()} == {("ep_ycloud", reason, ""): 1}
    facts = found["ep_ycloud", reason, ""].facts
    facts.pop("signature_age_seconds", None)
    assert facts == {"path_provider": "ycloud", "body_bytes": len(TEXT), **more}
    assert refused("ycloud", reason) == before + 1


async def test_every_other_refusal_has_its_own_reason() -> None:
    application = Application(max_body_bytes=len(TEXT))
    endpoints = application.directory.endpoints
    for token, more in (
        ("later", {"awaits_secret": True}),
        ("slow", {"unsigned": True, "rate_per_second": 1e-9}),
    ):
        endpoints[token] = Endpoint(
            endpoint_id=f"ep_{token}", token=token, tenant_id=ACME, provider="ycloud", **more
        )
    for token, reason in (("gone", "endpoint_removed"), ("old", "url_replaced")):
        application.directory.ended_tokens[token] = EndedToken(
            tenant_id=ACME, endpoint_id=f"ep_{token}", provider="ycloud", reason=reason
        )  # type: ignore[arg-type]
    signed = sign("ycloud", SECRETS[0], TEXT, int(time.time()))
    answers = [
        await application.request("POST", OWN, TEXT),
        await application.request("POST", f"/webhooks/chatwoot/{TOKENS['ycloud']}", TEXT, signed),
        await application.request("GET", OWN),
        await application.request("POST", OWN, TEXT + b" ", signed),
        await application.request("POST", OWN, TEXT, {"content-encoding": "gzip"}),
        await application.request("POST", "/webhooks/ycloud/later", TEXT),
        await application.request("POST", "/webhooks/ycloud/slow", TEXT),
        await application.request("POST", "/webhooks/ycloud/slow", TEXT),
        await application.request("POST", "/webhooks/ycloud/gone", TEXT),
        await application.request("POST", "/webhooks/ycloud/old", TEXT),
        await application.request("POST", "/webhooks/whatsapp/nobody", TEXT),
    ]
    application.log.away = True
    answers.append(await application.deliver("ycloud", TEXT))
    assert [answer.status for answer in answers] == [
        401, 401, 405, 413, 415, 503, 200, 429, 401, 401, 401, 503,
    ]  # fmt: skip
    found = noted(application)
    assert {(endpoint, reason): count.status for (endpoint, reason, _), count in found.items()} == {
        ("ep_ycloud", "signature_missing"): 401,
        ("ep_ycloud", "wrong_provider"): 401,
        ("ep_ycloud", "not_post"): 405,
        ("ep_ycloud", "body_too_large"): 413,
        ("ep_ycloud", "body_encoded"): 415,
        ("ep_later", "secret_awaited"): 503,
        ("ep_slow", "accepted"): 200,
        ("ep_slow", "rate_exceeded"): 429,
        ("ep_gone", "endpoint_removed"): 401,
        ("ep_old", "url_replaced"): 401,
        (stranger_name("nobody"), "unknown_token"): 401,
        ("ep_ycloud", "not_stored"): 503,
    }
    assert found["ep_ycloud", "wrong_provider", ""].facts["path_provider"] == "chatwoot"


async def test_why_a_chat_message_was_refused_is_counted() -> None:
    application = Application(max_body_bytes=100)
    for reason, key, body in (
        ("key_unknown", "sk_nobody", b"{}"),
        ("key_missing", "", b"{}"),
        ("key_scope", READ, b"{}"),
        ("body_invalid", CHAT, b"{}"),
        ("body_invalid", CHAT, b"{"),
        ("body_too_large", CHAT, b"x" * 101),
    ):
        before = refused("chat", reason)
        answer = await application.chat(body, key=key)
        assert refused("chat", reason) == before + 1
        requests = {"provider": "chat", "status": str(answer.status)}
        assert REGISTRY.get_sample_value("sensorium_receiver_requests_total", requests)
    assert noted(application) == {}


async def test_before_tenants_are_known_no_token_is_called_unknown() -> None:
    application = Application()
    application.directory.loaded = False
    await application.deliver("ycloud", TEXT)
    assert noted(application) == {}


async def test_nothing_that_a_stranger_sends_is_kept() -> None:
    application = Application()
    token, agent = "T0ken-of-a-stranger", "agent\x00\x85" + "x" * 500
    for where in (f"/webhooks/ycloud/{token}", f"/webhooks/{token}/{token}", OWN):
        await application.request("POST", where, b'{"text":"secret words"}', {"user-agent": agent})
    kept = [(place, count.facts) for place, count in application.receiver.deliveries.due(1000)]
    shown = json.dumps(kept)
    assert token not in shown and "secret words" not in shown and TOKENS["ycloud"] not in shown
    assert all(len(facts["user_agent"]) <= 80 for _, facts in kept)
    assert "\\u0000" not in shown and "\\u0085" not in shown


def test_unknown_tokens_are_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    deliveries = Deliveries()
    monkeypatch.setattr("connectors.webhooks.deliveries.time.time", lambda: 1_800_000_000.0)
    for number in range(5_000):
        deliveries.note(Attempt("ycloud", f"guess-{number}", ""), "unknown_token", 401)
    found = {place.endpoint_id: count.deliveries for place, count in deliveries.due(10_000)}
    assert len(found) == NEW_STRANGERS_PER_MINUTE + 1
    assert found[OTHER_STRANGERS] == 5_000 - NEW_STRANGERS_PER_MINUTE


def test_unknown_tokens_stay_bounded_however_long_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deliveries, minutes = Deliveries(), 2 * MOST_STRANGERS // NEW_STRANGERS_PER_MINUTE
    for minute in range(minutes):
        monkeypatch.setattr(
            "connectors.webhooks.deliveries.time.time", lambda at=minute: 1_800_000_000.0 + 60 * at
        )
        for number in range(NEW_STRANGERS_PER_MINUTE):
            guess = Attempt("ycloud", f"{minute}-{number}-" + "x" * 50_000, "")
            deliveries.note(guess, "unknown_token", 401)
            deliveries.put_back(deliveries.due(10))  # Postgres is away
    found = deliveries.due(10_000)
    assert sum(count.deliveries for _, count in found) == 2 * MOST_STRANGERS
    assert len(found) <= MOST_STRANGERS + 2  # and the others of each day
    assert all(count.last.token == "" for _, count in found)
    deliveries.note(Attempt("ycloud", "written", ""), "unknown_token", 401)
    assert stranger_name("written") in {place.endpoint_id for place, _ in deliveries.due(10)}


def attempt(name: str = "ep_1") -> Attempt:
    endpoint = Endpoint(endpoint_id=name, token=name, tenant_id=ACME, provider="ycloud")
    return Attempt("ycloud", name, "", endpoint=endpoint)


def test_a_count_that_was_just_written_is_not_written_again_at_once() -> None:
    deliveries = Deliveries()
    deliveries.note(attempt(), "accepted", 200)
    taken = deliveries.due(10)
    assert len(taken) == 1 and deliveries.due(10) == []
    deliveries.written(taken)
    for _ in range(3):
        deliveries.note(attempt(), "accepted", 200)
    assert deliveries.due(10) == []
    deliveries.note(attempt("ep_2"), "accepted", 200)
    assert [place.endpoint_id for place, _ in deliveries.due(10)] == ["ep_2"]
    ((_, count),) = deliveries.due(10, at_once=True)
    assert count.deliveries == 3


def test_no_more_rows_are_taken_than_asked_and_none_is_forgotten() -> None:
    deliveries = Deliveries()
    for number in range(25):
        deliveries.note(attempt(f"ep_{number}"), "accepted", 200)
    assert [len(deliveries.due(10)) for _ in range(4)] == [10, 10, 5, 0]


def test_what_could_not_be_written_is_counted_with_what_came_later() -> None:
    deliveries = Deliveries()
    deliveries.note(attempt(), "signature_missing", 401)
    taken: list[tuple[DeliveryBucket, Count]] = deliveries.due(10)
    deliveries.note(attempt(), "signature_missing", 401)
    deliveries.put_back(taken)
    ((_, count),) = deliveries.due(10)
    assert (count.deliveries, count.first_at) == (2, taken[0][1].first_at)
    deliveries.put_back([(taken[0][0], count)])
    assert len(deliveries.due(10)) == 1
