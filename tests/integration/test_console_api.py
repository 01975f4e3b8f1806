"""Messages, timeline, registry, scopes, errors, and the console's description of itself."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from connectors.console import response_models
from schemas.codec import pinned_schemas
from schemas.records import Attachment, Step
from schemas.settings import Postgres, Secret, Settings
from schemas.topics import TOPICS, Names
from storage.postgres.tenancy import Tenancy
from streams.local.ports import free_port
from tests.integration.console import Console, key_of, problem, row, running
from tests.integration.waiting import until

AT = datetime(2026, 7, 14, 10, 5, tzinfo=UTC)
STEPS = (
    Step(stage="dedupe", outcome="forwarded", topic="raw-messages", partition=3, offset=41, at=AT),
    Step(
        stage="store_media",
        outcome="failed:media_gone",
        topic="media",
        partition=3,
        offset=7,
        at=AT.replace(minute=6),
    ),
)


def one(key: str) -> str:
    return f"/api/messages/{quote(key, safe='')}"


# --- a message and its steps


async def test_a_message_is_answered_whole(console: Console) -> None:
    stored = await console.keep(b"jpeg", "image/jpeg", "jpg")
    await console.write(
        row(
            "1",
            stored,
            content="hola",
            attributes={"event_id": "evt_1"},
            sender_id="+1202",
            sender_name="Ana",
        )
    )
    answer = await console.get(one(key_of("1")))
    document = answer.json()
    response_models.Message.model_validate(document)
    attachments = document["content_attributes"]["attachments"]
    response_models.MessageAttachment.model_validate(attachments[0])
    assert {name: document[name] for name in ("message_key", "provider", "role", "direction", "kind", "content", "status", "version", "sender_name")} == {
        "message_key": key_of("1"), "provider": "ycloud", "role": "user", "direction": "inbound", "kind": "image", "content": "hola",
        "status": "complete", "version": 1, "sender_name": "Ana",
    }  # fmt: skip
    assert document["content_attributes"]["provider"] == {"event_id": "evt_1"}
    assert attachments[0]["signed_url"].startswith(f"{stored.url}?expires=")
    assert "object_key" not in str(document)


async def test_a_timeline_is_every_step_in_its_order(console: Console) -> None:
    await console.write(
        row(
            "1",
            Attachment(index=0, type="image", status="failed", reason="media_gone"),
            steps=STEPS,
        )
    )
    document = (await console.get(f"{one(key_of('1'))}/timeline")).json()
    response_models.Timeline.model_validate(document)
    assert document["message_key"] == key_of("1")
    assert [
        (
            s["stage"],
            s["outcome"],
            s["topic"],
            s["partition"],
            s["offset"],
            datetime.fromisoformat(s["at"]),
        )
        for s in document["steps"]
    ] == [(s.stage, s.outcome, s.topic, s.partition, s.offset, s.at) for s in STEPS]


@pytest.mark.parametrize(
    "identifier",
    ["7/55", "a b+c%d?e#f", "x/timeline", "timeline", "wamid.ñ=", "a:b::c", "..", "x//y"],
)
async def test_any_key_can_be_asked_for_percent_encoded(console: Console, identifier: str) -> None:
    await console.write(
        row(identifier, content="sí", steps=STEPS), row("x", content="no", steps=STEPS[:1])
    )
    answer = await console.get(one(key_of(identifier)))
    assert (answer.status_code, answer.json()["message_key"]) == (200, key_of(identifier))
    timeline = await console.get(f"{one(key_of(identifier))}/timeline")
    assert (
        timeline.status_code,
        timeline.json()["message_key"],
        len(timeline.json()["steps"]),
    ) == (200, key_of(identifier), 2)


async def test_what_is_not_there_and_what_is_another_tenants_is_the_same_404(
    console: Console,
) -> None:
    await console.write(row("1", content="hola", steps=STEPS))
    mine = one(key_of("1"))
    refused = [
        await console.get(path, tenant)
        for path, tenant in [(mine, "other"), (f"{mine}/timeline", "other"), (one(key_of("2")), "acme"), (one("\0"), "acme"), (one("x"), "acme"),
                             (f"{one(key_of('2'))}/timeline", "acme"), (f"{one(chr(0))}/timeline", "acme"), ("/api/messages/", "acme")]
    ]  # fmt: skip
    assert len({str(problem(answer, 404)) for answer in refused}) == 1


# --- keys and scopes

STORED = "/media/acme/00000000-0000-4000-8000-000000000000.jpg"
GUARDED = [
    "/api/messages",
    "/api/conversations",
    "/api/conversations/c/context",
    one(key_of("1")),
    f"{one(key_of('1'))}/timeline",
    STORED,
    "/admin/chat/media/proxy?url=https://x",
]
OPEN = [
    "/registry/subjects",
    "/registry/schemas/ids/1",
    "/openapi.json",
    "/livez",
    "/readyz",
    "/metrics",
]


@pytest.mark.parametrize("path", GUARDED)
async def test_a_guarded_route_wants_a_known_key_of_scope_read_or_admin(
    console: Console, path: str
) -> None:
    await console.write(row("1", content="hola", steps=STEPS))
    for wrong in (
        "",
        "Bearer",
        "Bearer ",
        "Bearer sk_read_nobody",
        b"Bearer \xc3\xa9".decode("latin-1"),
        f"Basic {console.keys['acme', 'read']}",
        console.keys["acme", "read"],
    ):
        answer = await console.get(path, scope="", authorization=wrong)
        problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    problem(await console.get(path, scope="chat"), 403)
    fine = {(await console.get(path, scope=scope)).status_code for scope in ("read", "admin")}
    assert fine in ({200}, {404})
    others = {(await console.get(path, "other", scope)).status_code for scope in ("read", "admin")}
    assert others == (
        {200} if path.endswith(("context", "s")) else {404}
    )  # a list, and an unknown conversation, are empty, whoever asks
    problem(await console.get(path, "other", "chat"), 403)


async def test_a_key_is_known_within_two_seconds(console: Console) -> None:
    key = await Tenancy(console.connection, console.vault).add_key("acme", "read")

    async def known() -> bool:
        return (
            await console.get("/api/messages", scope="", authorization=f"bearer {key}")
        ).status_code == 200

    assert await until(known) < 2.0


@pytest.mark.parametrize("path", OPEN)
async def test_an_open_route_wants_no_key(console: Console, path: str) -> None:
    assert (await console.get(path, scope="")).status_code == 200


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "there is no Authorization header"),
        ({"x_api_key": "sk_read_x"}, "there is no Authorization header"),
        ({"authorization": "sk_read_x"}, "not of the form Bearer <key>"),
        ({"authorization": "Bearer "}, "not of the form Bearer <key>"),
        ({"authorization": "Bearer sk_read_x"}, "this key is unknown here"),
    ],
)
async def test_a_refusal_says_what_is_wrong_with_the_key(
    console: Console, sent: dict[str, str], said: str
) -> None:
    document = problem(await console.get("/api/messages", scope="", **sent), 401)
    assert said in document["detail"]
    assert document["detail"].endswith("send Authorization: Bearer <key>")


# --- errors


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/conversations/c/context?waitfor=3", "waitfor: unknown parameter; did you mean wait_for?"),
        ("/api/messages?since=x&wait_second=1", "did you mean wait_seconds?"),
        ("/api/conversations?cursor=x", "cursor: unknown parameter; known are after, limit"),
        ("/api/messages/acme:ycloud:1?x=1", "x: unknown parameter; known are none"),
        ("/api/messages/acme:ycloud:1/timeline?limit=1", "limit: unknown parameter"),
        ("/admin/chat/media/proxy?url=https://x&uri=y", "did you mean url?"),
    ],
)  # fmt: skip
async def test_an_unknown_parameter_is_not_ignored(console: Console, path: str, said: str) -> None:
    assert said in problem(await console.get(path), 422)["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/conversations//context",
        "/media/acme",
        "/media/acme/a/b.jpg",
        "/docs",
        "/nothing",
    ],
)
async def test_a_path_that_is_none_is_a_problem(console: Console, path: str) -> None:
    problem(await console.get(path), 404)


@pytest.mark.parametrize("path", [one for one in (*GUARDED, *OPEN) if "/registry/" not in one])
async def test_another_method_is_a_problem_and_says_which_are_allowed(
    console: Console, path: str
) -> None:
    answer = await console.get(path, method="DELETE")
    problem(answer, 405)
    assert "GET" in answer.headers["allow"]


async def test_a_wrong_parameter_is_a_problem_that_names_it(console: Console) -> None:
    document = problem(
        await console.get("/api/conversations/c/context?wait_seconds=31&within_seconds=x"), 422
    )
    assert [error.partition(":")[0] for error in document["errors"]] == [
        "within_seconds",
        "wait_seconds",
    ]
    assert document["detail"] == "; ".join(document["errors"])


async def test_before_tenants_were_loaded_nobody_is_refused(
    stack: Settings, namespace: str
) -> None:
    async with running(stack, Names(namespace), loaded=False) as console:
        for path in GUARDED:
            answer = await console.get(path, scope="", authorization="Bearer x")
            problem(answer, 503)
            assert answer.headers["retry-after"] == "1"
        assert (await console.get("/readyz", scope="")).status_code == 503
        assert (await console.get("/livez", scope="")).status_code == 200
        assert (await console.get("/registry/subjects", scope="")).status_code == 200


async def test_postgres_being_away_is_said(stack: Settings, namespace: str) -> None:
    nobody = Postgres(dsn=Secret(f"postgresql://x@127.0.0.1:{free_port(set())}/x"))
    async with running(stack, Names(namespace), postgres=nobody) as console:
        for path in [path for path in GUARDED if path != STORED] + [
            "/api/conversations/c/context?wait_seconds=5"
        ]:
            answer = await console.get(path)
            assert problem(answer, 503)["detail"] == "postgres is unavailable"
            assert answer.headers["retry-after"] == "1"


async def test_what_is_our_fault_is_a_problem_too(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ValueError("hola secreto")

    monkeypatch.setattr(console.parts.reading, "message", broken)
    assert "secreto" not in str(problem(await console.get(one(key_of("1"))), 500))


# --- the registry


async def test_the_registry_serves_every_pinned_schema(console: Console) -> None:
    subjects = (await console.get("/registry/subjects", scope="")).json()
    assert subjects == sorted(console.names.topic(name) + "-value" for name in TOPICS)
    for subject in subjects:
        versions = (await console.get(f"/registry/subjects/{subject}/versions", scope="")).json()
        for version in [*map(str, versions), "latest", "-1"]:
            answer = await console.get(f"/registry/subjects/{subject}/versions/{version}", scope="")
            document = answer.json()
            assert answer.headers["content-type"] == "application/vnd.schemaregistry.v1+json"
            assert (document["subject"], document["version"]) == (
                subject,
                int(version) if version.isdigit() else versions[-1],
            )
            by_id = (await console.get(f"/registry/schemas/ids/{document['id']}", scope="")).json()
            assert (
                by_id
                == {"schema": document["schema"]}
                == {"schema": pinned_schemas()[document["id"]].text}
            )
            json.loads(document["schema"])


# --- what it says of itself


async def test_openapi_describes_every_route_with_its_answers_errors_and_key(
    console: Console,
) -> None:
    document = (await console.get("/openapi.json", scope="")).json()
    paths: dict[str, Any] = document["paths"]
    assert set(paths) == {
        "/api/messages", "/api/conversations",
        "/api/conversations/{conversation_id}/context", "/api/messages/{message_key}", "/api/messages/{message_key}/timeline", "/media/{tenant}/{name}",
        "/admin/chat/media/proxy", "/registry/schemas/ids/{schema_id}", "/registry/subjects", "/registry/subjects/{subject}/versions",
        "/registry/subjects/{subject}/versions/{version}", "/registry/subjects/{subject}", "/registry/schemas/ids/{schema_id}/versions",
        "/registry/schemas", "/registry/schemas/types", "/registry/config", "/registry/mode", "/registry/contexts",
        "/api/repairs/plan", "/api/repairs/{plan}", "/api/repairs/{plan}/apply", "/api/repairs/{plan}/cancel",
    }  # fmt: skip
    for path, operations in paths.items():
        for operation in operations.values():
            assert operation["summary"] and operation["responses"]["200"]["content"], path
            guarded = not path.startswith("/registry")
            assert bool(operation.get("security")) == guarded, path
            if guarded:
                assert {"401", "403", "503"} <= set(operation["responses"])
                assert set(operation["responses"]["401"]["content"]) == {"application/problem+json"}
            assert "HTTPValidationError" not in str(operation)
    context = paths["/api/conversations/{conversation_id}/context"]["get"]
    assert {p["name"] for p in context["parameters"]} == {
        "conversation_id",
        "within_seconds",
        "limit",
        "before",
        "wait_seconds",
        "wait_for",
        "newer_than",
        "quiet_seconds",
        "in_order",
    }
    assert set(document["components"]["schemas"]["Context"]["properties"]) == {
        "conversation_id",
        "visual_context",
        "visual_context_nonce",
        "messages",
        "pending",
        "as_of",
        "in_order",
        "earlier",
    }
    assert {p["name"] for p in paths["/media/{tenant}/{name}"]["get"]["parameters"]} >= {
        "expires",
        "signature",
    }
    for path, operations in paths.items():
        if path.startswith("/registry"):
            continue  # as Confluent describes it
        for parameter in [
            one for each in operations.values() for one in each.get("parameters", [])
        ]:
            assert parameter.get("description"), (path, parameter["name"])
            if not path.startswith("/api") or parameter["in"] != "query":
                continue
            forms = parameter["schema"].get("anyOf", [parameter["schema"]])
            assert any(
                one.get("type") == "boolean"
                or {"maximum", "maxLength", "maxItems", "enum"}
                & (set(one) | set(one.get("items", {})))
                for one in forms
            ), (path, parameter["name"])
    problem_schema = {"$ref": "#/components/schemas/ProblemDetails"}
    for operation in (one for path in paths.values() for one in path.values()):
        for response in operation["responses"].values():
            shown = response.get("content", {}).get("application/problem+json")
            assert shown is None or shown["schema"] == problem_schema
    assert "ProblemDetails" in document["components"]["schemas"]
    operations = [
        operation["operationId"] for path in paths.values() for operation in path.values()
    ]
    assert len(operations) == len(set(operations))


async def test_requests_are_counted_by_route_and_status(console: Console) -> None:
    await console.get(one(key_of("1")))
    await console.get("/nothing", scope="")
    text = (await console.get("/metrics", scope="")).text
    assert (
        'sensorium_console_requests_total{route="/api/messages/{message_key:path}",status="404"}'
        in text
    )
    assert 'route="none",status="404"' in text
    assert "acme:ycloud" not in text
