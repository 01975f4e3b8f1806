"""`sensorium erase message|conversation|contact`: deletes messages for a person who asks for it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import click
from confluent_kafka import KafkaException

from schemas.keys import MessageKey, TenantId, log_digest, split_message_key
from schemas.outcomes import Unavailable
from schemas.settings import Settings
from schemas.topics import HORIZON_MS
from storage.objects.store import ObjectStoreMisconfigured
from storage.postgres.erased import key_digest
from storage.postgres.sql import queries
from streams.commands.environment import command_settings, counts_fit, database, run_command
from streams.commands.known import require_tenant
from streams.commands.output import as_json_option, emit, note
from streams.commands.tenants_remove import expiries
from streams.commands.waiting import counted
from streams.repair.erasing import erase_chosen
from streams.repair.erasure import (
    Account,
    ErasureScope,
    choose_contact,
    choose_conversation,
    holdings_of,
)

Choose = Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[ErasureScope]]
_yes = click.option(
    "--yes", is_flag=True, help="Erase. Without it the command only shows what it would erase."
)


@dataclass(frozen=True, slots=True)
class _ErasureRequest:
    """The choice of messages to erase.

    `what` describes it to people; `logged` describes it in the audit log and names no
    person.
    """

    tenant: TenantId
    what: str
    logged: str
    choose: Choose


@click.group()
def erase() -> None:
    """Erases messages permanently.

    Deletes rows, files, recorded model answers, quarantined records, and the messages'
    versions on the topic. For a whole tenant use `sensorium tenants remove`.
    """


@erase.command()
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@_yes
@as_json_option
def message(keys: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Erases messages by their keys, as `trace` takes them.

    All must be of one tenant.
    """
    tenants = {_tenant_of(key) for key in keys}
    if len(tenants) > 1:
        raise click.UsageError(
            f"these are messages of several tenants: {', '.join(sorted(tenants))}"
        )
    unique = tuple(dict.fromkeys(keys))

    async def choose(_connection: "asyncpg.Connection[asyncpg.Record]") -> ErasureScope:
        return ErasureScope(keys=unique)

    what = unique[0] if len(unique) == 1 else f"{len(unique)} messages"
    logged = f"message {' '.join(map(log_digest, unique[:20]))}"
    _erase(_ErasureRequest(tenants.pop(), what, logged, choose), yes, as_json)


@erase.command()
@click.argument("tenant")
@click.argument("conversation_id")
@_yes
@as_json_option
def conversation(tenant: str, conversation_id: str, yes: bool, as_json: bool) -> None:
    """Erases every message of a conversation so far, including notes.

    Later messages are kept.
    """
    name = TenantId(tenant)
    _erase(
        _ErasureRequest(
            name,
            f"conversation {conversation_id}",
            f"conversation {log_digest(conversation_id)}",
            lambda connection: choose_conversation(connection, name, conversation_id),
        ),
        yes,
        as_json,
    )


@erase.command()
@click.argument("tenant")
@click.argument("contact")
@_yes
@as_json_option
def contact(tenant: str, contact: str, yes: bool, as_json: bool) -> None:
    """Erases every message with a customer so far.

    CONTACT is a phone number, or the id that `sender_id` shows. In conversations with
    other customers too, only this customer's messages are erased.
    """
    name = TenantId(tenant)
    _erase(
        _ErasureRequest(
            name,
            f"contact {contact}",
            f"contact {log_digest(contact)}",
            lambda connection: choose_contact(connection, name, contact),
        ),
        yes,
        as_json,
    )


def _tenant_of(key: str) -> TenantId:
    try:
        return split_message_key(MessageKey(key))[0]
    except ValueError:
        raise click.UsageError(
            f"{key!r} is not a message key: tenant:provider:provider_message_id"
        ) from None


def _erase(request: _ErasureRequest, yes: bool, as_json: bool) -> None:
    settings = command_settings()
    require_tenant(settings, request.tenant)
    choice, held, before = run_command(lambda: _look(settings, request))
    if not yes or not _anything(held, choice):
        document = _document(settings, request, choice, held, dry_run=not yes)
        if before is not None:
            document["erased_at"] = before.isoformat()
        emit(document, as_json, _plan_lines(request, document))
        return
    counts_fit(settings, or_away=True)
    done = run_command(lambda: _run(settings, request, choice))
    document = _document(settings, request, choice, done, dry_run=False)
    emit(document, as_json, _done_lines(request, document))


