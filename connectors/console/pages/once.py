"""Shows what a form made, such as a key, on the page after it, and only once.

The answer to such a form is a redirect, so that reloading the page sends no form again.
What is shown travels to the next page in an encrypted cookie, so that any console can
show it and none stores it.
"""

import secrets
import time

import msgspec
from fastapi.responses import RedirectResponse, Response

from connectors.console.pages.parts import PageParts
from connectors.console.pages.visits import Visit, set_cookie
from storage.postgres.people import sha256
from storage.postgres.vault import VaultError

SHOWN_SECONDS = 120
"""How long a browser has to ask for the next page."""
_FIELD = "once"
IS_OVER = ("once.over", "")
"""Is shown instead when the page is loaded again."""


class ShownOnce(msgspec.Struct, frozen=True):
    """What one session sees once at one address: the catalogue key of a sentence, and a text."""

    word: str
    text: str
    token: str
    path: str
    session: str
    ends_at: float


def show_once(pages: PageParts, visit: Visit, path: str, word: str, text: str) -> Response:
    """Redirects to a page that shows the text the first time that it is asked for."""
    token = secrets.token_urlsafe(9)
    ends_at = time.time() + SHOWN_SECONDS
    shown = ShownOnce(word, text, token, path, _session(visit), ends_at)
    sealed = pages.vault.seal(msgspec.json.encode(shown)).decode().rstrip("=")
    response = RedirectResponse(f"{path}?{_FIELD}={token}", 303)
    set_cookie(response, visit.once_cookie, sealed, visit.is_secure, SHOWN_SECONDS)
    return response


def shown_once(pages: PageParts, visit: Visit) -> tuple[str, str] | None:
    """Returns the sentence and the text that this page shows, and ends them.

    Returns IS_OVER if they were shown before, and None for a page that no form led to.
    """
    token = visit.request.query_params.get(_FIELD, "")
    if not token:
        return None
    shown = _opened(pages, visit.request.cookies.get(visit.once_cookie, ""))
    wanted = (token, visit.request.scope["path"], _session(visit))
    if shown is None or (shown.token, shown.path, shown.session) != wanted:
        return IS_OVER
    visit.ended_cookie = visit.once_cookie
    return (shown.word, shown.text) if time.time() < shown.ends_at else IS_OVER


def _opened(pages: PageParts, sealed: str) -> ShownOnce | None:
    whole = sealed + "=" * (-len(sealed) % 4)  # the padding is no character of a cookie
    try:
        return msgspec.json.decode(pages.vault.open(whole.encode()), type=ShownOnce)
    except (VaultError, msgspec.MsgspecError, UnicodeError):
        return None


def _session(visit: Visit) -> str:
    return sha256(visit.person.token).hex()
