"""Errors as RFC 9457 problem details."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from connectors.console.tenant_queue import Busy
from connectors.errors import ConnectorsError
from schemas.outcomes import Unavailable
from schemas.problems import MEDIA_TYPE, problem_document


class ConsoleProblem(ConnectorsError):
    """An error answer. `detail` is written for the person who reads it."""

    def __init__(self, status: int, detail: str = "", headers: Mapping[str, str] = {}) -> None:
        super().__init__(status, detail)
        self.status, self.detail, self.headers = status, detail, headers


def problem_response(
    status: int, detail: str = "", headers: Mapping[str, str] = {}, **extra: Any
) -> JSONResponse:
    document = problem_document(status, detail, extra)
    return JSONResponse(document, status, dict(headers), media_type=MEDIA_TYPE)


def answer_problems(app: FastAPI, page_of: Callable[[Request, int], Response | None]) -> None:
    """Answers every error of the application with a problem.

    An address without a route is answered with a page, if `page_of` makes one.
    """

    @app.exception_handler(ConsoleProblem)
    async def problem(_: Request, error: ConsoleProblem) -> JSONResponse:
        return problem_response(error.status, error.detail, error.headers)

    @app.exception_handler(Unavailable)
    async def unavailable(_: Request, error: Unavailable) -> JSONResponse:
        return problem_response(
            503,
            f"{error.name} is unavailable",
            {"retry-after": str(max(1, round(error.retry_after)))},
        )

    @app.exception_handler(Busy)
    async def busy(_: Request, error: Busy) -> JSONResponse:
        detail = "this tenant has too many requests in progress"
        return problem_response(429, detail, {"retry-after": "1"})

    @app.exception_handler(StarletteHTTPException)
    async def http(request: Request, error: StarletteHTTPException) -> Response:
        if page := page_of(request, error.status_code):  # of a person who mistyped an address
            return page
        return problem_response(error.status_code, str(error.detail or ""), error.headers or {})

    @app.exception_handler(RequestValidationError)
    async def validation(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
        return problem_response(422, "; ".join(errors), errors=errors)

    @app.exception_handler(Exception)
    async def ours(_: Request, error: Exception) -> JSONResponse:
        """Starlette raises the error again after this answer, so that it is logged."""
        return problem_response(500, "an internal error, which the console has logged")