def _anything(held: Account, choice: ErasureScope) -> bool:
    """True if there is anything to erase.

    Keys count even without a row, because their messages may be on their way.
    """
    return bool(choice.keys) or held.messages > 0


async def _look(
    settings: Settings, request: _ErasureRequest
) -> tuple[ErasureScope, Account, datetime | None]:
    """Returns the chosen messages, and what is stored for them.

    For a single message, it also returns since when it has been erased, if it has.
    """
    async with database(settings) as connection:
        choice = await request.choose(connection)
        held = await holdings_of(connection, request.tenant, choice)
        before = None
        if len(choice.keys) == 1 and not held.messages:
            before = await connection.fetchval(
                queries("erased")["erased_since"], request.tenant, key_digest(choice.keys[0])
            )
        return choice, held, before


async def _run(settings: Settings, request: _ErasureRequest, choice: ErasureScope) -> Account:
    try:
        async with database(settings) as connection:
            return await erase_chosen(settings, connection, request.tenant, choice, request.logged)
    except (KafkaException, ObjectStoreMisconfigured, Unavailable) as error:
        raise click.ClickException(
            f"{request.what} is not completely erased yet ({error}): run sensorium "
            "doctor, then the same command again"
        ) from None


def _document(
    settings: Settings,
    request: _ErasureRequest,
    choice: ErasureScope,
    account: Account,
    *,
    dry_run: bool,
) -> dict[str, Any]:
    return {
        "tenant_id": request.tenant,
        "dry_run": dry_run,
        "erased": account.document(),
        "shared_conversations": list(choice.shared),
        "expires": expiries(settings),
    }


def _counts(account: dict[str, int]) -> str:
    rows = account["arrivals"] + account["steps"] + account["aliases"]
    return (
        f"{counted(account['messages'], 'message')} of "
        f"{counted(account['conversations'], 'conversation')}, "
        f"{counted(account['files'], 'file')} of "
        f"{counted(account['file_bytes'], 'byte')}, "
        f"{counted(account['model_answers'], 'recorded model answer')}, "
        f"{counted(account['quarantined'], 'quarantined record')}, "
        f"{counted(rows, 'other row')}"
    )


def _plan_lines(request: _ErasureRequest, document: dict[str, Any]) -> list[str]:
    held = document["erased"]
    if not any(held.values()):
        since = document.get("erased_at")
        state = (
            f"was erased on {since[:19]}"
            if since
            else f"nothing of it is stored for {request.tenant}"
        )
        lines = [f"{request.what}: {state}"]
        if document["dry_run"] and not since:
            note("a message that was accepted a moment ago may not be a row yet")
        return lines
    lines = [f"would be erased permanently: {_counts(held)}", *_remarks(document)]
    return [*lines, "nothing was changed; to erase, the same command with --yes"]


def _done_lines(request: _ErasureRequest, document: dict[str, Any]) -> list[str]:
    done = document["erased"]
    lines = [
        f"{request.what}: erased {_counts(done)}",
        f"{counted(done['tombstones'], 'tombstone')} on enriched-messages: readers forget the "
        "messages now, compaction removes their versions after "
        f"{HORIZON_MS // 86_400_000} days",
        *_remarks(document),
    ]
    lines += [
        f"expires by itself on {one['topic']}: within {one['days']:g} days"
        for one in document["expires"]
    ]
    lines.append(
        "they cannot come back: a list of digests keeps out redeliveries, late results and replays"
    )
    lines.append("kept: the audit log, and what was spent on models per day (no content)")
    return lines


def _remarks(document: dict[str, Any]) -> list[str]:
    account, lines = document["erased"], []
    if account["unfinished"]:
        lines.append(
            f"{account['unfinished']} of the messages are unfinished: results of their "
            "jobs are not stored, and a file that a job still stores is deleted by "
            "`sensorium sweep` after a day"
        )
    if account["shared_answers"]:
        lines.append(
            f"kept: {counted(account['shared_answers'], 'recorded model answer')}, because other "
            "messages have the same file"
        )
    if document["shared_conversations"]:
        lines.append(
            "in these conversations with other customers, only this customer's "
            "messages are erased: " + ", ".join(document["shared_conversations"][:10])
        )
    return lines
