"""The read-only part of the Confluent schema registry API, from the pinned schemas: ordinary deserializers need nothing more."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from schemas.codec import PinnedSchema, pinned_schemas
from schemas.topics import Names, TopicName

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


def _answer(document: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(document, status, media_type=MEDIA_TYPE)


def _missing(code: int, message: str) -> JSONResponse:
    return _answer({"error_code": code, "message": message}, 404)


def registry(names: Names) -> APIRouter:
    """Subjects are `<topic>-value`, topics with the namespace."""
    router = APIRouter(prefix="/registry", tags=["registry"])
    subjects: dict[str, dict[int, PinnedSchema]] = {}
    for pinned in pinned_schemas().values():
        topic: TopicName = pinned.topic  # type: ignore[assignment]  # a test holds ids.json to the topics
        subjects.setdefault(f"{names.topic(topic)}-value", {})[pinned.version] = pinned

    @router.get("/schemas/ids/{schema_id}", summary="The schema with this id")
    async def by_id(schema_id: int) -> JSONResponse:
        pinned = pinned_schemas().get(schema_id)
        return _missing(40403, "Schema not found") if pinned is None else _answer({"schema": pinned.text})

    @router.get("/subjects", summary="All subjects")
    async def all_subjects() -> JSONResponse:
        return _answer(sorted(subjects))

    @router.get("/subjects/{subject}/versions", summary="The versions of a subject")
    async def versions(subject: str) -> JSONResponse:
        return _answer(sorted(subjects[subject])) if subject in subjects else _missing(40401, "Subject not found")

    @router.get("/subjects/{subject}/versions/{version}", summary="One version of a subject, or `latest`")
    async def version_of(subject: str, version: str) -> JSONResponse:
        if subject not in subjects:
            return _missing(40401, "Subject not found")
        wanted = max(subjects[subject]) if version == "latest" else int(version) if version.isdigit() and len(version) < 9 else -1
        pinned = subjects[subject].get(wanted)
        if pinned is None:
            return _missing(40402, "Version not found")
        return _answer({"subject": subject, "version": pinned.version, "id": pinned.id, "schema": pinned.text})

    return router
