"""The read-only part of the Confluent Schema Registry API, served from the pinned schemas.

Deserializers only need schemas by id, but tools that explore the registry call many
more routes before they work. Every answer, errors included, has the registry's own
format, because clients do not display any other.
https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from connectors.console.response_models import RegistryError, Responses, Schema, SubjectVersion
from connectors.errors import ConnectorsError
from schemas.codec import PinnedSchema, pinned_schemas
from schemas.pipeline import TopicName
from schemas.topics import Names

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
COMPATIBILITY = "FULL_TRANSITIVE"
"""The compatibility level that a test of this repository enforces for the schemas."""
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_READ_ONLY = (
    "this registry is read-only: its schemas are part of Sensorium and change with it. "
    "Set auto.register.schemas=false in serializers"
)


def _answer(document: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(document, status, media_type=MEDIA_TYPE)


class RegistryRefused(ConnectorsError):
    """An error in the registry's own format.

    Codes of five digits begin with the HTTP status.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message

    def answer(self) -> JSONResponse:
        status = self.code // 100 if self.code > 999 else self.code
        return _answer({"error_code": self.code, "message": self.message}, status)


class Subjects:
    """The subjects, named `<topic>-value` with the namespace in front, and their versions."""

    def __init__(self, names: Names) -> None:
        self._by_name: dict[str, dict[int, PinnedSchema]] = {}
        for pinned in pinned_schemas().values():
            topic: TopicName = pinned.topic  # type: ignore[assignment]  # a test compares ids.json with the topics
            self._by_name.setdefault(f"{names.topic(topic)}-value", {})[pinned.version] = pinned

    def names(self, prefix: str = "") -> list[str]:
        return sorted(name for name in self._by_name if name.startswith(prefix))

    def versions(self, subject: str) -> dict[int, PinnedSchema]:
        """Raises RegistryRefused for an unknown subject."""
        if subject not in self._by_name:
            raise RegistryRefused(40401, f"Subject '{subject}' not found.")
        return self._by_name[subject]

    def version(self, subject: str, version: str) -> PinnedSchema:
        """Returns a version by its number, by `latest` or by `-1`."""
        versions = self.versions(subject)
        number = max(versions) if version in ("latest", "-1") else _number(version)
        if number < 1:
            raise RegistryRefused(
                42202, f"The specified version '{version}' is not a valid version id"
            )
        if number not in versions:
            raise RegistryRefused(40402, f"Version {number} not found.")
        return versions[number]

    def by_id(self, schema_id: str) -> PinnedSchema:
        pinned = pinned_schemas().get(_number(schema_id))
        if pinned is None:
            raise RegistryRefused(40403, f"Schema {schema_id[:20]} not found")
        return pinned

    def subject_of(self, pinned: PinnedSchema) -> str:
        return next(name for name, versions in self._by_name.items() if pinned in versions.values())

    def same(self, subject: str, text: str) -> PinnedSchema:
        """Returns the version that has this schema, or one that differs only in its docs.

        Raises RegistryRefused.
        """
        versions = sorted(self.versions(subject).values(), key=lambda one: -one.version)
        try:
            schema = json.loads(text)
            bare = _without_docs(schema)
        except ValueError:
            raise RegistryRefused(42201, "Invalid schema: it is not JSON") from None
        except RecursionError:
            raise RegistryRefused(42201, "Invalid schema: it is nested too deeply") from None
        found = [one for one in versions if json.loads(one.text) == schema]
        found += [one for one in versions if _without_docs(json.loads(one.text)) == bare]
        if found:
            return found[0]
        raise RegistryRefused(40403, "Schema not found")


_MISSING: Responses = {404: {"model": RegistryError, "description": "it is not there"}}
_INVALID: Responses = {422: {"model": RegistryError, "description": "no version number"}}
_REFUSED: Responses = {422: {"model": RegistryError, "description": "this registry is read-only"}}


def registry(names: Names) -> APIRouter:
    """Returns the routes.

    Unknown routes under `/registry` are refused in the registry's format too.
    """
    router = APIRouter(prefix="/registry", tags=["registry"])
    subjects = Subjects(names)
    _add_schemas(router, subjects)
    _add_subjects(router, subjects)
    _add_settings(router, subjects)

    @router.api_route("", methods=["GET"], include_in_schema=False)
    @router.api_route("/", methods=["GET"], include_in_schema=False)
    async def root() -> JSONResponse:
        return _answer({})

    @router.api_route("/{path:path}", methods=_METHODS, include_in_schema=False)
    async def anything_else(request: Request, path: str) -> JSONResponse:
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return RegistryRefused(404, f"there is no {request.method} /{path} here").answer()
        return RegistryRefused(42205, _READ_ONLY).answer()

    return router


