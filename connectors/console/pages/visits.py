"""A visit is one request of a person, checked before a page is rendered.

Every page and action goes through `page_route`. It finds the session, requires that a
POST has the form's token and comes from this origin, and adds security headers to every
answer.
"""

import asyncio
import base64
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from connectors.console.pages.parts import PageParts
from connectors.console.pages.rendering import render
from connectors.console.pages.searching import TookTooLong
from connectors.console.pages.words import Words, language_of
from connectors.console.tenant_queue import Busy
from connectors.errors import ConnectorsError
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from storage.postgres.people import PersonRole, Session

log = structlog.get_logger()

FORM_SECONDS = 10.0
MOST_FORM_BYTES = 64 * 1024
MOST_PASTED_BYTES = 512 * 1024
"""The bound of a form into which a whole delivery is pasted.

Encoded as a form, every quote and every byte of a letter with an accent has three bytes.
"""
_PASTES = re.compile(r"/t/[^/]+/endpoints/[^/]+/check")
MOST_FIELDS = 200
_PORT = re.compile(r":([0-9]{1,5})\Z")
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")


class PageProblem(ConnectorsError):
    """An answer that is an error page. `word` is its key in the catalogue."""

    def __init__(self, status: int, word: str, retry_after: int = 0) -> None:
        super().__init__(status, word)
        self.status, self.word, self.retry_after = status, word, retry_after


class LoginNeeded(ConnectorsError):
    """The visitor is not logged in and must see the login page first."""


