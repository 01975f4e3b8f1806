"""The registry, called by Confluent's own client over a socket, and route by route."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import httpx
import pytest
import uvicorn
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroSerializer
from fastapi import FastAPI, Request
from fastapi.responses import Response

from connectors.console.pages.visits import problem_page
from connectors.console.problems import answer_problems
from connectors.console.registry import RegistryRefused, not_the_registry, registry
from schemas.codec import pinned_schemas
from schemas.topics import TOPICS, Names
from tests.quick_server import QuickServer

NAMES = Names("blue")
SUBJECT = "blue-enriched-messages-value"


def application() -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None)
    answer_problems(app, problem_page)
    app.include_router(registry(NAMES))
    app.include_router(not_the_registry())

    @app.exception_handler(RegistryRefused)
    async def refused(_: Request, error: RegistryRefused) -> Response:
        return error.answer()

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application())
    async with httpx.AsyncClient(transport=transport, base_url="http://console:8081") as opened:
        yield opened


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    sock = socket.create_server(("127.0.0.1", 0))
    server = QuickServer(uvicorn.Config(application(), log_level="error", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[sock])), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


Connect = Callable[[str], SchemaRegistryClient]


@pytest.fixture
def connect(address: str) -> Iterator[Connect]:
    """Confluent's client for a path of the console."""
    with ExitStack() as opened:

        def connected(path: str) -> SchemaRegistryClient:
            return opened.enter_context(closing(SchemaRegistryClient({"url": address + path})))

        yield connected


def newest() -> Any:
    of_topic = [one for one in pinned_schemas().values() if one.topic == "enriched-messages"]
    return max(of_topic, key=lambda one: one.version)


# --- Confluent's client


def test_confluents_client_can_look_around(connect: Connect) -> None:
    client = connect("/registry")
    assert client.get_subjects() == sorted(NAMES.topic(topic) + "-value" for topic in TOPICS)
    latest, pinned = client.get_latest_version(SUBJECT), newest()
    assert (latest.schema_id, latest.version) == (pinned.id, pinned.version)
    assert client.get_versions(SUBJECT) == list(range(1, pinned.version + 1))
    assert client.get_version(SUBJECT, 1).schema_id == client.get_version(SUBJECT, "1").schema_id
    assert client.get_schema(pinned.id).schema_str == pinned.text
    found = client.lookup_schema(SUBJECT, Schema(pinned.text, "AVRO"))
    assert (found.subject, found.version, found.schema_id) == (SUBJECT, pinned.version, pinned.id)
    assert client.get_compatibility() == client.get_compatibility(SUBJECT) == "FULL_TRANSITIVE"
    assert client.get_contexts() == ["."]
    assert client.get_mode(SUBJECT) == client.get_global_mode() == "READONLY"
    assert client.get_config(SUBJECT).compatibility_level == "FULL_TRANSITIVE"
    assert client.get_subjects_by_schema_id(pinned.id) == [SUBJECT]
    assert client.get_referenced_by(SUBJECT, "1") == []
    (where,) = client.get_schema_versions(pinned.id)
    assert (where.subject, where.version) == (SUBJECT, pinned.version)
    assert client.get_schema_types() == ["AVRO"]


def test_confluents_client_is_told_why_it_cannot_write(connect: Connect) -> None:
    client = connect("/registry")
    other = Schema('{"type": "record", "name": "X", "fields": []}', "AVRO")
    for write in (
        lambda: client.register_schema(SUBJECT, other),
        lambda: client.register_schema("my-topic-value", other),
        lambda: client.delete_subject(SUBJECT),
        lambda: client.set_compatibility(SUBJECT, "NONE"),
    ):
        with pytest.raises(SchemaRegistryError) as refused:
            write()
        assert (refused.value.http_status_code, refused.value.error_code) == (422, 42205)
        assert "this registry is read-only" in refused.value.error_message
    assert client.register_schema(SUBJECT, Schema(newest().text, "AVRO")) == newest().id


def test_a_serializer_with_the_same_schema_works_as_it_is(connect: Connect) -> None:
    client = connect("/registry")
    AvroSerializer(client, newest().text)


def test_without_the_path_confluents_client_is_told_the_right_address(
    address: str, connect: Connect
) -> None:
    client = connect("")
    for ask in (
        lambda: client.get_subjects(),
        lambda: client.get_schema(1),
        lambda: client.get_latest_version(SUBJECT),
        lambda: client.get_compatibility(),
    ):
        with pytest.raises(SchemaRegistryError) as refused:
            ask()
        assert refused.value.http_status_code == 404
        assert f"the schema registry is at {address}/registry" in refused.value.error_message


