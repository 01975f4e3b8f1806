from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request

from connectors.console.pages import throttle, visits
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.people import PeopleError, sha256
from tests.browser.scene import PASSWORD, Scene, said, staged
from tests.integration.people import Visitor, visiting

HOME = "/t/acme/conversations"


@pytest.fixture
async def scene(stack: Settings, namespace: str) -> AsyncIterator[Scene]:
    async with staged(stack, Names(namespace)) as made:
        await made.console.write(said("1", 1, "hello"))
        yield made


@pytest.fixture
async def visitor(scene: Scene) -> AsyncIterator[Visitor]:
    async with visiting(scene) as made:
        yield made


async def test_a_person_logs_in_reads_and_logs_out(scene: Scene, visitor: Visitor) -> None:
    sent = await visitor.get(HOME)
    assert (sent.status_code, sent.headers["location"]) == (303, f"/login?next={HOME}")
    answer = await visitor.log_in("ana", PASSWORD, next=HOME)
    assert (answer.status_code, answer.headers["location"]) == (303, HOME)
    assert "hello" in (await visitor.get(HOME)).text
    left = await visitor.post("/logout", {}, at=HOME)
    assert left.headers["location"] == "/login"
    assert (await visitor.get(HOME)).status_code == 303


async def test_a_wrong_password_and_an_unknown_name_are_answered_alike(visitor: Visitor) -> None:
    answers = [await visitor.log_in("ana", "wrong"), await visitor.log_in("nobody", "wrong")]
    assert [one.status_code for one in answers] == [401, 401]
    texts = [one.text.partition("<h1>")[2].replace("nobody", "ana") for one in answers]
    assert texts[0].partition('name="csrf"')[0] == texts[1].partition('name="csrf"')[0]
    assert (await visitor.get(HOME)).status_code == 303


async def test_cookies_are_out_of_reach_of_scripts_and_of_other_sites(visitor: Visitor) -> None:
    answer = await visitor.log_in("ana", PASSWORD)
    (cookie,) = answer.headers.get_list("set-cookie")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "domain" not in cookie.lower()


async def test_behind_https_cookies_are_secure_and_bound_to_the_host(visitor: Visitor) -> None:
    assert visits.session_cookie(True).startswith("__Host-")
    response = visits.Response()
    visits.set_cookie(response, visits.session_cookie(True), "x", True)
    assert "; Secure" in response.headers["set-cookie"]


async def test_a_session_is_stored_as_a_digest_only(scene: Scene, visitor: Visitor) -> None:
    await visitor.log_in("ana", PASSWORD)
    token = visitor.client.cookies[visitor.cookie]
    stored = await scene.console.connection.fetchval("SELECT session_sha256 FROM people_sessions")
    assert stored == sha256(token)


async def test_a_session_that_was_there_before_the_login_is_not_the_one_after(
    scene: Scene, visitor: Visitor
) -> None:
    visitor.client.cookies.set(visitor.cookie, "planted-by-somebody", domain="127.0.0.1")
    await visitor.log_in("ana", PASSWORD)
    own = [one.value for one in visitor.client.cookies.jar if one.name == visitor.cookie]
    assert "planted-by-somebody" not in own[-1:]
    fixed = Visitor(scene.url)
    fixed.client.cookies.set(fixed.cookie, "planted-by-somebody")
    assert (await fixed.get(HOME)).status_code == 303
    await fixed.client.aclose()


@pytest.mark.parametrize(
    ("column", "seconds"), [("seen_at", 2 * 3600 + 1), ("began_at", 24 * 3600 + 1)]
)
async def test_a_session_ends_when_it_is_idle_or_old(
    scene: Scene, visitor: Visitor, column: str, seconds: int
) -> None:
    await visitor.log_in("ana", PASSWORD)
    assert (await visitor.get(HOME)).status_code == 200
    await scene.console.connection.execute(
        f"UPDATE people_sessions SET {column} = now() - make_interval(secs => $1)", float(seconds)
    )
    assert (await visitor.get(HOME)).status_code == 303


async def test_a_form_without_the_token_of_this_session_is_refused(
    scene: Scene, visitor: Visitor
) -> None:
    await visitor.log_in("ana", PASSWORD)
    other = Visitor(scene.url)
    await other.log_in("ana", PASSWORD)
    foreign = await other.token(HOME)
    for token in ("", "x", foreign):
        answer = await visitor.client.post("/logout", data={"csrf": token})
        assert answer.status_code == 403, token
    assert (await visitor.get(HOME)).status_code == 200
    await other.client.aclose()


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_form_of_another_origin_is_refused_even_with_the_token(
    visitor: Visitor, headers: dict[str, str]
) -> None:
    await visitor.log_in("ana", PASSWORD)
    assert (await visitor.post("/logout", {}, at=HOME, **headers)).status_code == 403
    assert (await visitor.post("/logout", {}, at=HOME, origin=visitor.url)).status_code == 303


