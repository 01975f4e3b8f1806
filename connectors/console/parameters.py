"""The query parameters of the bot API, with their meaning and limits."""

import difflib
from typing import Annotated

from fastapi import Query, Request
from fastapi.dependencies.models import Dependant

from connectors.console.problems import ConsoleProblem
from schemas.keys import PROVIDER_PATTERN, TenantId, is_provider_id

LONGEST_WAIT_SECONDS = 30.0
LONGEST_WINDOW_SECONDS = 7 * 86_400
MOST_MESSAGES = 500
DEFAULT_WINDOW_SECONDS = 300.0
DEFAULT_PAGE = 100
MOST_WAITED_FOR = 50
LONGEST_QUIET_SECONDS = 10.0
LONGEST_CURSOR = 4_000

KEY_FORM = "a message key is tenant:provider:provider_message_id, such as acme:ycloud:wamid.ABC"

WithinSeconds = Annotated[
    float | None,
    Query(
        gt=0,
        le=LONGEST_WINDOW_SECONDS,
        description="Only messages that arrived within this many seconds before now. Default: 300,"
        " or any age if `limit` or `before` is given.",
    ),
]
Limit = Annotated[
    int | None,
    Query(
        ge=1,
        le=MOST_MESSAGES,
        description="Number of latest messages, of any age unless `within_seconds` is given.",
    ),
]
Before = Annotated[
    str | None,
    Query(
        max_length=LONGEST_CURSOR,
        description="`earlier` of another answer: asks for the messages before those of that"
        " answer.",
    ),
]
WaitSeconds = Annotated[
    float,
    Query(
        ge=0,
        le=LONGEST_WAIT_SECONDS,
        description="How many seconds to wait at most. 0: answer at once.",
    ),
]
WaitFor = Annotated[
    list[str],
    Query(
        max_length=MOST_WAITED_FOR,
        description="A message key (repeat it for several). The wait ends when these messages are"
        " there and finished, even if others are pending; they may be in any conversation. Without"
        " it, the wait ends when nothing of this conversation is pending that arrived within the"
        f" last 30 seconds. Form: {KEY_FORM}.",
    ),
]
NewerThan = Annotated[
    str | None,
    Query(
        max_length=LONGEST_CURSOR,
        description="`as_of` of an earlier answer: wait until the conversation has a new or changed"
        " message since then. Combined with `wait_for`, the wait ends when both hold.",
    ),
]
QuietSeconds = Annotated[
    float,
    Query(
        ge=0,
        le=LONGEST_QUIET_SECONDS,
        description="Also wait until the customer has sent nothing for this many seconds, because"
        " people send several messages in a row. This time is a part of `wait_seconds`, not added"
        " to it.",
    ),
]
InOrder = Annotated[
    bool | None,
    Query(
        description="Also wait until every message of the tenant that was accepted before those of"
        " the answer is there, so that no older message can appear later. `in_order` of the"
        " answer says whether that was known within `wait_seconds`. Default: true with"
        " `wait_for`, otherwise false.",
    ),
]
After = Annotated[
    str | None,
    Query(
        max_length=LONGEST_CURSOR,
        description="`cursor` of an earlier answer: asks for what changed after it. Default:"
        " everything that is stored, from the beginning. `latest`: only what changes from now on.",
    ),
]
FeedWait = Annotated[
    float,
    Query(
        ge=0,
        le=LONGEST_WAIT_SECONDS,
        description="How many seconds to wait at most for the first change. 0: answer at once.",
    ),
]
PageLimit = Annotated[
    int, Query(ge=1, le=MOST_MESSAGES, description="Maximum number of entries in one answer.")
]


def refuse_unknown(request: Request) -> None:
    """Raises ConsoleProblem 422 for a query parameter that the route does not have."""
    known = sorted(_query_parameters(request.scope["route"].dependant))
    wrong = [one for one in dict.fromkeys(request.query_params) if one not in known]
    if wrong:
        raise ConsoleProblem(422, "; ".join(_unknown(one, known) for one in wrong[:10]))


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name[:100], known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known) or 'none'}"
    return f"{name[:100]}: unknown parameter; {hint}"


def _query_parameters(dependant: Dependant) -> set[str]:
    names: set[str] = {field.alias for field in dependant.query_params}
    for inner in dependant.dependencies:
        names |= _query_parameters(inner)
    return names


def checked_keys(tenant_id: TenantId, keys: list[str]) -> list[str]:
    """Checks that every key can belong to a message of this tenant.

    Raises ConsoleProblem 422, which names the first invalid key.
    """
    for key in keys:
        tenant, _, rest = key.partition(":")
        provider, _, identifier = rest.partition(":")
        if not PROVIDER_PATTERN.fullmatch(provider) or not is_provider_id(identifier):
            raise ConsoleProblem(422, f"wait_for: {key[:200]!r} is not a message key; {KEY_FORM}")
        if tenant != tenant_id:
            raise ConsoleProblem(
                422,
                f"wait_for: {key[:200]!r} belongs to another tenant than this API key, which"
                f" belongs to {tenant_id}; {KEY_FORM}",
            )
    return keys


def problem_of_cursor(name: str, source: str) -> ConsoleProblem:
    """Returns the answer to an invalid cursor."""
    return ConsoleProblem(
        422, f"{name}: not a cursor of this API for this tenant; give it {source}"
    )
