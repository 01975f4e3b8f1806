"""The read-only part of the Confluent schema registry API, from the pinned schemas: ordinary deserializers need nothing more."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse

from connectors.console.answers import RegistryError, Responses, Schema, SubjectVersion
from schemas.codec import PinnedSchema, pinned_schemas
from schemas.topics import Names, TopicName

SchemaId = Annotated[str, Path(description="The id that stands in every record of the schema.")]
Subject = Annotated[str, Path(description="`<topic>-value`, the topic with its namespace.")]
Version = Annotated[str, Path(description="A version number of the subject, or `latest`.")]
MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


def _answer(document: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(document, status, media_type=MEDIA_TYPE)


def _refused(code: int, message: str) -> JSONResponse:
    """The registry's own form of errors; its codes begin with the status."""
    return _answer({"error_code": code, "message": message}, code // 100)


_MISSING: Responses = {404: {"model": RegistryError, "description": "it is not there"}}
_INVALID: Responses = {422: {"model": RegistryError, "description": "no version number"}}


def registry(names: Names) -> APIRouter:
    """Subjects are `<topic>-value`, topics with the namespace."""
    router = APIRouter(prefix="/registry", tags=["registry"])
    subjects: dict[str, dict[int, PinnedSchema]] = {}
    for pinned in pinned_schemas().values():
        topic: TopicName = pinned.topic  # type: ignore[assignment]  # a test holds ids.json to the topics
        subjects.setdefault(f"{names.topic(topic)}-value", {})[pinned.version] = pinned

    @router.get(
        "/schemas/ids/{schema_id}",
        summary="The schema with this id",
        responses={200: {"model": Schema}, **_MISSING},
    )
    async def by_id(schema_id: SchemaId) -> JSONResponse:
        pinned = pinned_schemas().get(_number(schema_id))
        return (
            _refused(40403, "Schema not found")
            if pinned is None
            else _answer({"schema": pinned.text})
        )

    @router.get("/subjects", summary="All subjects", responses={200: {"model": list[str]}})
    async def all_subjects() -> JSONResponse:
        return _answer(sorted(subjects))

    @router.get(
        "/subjects/{subject}/versions",
        summary="The versions of a subject",
        responses={200: {"model": list[int]}, **_MISSING},
    )
    async def versions(subject: Subject) -> JSONResponse:
        return (
            _answer(sorted(subjects[subject]))
            if subject in subjects
            else _refused(40401, "Subject not found")
        )

    @router.get(
        "/subjects/{subject}/versions/{version}",
        summary="One version of a subject, or `latest`",
        responses={200: {"model": SubjectVersion}, **_MISSING, **_INVALID},
    )
    async def version_of(subject: Subject, version: Version) -> JSONResponse:
        if subject not in subjects:
            return _refused(40401, "Subject not found")
        wanted = max(subjects[subject]) if version in ("latest", "-1") else _number(version)
        if wanted < 1:
            return _refused(42202, f"The specified version '{version}' is not a valid version id")
        pinned = subjects[subject].get(wanted)
        if pinned is None:
            return _refused(40402, "Version not found")
        return _answer(
            {"subject": subject, "version": pinned.version, "id": pinned.id, "schema": pinned.text}
        )

    return router


def _number(text: str) -> int:
    """-1 for what is no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