async def test_the_login_form_has_a_token_too(visitor: Visitor) -> None:
    form = {"name": "ana", "password": PASSWORD}
    assert (await visitor.client.post("/login", data=form)).status_code == 403
    await visitor.get("/login")
    assert (await visitor.client.post("/login", data=form | {"csrf": "x"})).status_code == 403


@pytest.mark.parametrize("body", [b"\xff\xfe=1", b"a=1&" * 300, b"x" * 70_000])
async def test_a_body_that_is_not_a_form_is_refused(visitor: Visitor, body: bytes) -> None:
    await visitor.get("/login")
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = await visitor.client.post("/login", content=body, headers=kind)
    assert answer.status_code in (400, 403, 413)
    answer = await visitor.client.post("/login", json={"name": "ana"})
    assert answer.status_code == 415


async def test_after_the_login_nobody_is_led_away(visitor: Visitor) -> None:
    for wanted in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        answer = await visitor.log_in("ana", PASSWORD, next=wanted)
        assert answer.headers["location"] == "/"
        page = await visitor.client.get("/login", params={"next": wanted})
        assert page.headers["location"] == "/"
        await visitor.post("/logout", {}, at=HOME)


async def test_too_many_failed_logins_of_an_account_from_an_address_are_refused(
    scene: Scene, visitor: Visitor
) -> None:
    for _ in range(throttle.PER_ACCOUNT_AND_ADDRESS):
        assert (await visitor.log_in("ana", "wrong")).status_code == 401
    refused = await visitor.log_in("ana", PASSWORD)
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
    await scene.person("ben", "reader")
    assert (await visitor.log_in("ben", PASSWORD)).status_code == 303  # another account may
    await visitor.post("/logout", {}, at=HOME)
    assert (await visitor.use(await scene.link("ana"))).status_code == 303  # the way out
    await scene.console.connection.execute(
        "UPDATE login_failures SET since = since - interval '1 hour'"
    )
    await visitor.post("/logout", {}, at=HOME)
    assert (await visitor.log_in("ana", PASSWORD)).status_code == 303


async def test_one_address_cannot_try_every_account(
    scene: Scene, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "PER_ADDRESS", 3)
    for number in range(3):
        assert (await visitor.log_in(f"name{number}", "wrong")).status_code == 401
    assert (await visitor.log_in("another", "wrong")).status_code == 429


async def test_many_addresses_cannot_try_one_account(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = iter(range(1_000))

    def another(_: Request) -> str:
        return f"10.0.0.{next(addresses)}"

    monkeypatch.setattr(throttle, "PER_ACCOUNT", 3)
    monkeypatch.setattr(throttle, "address_of", another)
    for _ in range(3):
        assert (await visitor.log_in("ana", "wrong")).status_code == 401
    assert (await visitor.log_in("ana", "wrong")).status_code == 429


async def test_failed_logins_take_a_bounded_number_of_rows(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.postgres.people.MOST_BUCKETS", 10)
    pages = scene.console.parts.pages
    assert pages is not None
    for number in range(30):
        await pages.people.count_failure([number.to_bytes(16, "big")])
    assert await scene.console.connection.fetchval("SELECT count(*) FROM login_failures") == 10


async def test_a_login_link_works_once_and_not_by_looking_at_it(
    scene: Scene, visitor: Visitor
) -> None:
    link = await scene.link("ana")
    assert (await visitor.get(link)).status_code == 200
    assert (await visitor.use(link)).status_code == 303
    assert (await visitor.get(HOME)).status_code == 200
    second = Visitor(scene.url)
    assert (await second.use(link)).status_code == 403
    late = await scene.link("ana")
    await scene.console.connection.execute("UPDATE login_links SET ends_at = now()")
    assert (await second.use(late)).status_code == 403
    await second.client.aclose()


async def test_every_page_says_what_it_may_load(visitor: Visitor) -> None:
    await visitor.log_in("ana", PASSWORD)
    seen = set()
    for path in (HOME, "/login", "/t/none/conversations", HOME):
        answer = await visitor.get(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; ") and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy and "form-action 'self'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        nonce = policy.partition("'nonce-")[2].partition("'")[0]
        assert len(nonce) > 16 and nonce not in seen
        seen.add(nonce)
        assert f'nonce="{nonce}"' in answer.text or answer.status_code == 303


async def test_a_new_password_ends_the_sessions_of_before(scene: Scene, visitor: Visitor) -> None:
    await visitor.log_in("ana", PASSWORD)
    pages = scene.console.parts.pages
    assert pages is not None
    link = await scene.link("ana")
    await pages.people.set_password(scene.people["ana"], "x")
    assert (await visitor.get(HOME)).status_code == 303
    assert (await visitor.use(link)).status_code == 403  # whoever has it is not let in either


async def test_names_of_people_are_checked_and_unique(scene: Scene) -> None:
    pages = scene.console.parts.pages
    assert pages is not None
    for name in ("", "A", "a b", "x" * 101, "ana"):
        with pytest.raises(PeopleError):
            await pages.people.add(name, None)