def not_the_registry() -> APIRouter:
    """Answers clients that use the console's address instead of the registry's."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/subjects", methods=_METHODS)
    @router.api_route("/subjects/{path:path}", methods=_METHODS)
    @router.api_route("/schemas/{path:path}", methods=_METHODS)
    @router.api_route("/config", methods=_METHODS)
    @router.api_route("/config/{path:path}", methods=_METHODS)
    @router.api_route("/mode", methods=_METHODS)
    @router.api_route("/contexts", methods=_METHODS)
    async def elsewhere(request: Request, path: str = "") -> JSONResponse:
        base = f"{request.url.scheme}://{request.url.netloc}/registry"
        return RegistryRefused(
            404, f"the schema registry is at {base}: set that as its url"
        ).answer()

    return router


def _add_schemas(router: APIRouter, subjects: Subjects) -> None:
    @router.get(
        "/schemas/ids/{schema_id}",
        summary="The schema with this id",
        responses={200: {"model": Schema}, **_MISSING},
    )
    async def by_id(schema_id: str) -> JSONResponse:
        return _answer({"schema": subjects.by_id(schema_id).text})

    @router.get("/schemas/ids/{schema_id}/schema", include_in_schema=False)
    async def text_by_id(schema_id: str) -> JSONResponse:
        return _answer(json.loads(subjects.by_id(schema_id).text))

    @router.get(
        "/schemas/ids/{schema_id}/versions",
        summary="Subject and version of the schema with this id",
        responses={200: {"model": list[dict[str, Any]]}, **_MISSING},
    )
    async def versions_by_id(schema_id: str) -> JSONResponse:
        pinned = subjects.by_id(schema_id)
        return _answer([{"subject": subjects.subject_of(pinned), "version": pinned.version}])

    @router.get("/schemas/ids/{schema_id}/subjects", include_in_schema=False)
    async def subjects_by_id(schema_id: str) -> JSONResponse:
        return _answer([subjects.subject_of(subjects.by_id(schema_id))])

    @router.get(
        "/schemas/types",
        summary="The kinds of schema",
        responses={200: {"model": list[str]}},
    )
    async def types() -> JSONResponse:
        return _answer(["AVRO"])

    @router.get(
        "/schemas",
        summary="All schemas",
        responses={200: {"model": list[SubjectVersion]}},
    )
    async def all_schemas(subjectPrefix: str = "", latestOnly: bool = False) -> JSONResponse:
        found = []
        for subject in subjects.names(subjectPrefix):
            versions = subjects.versions(subject)
            numbers = [max(versions)] if latestOnly else sorted(versions)
            found += [_shown(subject, versions[number]) for number in numbers]
        return _answer(found)


def _add_subjects(router: APIRouter, subjects: Subjects) -> None:
    @router.get("/subjects", summary="All subjects", responses={200: {"model": list[str]}})
    async def all_subjects(subjectPrefix: str = "") -> JSONResponse:
        return _answer(subjects.names(subjectPrefix))

    @router.post(
        "/subjects/{subject}",
        summary='The version of a subject that has this schema: `{"schema": …}`',
        responses={200: {"model": SubjectVersion}, **_MISSING, **_INVALID},
    )
    async def look_up(request: Request, subject: str) -> JSONResponse:
        return _answer(_shown(subject, subjects.same(subject, await _schema_in(request))))

    @router.get(
        "/subjects/{subject}/versions",
        summary="The versions of a subject",
        responses={200: {"model": list[int]}, **_MISSING},
    )
    async def versions(subject: str) -> JSONResponse:
        return _answer(sorted(subjects.versions(subject)))

    @router.post(
        "/subjects/{subject}/versions",
        summary="The id of a schema that exists; new ones are not accepted",
        responses={200: {"model": dict[str, int]}, **_MISSING, **_REFUSED},
    )
    async def register(request: Request, subject: str) -> JSONResponse:
        try:
            pinned = subjects.same(subject, await _schema_in(request))
        except RegistryRefused:
            raise RegistryRefused(42205, _READ_ONLY) from None
        return _answer({"id": pinned.id})

    @router.get(
        "/subjects/{subject}/versions/{version}",
        summary="One version of a subject, or `latest`",
        responses={200: {"model": SubjectVersion}, **_MISSING, **_INVALID},
    )
    async def version_of(subject: str, version: str) -> JSONResponse:
        return _answer(_shown(subject, subjects.version(subject, version)))

    @router.get("/subjects/{subject}/versions/{version}/schema", include_in_schema=False)
    async def text_of(subject: str, version: str) -> JSONResponse:
        return _answer(json.loads(subjects.version(subject, version).text))

    @router.get("/subjects/{subject}/versions/{version}/referencedby", include_in_schema=False)
    async def referenced_by(subject: str, version: str) -> JSONResponse:
        subjects.version(subject, version)
        return _answer([])


def _add_settings(router: APIRouter, subjects: Subjects) -> None:
    for path in ("", "/{subject}"):
        in_schema = not path

        @router.get(
            f"/config{path}",
            summary="The compatibility that all versions of a schema have",
            responses={200: {"model": dict[str, str]}},
            include_in_schema=in_schema,
        )
        async def config(subject: str | None = None) -> JSONResponse:
            if subject is not None:
                subjects.versions(subject)
            return _answer({"compatibilityLevel": COMPATIBILITY})

        @router.get(
            f"/mode{path}",
            summary="READONLY",
            responses={200: {"model": dict[str, str]}},
            include_in_schema=in_schema,
        )
        async def mode(subject: str | None = None) -> JSONResponse:
            if subject is not None:
                subjects.versions(subject)
            return _answer({"mode": "READONLY"})

    @router.get("/contexts", summary="The one context", responses={200: {"model": list[str]}})
    async def contexts() -> JSONResponse:
        return _answer(["."])


async def _schema_in(request: Request) -> str:
    """Returns the schema of a body `{"schema": "…"}`. Raises RegistryRefused."""
    try:
        document = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise RegistryRefused(400, "the body is not JSON") from None
    text = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(text, str):
        raise RegistryRefused(42201, "the body needs a field named schema with a text")
    return text


def _shown(subject: str, pinned: PinnedSchema) -> dict[str, Any]:
    return {
        "subject": subject,
        "version": pinned.version,
        "id": pinned.id,
        "schema": pinned.text,
    }


def _without_docs(node: Any) -> Any:
    match node:
        case list():
            return [_without_docs(one) for one in node]
        case dict():
            return {name: _without_docs(inner) for name, inner in node.items() if name != "doc"}
        case _:
            return node


def _number(text: str) -> int:
    """Returns -1 for text that is not a number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