# --- route by route


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("", {}),
        ("/", {}),
        ("/schemas/types", ["AVRO"]),
        ("/contexts", ["."]),
        ("/config", {"compatibilityLevel": "FULL_TRANSITIVE"}),
        (f"/config/{SUBJECT}", {"compatibilityLevel": "FULL_TRANSITIVE"}),
        ("/mode", {"mode": "READONLY"}),
        (f"/mode/{SUBJECT}?defaultToGlobal=true", {"mode": "READONLY"}),
        ("/subjects?subjectPrefix=blue-enriched&deleted=true", [SUBJECT]),
        ("/subjects?subjectPrefix=green", []),
        (f"/subjects/{SUBJECT}/versions/1/referencedby", []),
        (f"/schemas/ids/{newest().id}/versions", [{"subject": SUBJECT, "version": newest().version}]),
        (f"/schemas/ids/{newest().id}/subjects", [SUBJECT]),
        (f"/schemas/ids/{newest().id}/schema", json.loads(newest().text)),
        (f"/subjects/{SUBJECT}/versions/latest/schema", json.loads(newest().text)),
        (
            f"/schemas?subjectPrefix={SUBJECT}&latestOnly=true",
            [{"subject": SUBJECT, "version": newest().version, "id": newest().id, "schema": newest().text}],
        ),
    ],
)  # fmt: skip
async def test_what_tools_probe_is_answered(
    client: httpx.AsyncClient, path: str, document: object
) -> None:
    answer = await client.get(f"/registry{path}")
    assert (answer.status_code, answer.json()) == (200, document)
    assert answer.headers["content-type"] == "application/vnd.schemaregistry.v1+json"


async def test_all_schemas_are_listed(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/registry/schemas")).json()
    assert {one["id"] for one in listed} == set(pinned_schemas())


async def test_a_schema_with_other_docs_or_another_layout_is_found(
    client: httpx.AsyncClient,
) -> None:
    document = json.loads(newest().text)
    document["doc"] = "mine"
    for text in (json.dumps(json.loads(newest().text)), json.dumps(document, indent=7)):
        answer = await client.post(f"/registry/subjects/{SUBJECT}", json={"schema": text})
        assert answer.json()["version"] == newest().version


NOT_THERE = (40401, "Subject 'nobody' not found.")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "message"),
    [
        ("GET", "schemas/ids/999", None, 404, 40403, "Schema 999 not found"),
        ("GET", "schemas/ids/0", None, 404, 40403, "Schema 0 not found"),
        ("GET", "schemas/ids/x/versions", None, 404, 40403, "Schema x not found"),
        ("GET", "schemas/ids/²", None, 404, 40403, "Schema ² not found"),
        ("GET", "schemas/ids/" + "9" * 30, None, 404, 40403, f"Schema {'9' * 20} not found"),
        ("GET", "subjects/nobody/versions", None, 404, *NOT_THERE),
        ("GET", "subjects/nobody/versions/1", None, 404, *NOT_THERE),
        ("GET", "config/nobody", None, 404, *NOT_THERE),
        ("GET", "mode/nobody", None, 404, *NOT_THERE),
        ("POST", "subjects/nobody", {"schema": "{}"}, 404, *NOT_THERE),
        ("POST", f"subjects/{SUBJECT}", {"schema": '"string"'}, 404, 40403, "Schema not found"),
        ("POST", f"subjects/{SUBJECT}", {"schema": "{"}, 422, 42201, "Invalid schema: it is not JSON"),
        ("POST", f"subjects/{SUBJECT}", {"schema": 1}, 422, 42201, "the body needs a field named schema with a text"),
        ("POST", f"subjects/{SUBJECT}", [], 422, 42201, "the body needs a field named schema with a text"),
        ("GET", f"subjects/{SUBJECT}/versions/99", None, 404, 40402, "Version 99 not found."),
        ("GET", f"subjects/{SUBJECT}/versions/0", None, 422, 42202, "The specified version '0' is not a valid version id"),
        ("GET", f"subjects/{SUBJECT}/versions/x", None, 422, 42202, "The specified version 'x' is not a valid version id"),
        ("GET", f"subjects/{SUBJECT}/versions/²", None, 422, 42202, "The specified version '²' is not a valid version id"),
        ("GET", "nothing/here", None, 404, 404, "there is no GET /nothing/here here"),
        ("GET", f"subjects/{SUBJECT}", None, 404, 404, f"there is no GET /subjects/{SUBJECT} here"),
    ],
)  # fmt: skip
async def test_what_it_has_not_it_says_in_the_registrys_form(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    body: object,
    status: int,
    code: int,
    message: str,
) -> None:
    answer = await client.request(method, f"/registry/{path}", json=body)
    assert (answer.status_code, answer.json()) == (status, {"error_code": code, "message": message})
    assert answer.headers["content-type"] == "application/vnd.schemaregistry.v1+json"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "subjects/my-topic-value/versions"),
        ("POST", f"compatibility/subjects/{SUBJECT}/versions/latest"),
        ("PUT", "config"),
        ("PUT", f"mode/{SUBJECT}"),
        ("DELETE", f"subjects/{SUBJECT}/versions/1"),
    ],
)
async def test_writing_is_refused_in_the_registrys_form(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await client.request(method, f"/registry/{path}", json={"schema": '"string"'})
    assert (answer.status_code, answer.json()["error_code"]) == (422, 42205)
    assert "auto.register.schemas=false" in answer.json()["message"]


async def test_what_is_nested_too_deeply_is_not_a_schema(client: httpx.AsyncClient) -> None:
    for depth in (600, 3_000, 30_000):
        for path in (f"/subjects/{SUBJECT}", f"/subjects/{SUBJECT}/versions"):
            body = {"schema": "[" * depth + "]" * depth}
            answer = await client.post(f"/registry{path}", json=body)
            assert answer.status_code in (404, 422), (depth, path)
        answer = await client.post(f"/registry/subjects/{SUBJECT}", content=b"[" * depth)
        assert answer.status_code == 400, depth
