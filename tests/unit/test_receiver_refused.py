"""A stranger learns nothing from a refusal, and a tenant's rate holds for that tenant alone."""

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from connectors.providers.catalogue import sign
from schemas.keys import TenantId
from schemas.tenants import Endpoint, TenantSettings
from tests.unit.receiving import ACME, MESSAGE, SECRETS, TEXT, TOKENS, WOOT, Application, problem


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


@pytest.mark.parametrize(
    "path", ["/", "", "/webhooks", "/chat/", "//chat", "/metrics/", "/admin", "/webhook/ycloud/x"]
)
async def test_any_other_path_is_404(path: str) -> None:
    assert problem(await Application().request("POST", path)) == (404, "Not Found")


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