@dataclass(slots=True)
class Visit:
    """The person who requests a page, their language, and the fields of a form."""

    request: Request
    words: Words
    zone: ZoneInfo
    session: Session | None
    form_seed: str
    is_secure: bool
    port: str = ""
    is_new_seed: bool = False
    ended_cookie: str = ""
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    form: dict[str, str] = field(default_factory=dict)

    @property
    def person(self) -> Session:
        """The session of the visitor. Raises LoginNeeded if there is none."""
        if self.session is None:
            raise LoginNeeded
        return self.session

    @property
    def session_cookie(self) -> str:
        """The name of the cookie that holds the token of the session."""
        return session_cookie(self.is_secure, self.port)

    @property
    def once_cookie(self) -> str:
        """The name of the cookie that holds what the next page shows once."""
        return _cookie("-once", self.is_secure, self.port)

    @property
    def csrf(self) -> str:
        """The token of every form of this session, or of this browser before the login."""
        seed = self.session.token if self.session is not None else self.form_seed
        digest = hmac.digest(seed.encode(), b"sensorium form", "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def at(self, tenant: str, role: PersonRole) -> TenantId:
        """Returns the tenant if the person has the role there.

        Raises PageProblem 403 for another role, and 404 for a tenant that the person
        has no role in, as for one that does not exist.
        """
        tenant_id = TenantId(tenant)
        if not self.person.may(tenant_id, "viewer"):
            raise PageProblem(404, "problem.404")
        if not self.person.may(tenant_id, role):
            raise PageProblem(403, "problem.403")
        return tenant_id

    def page(self, template: str, answer: int = 200, **values: Any) -> Response:
        """Renders the template with these values."""
        text = render(template, visit=self, t=self.words, **values)
        return Response(text, answer, media_type="text/html; charset=utf-8")


def visit_of(request: Request) -> Visit:
    """Returns the visit that `page_route` created."""
    visit: Visit = request.state.visit
    return visit


def session_cookie(is_secure: bool, port: str = "") -> str:
    """Returns the name of the cookie that holds the token of a session."""
    return _cookie("", is_secure, port)


def form_cookie(is_secure: bool, port: str = "") -> str:
    """Before the login, the token of the login form is derived from this cookie."""
    return _cookie("-form", is_secure, port)


def _cookie(purpose: str, is_secure: bool, port: str) -> str:
    """Returns a cookie's name.

    A `__Host-` cookie cannot be set by another host, but browsers accept it over https
    only. Over http its name has the port, because all ports of a host share their
    cookies, and another installation at another port would replace this one's.
    """
    if is_secure:
        return f"__Host-sensorium{purpose}"
    return f"sensorium{purpose}-{port}" if port else f"sensorium{purpose}"


def set_cookie(
    response: Response, name: str, value: str, is_secure: bool, seconds: int | None = None
) -> None:
    """Sets a cookie that scripts cannot read and that is not sent with forms of other sites.

    It ends after this time, or with the browser.
    """
    response.set_cookie(
        name, value, seconds, path="/", secure=is_secure, httponly=True, samesite="lax"
    )


def local_path(path: str | None) -> str:
    """Returns the target after a login: the requested path, or "/" if it leaves this console."""
    if (
        not path
        or not path.startswith("/")
        or path.startswith("//")
        or "\\" in path
        or not path.isprintable()
        or urlsplit(path).netloc
    ):
        return "/"
    return path


def page_route(parts: PageParts) -> type[APIRoute]:
    """Returns the route class of all pages."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            inner = super().get_route_handler()

            async def handle(request: Request) -> Response:
                return await _answer(parts, request, inner)

            return handle

    return PageRoute


async def _answer(
    parts: PageParts, request: Request, inner: Callable[[Request], Awaitable[Response]]
) -> Response:
    visit = _visit(request, parts.public_url)
    request.state.visit = visit
    try:
        if _has_nul((*request.path_params.values(), *request.query_params.values())):
            raise PageProblem(404, "problem.404")
        if token := request.cookies.get(visit.session_cookie, ""):
            visit.session = await _session(parts, request, token)
        if request.method == "POST":
            await _check_form(visit, parts.public_url)
        elif visit.session is None and not visit.form_seed:
            visit.form_seed, visit.is_new_seed = secrets.token_urlsafe(24), True
        response = await inner(request)
    except LoginNeeded:
        response = _to_login(visit)
    except PageProblem as problem:
        response = _problem(visit, problem)
    except RequestValidationError:  # a path parameter has the wrong type
        response = _problem(visit, PageProblem(404, "problem.404"))
    except TookTooLong:
        response = _problem(visit, PageProblem(503, "problem.too_long"))
    except Unavailable:
        response = _problem(visit, PageProblem(503, "problem.503", retry_after=2))
    except Busy:
        response = _problem(visit, PageProblem(429, "problem.429", retry_after=2))
    except Exception:
        log.exception("page_failed", route=getattr(request.scope.get("route"), "path", ""))
        response = _problem(visit, PageProblem(500, "problem.500"))
    return _guarded(visit, response)


async def _session(parts: PageParts, request: Request, token: str) -> Session | None:
    """Returns the session, with the roles that this request needs; a stream has no menu."""
    about = str(request.path_params.get("tenant") or request.path_params.get("rest") or "")
    if _is_stream(request):
        return await parts.people.session(token, is_use=False, about=about, most=0)
    return await parts.people.session(token, about=about)


def _visit(request: Request, public_url: str) -> Visit:
    is_secure = request.url.scheme == "https" or public_url.startswith("https:")
    found = _PORT.search(request.headers.get("host", ""))
    port = found[1] if found is not None else ""
    return Visit(
        request,
        Words(language_of(request.headers.get("accept-language", ""))),
        zone_of(request.cookies.get("tz", "")),
        None,
        request.cookies.get(form_cookie(is_secure, port), ""),
        is_secure,
        port,
    )


def most_body_bytes(path: str) -> int:
    """Returns the most bytes that the body of a request to this path may have."""
    return MOST_PASTED_BYTES if _PASTES.fullmatch(path) else MOST_FORM_BYTES


def problem_page(request: Request, status: int) -> Response | None:
    """Returns a page about an error of a request that reached no page.

    Returns None for clients other than browsers, which the API answers.
    """
    if "text/html" not in request.headers.get("accept", ""):
        return None
    visit = _visit(request, "")
    word = "problem.413" if status == 413 else "problem.404"
    return _guarded(visit, _problem(visit, PageProblem(status, word)))


def _is_stream(request: Request) -> bool:
    return request.url.path.endswith("/live")


def _to_login(visit: Visit) -> Response:
    if visit.request.method != "GET" or _is_stream(visit.request):
        return visit.page("problem.html", 401, status=401, word="problem.401")
    query = f"?{visit.request.url.query}" if visit.request.url.query else ""
    path = local_path(visit.request.url.path + query)
    return RedirectResponse(f"/login?next={quote(path, safe='/')}", 303)


def _problem(visit: Visit, problem: PageProblem) -> Response:
    response = visit.page("problem.html", problem.status, status=problem.status, word=problem.word)
    if problem.retry_after:
        response.headers["retry-after"] = str(problem.retry_after)
    return response


def _guarded(visit: Visit, response: Response) -> Response:
    """Adds security headers to a page; answers with untrusted files bring stricter ones.

    Scripts need the nonce, because untrusted files are served from the same origin.
    """
    policy = (
        f"default-src 'self'; script-src 'nonce-{visit.nonce}'; object-src 'none';"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    for name, value in {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-store",
    }.items():
        response.headers.setdefault(name, value)
    if visit.is_new_seed:
        name = form_cookie(visit.is_secure, visit.port)
        set_cookie(response, name, visit.form_seed, visit.is_secure)
    if visit.ended_cookie and response.status_code < 400:
        response.delete_cookie(visit.ended_cookie, path="/", secure=visit.is_secure, httponly=True)
    return response


def _has_nul(values: Iterable[object]) -> bool:
    """Whether a value contains U+0000, which text in Postgres cannot contain."""
    return any("\0" in str(value) for value in values)


def _is_ours(origin: str, host: str, public_url: str) -> bool:
    """Whether a page of this console sent the form.

    A proxy may use another host name than the public one.
    """
    try:
        sent_by = urlsplit(origin).netloc
    except ValueError:
        return False
    return sent_by != "" and sent_by in (host, urlsplit(public_url).netloc)


async def _check_form(visit: Visit, public_url: str) -> None:
    """Reads the form and refuses one that a page of another origin sent."""
    headers = visit.request.headers
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    if origin is not None and not _is_ours(origin, headers.get("host", ""), public_url):
        raise PageProblem(403, "problem.form")
    if site not in ("same-origin", "none"):
        raise PageProblem(403, "problem.form")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise PageProblem(415, "problem.form")
    try:
        most = MOST_FORM_BYTES if visit.session is None else most_body_bytes(visit.request.url.path)
        if int(headers.get("content-length", "0")) > most:
            raise PageProblem(413, "problem.413")
        async with asyncio.timeout(FORM_SECONDS):
            body = await visit.request.body()
        if len(body) > most:
            raise PageProblem(413, "problem.413")
        visit.form = dict(
            parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
        )
    except (ValueError, TimeoutError, ClientDisconnect):
        raise PageProblem(400, "problem.form") from None
    if _has_nul(visit.form.values()):
        raise PageProblem(422, "problem.422")
    sent = visit.form.get("csrf", "")
    has_seed = visit.session is not None or visit.form_seed
    if not has_seed or not hmac.compare_digest(sent.encode(), visit.csrf.encode()):
        was_logged_in = visit.session_cookie in visit.request.cookies
        if visit.session is None and was_logged_in:
            raise PageProblem(401, "problem.401")
        raise PageProblem(403, "problem.form")


def zone_of(name: str) -> ZoneInfo:
    """Returns the time zone that the browser names, or UTC if it is unknown."""
    if _ZONE.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    return ZoneInfo("UTC")
