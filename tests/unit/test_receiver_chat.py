"""`POST /chat` keeps a message as it came, and says what is wrong with one that it refuses."""

import json
from typing import Any

import pytest

from tests.unit.receiving import ADMIN, CHAT, MESSAGE, READ, TEXT, Application, problem
from tests.unit.records import TRACEPARENT


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
