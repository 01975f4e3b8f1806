"""`sensorium endpoints deliveries`: shows the results of providers' deliveries, and the reasons."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import click
import msgspec

from connectors.webhooks.deliveries import OTHER_STRANGERS, stranger_name
from schemas.reasons import DeliveryReason
from schemas.settings import Settings
from storage.postgres.sql import queries
from storage.postgres.tenant_index import digest
from streams.commands.environment import command_settings, database, moment, run_command
from streams.commands.known import require_tenant
from streams.commands.output import as_json_option, emit, note

_WHAT_TO_DO: Mapping[DeliveryReason, str] = {
    "unknown_token": "if the delivery was meant for one of your endpoints, its URL was cut or "
    "pasted wrongly: sensorium endpoints rotate-token ID prints a new one",
    "endpoint_removed": "remove the webhook at the provider, or add an endpoint and paste its URL "
    "there",
    "url_replaced": "the provider still has the old URL: paste the one that rotate-token printed",
    "wrong_provider": "the URL at the provider names another provider than the endpoint's: paste "
    "the whole URL",
    "not_post": "nothing, if a person opened the URL in a browser; providers send POST",
    "secret_awaited": "copy the secret from the provider: "
    "sensorium endpoints secret {id} --set SECRET",
    "signature_missing": "the provider's signature is missing. An old Chatwoot does not sign: add "
    "the endpoint with --unsigned. A proxy may drop the header",
    "signature_malformed": "the signature does not have this provider's form: is the URL pasted at "
    "the right provider?",
    "signature_mismatch": "copy the secret of this webhook from the provider: "
    "sensorium endpoints secret {id} --set SECRET (--keep-old). "
    "If it is right, something in between changes the body",
    "signature_expired": "correct the clocks here and at the sender. For YCloud see "
    "SENSORIUM_RECEIVER__SIGNATURE_AGE_SECONDS",
    "signature_from_the_future": "correct the clocks here and at the sender",
    "rate_exceeded": "raise the tenant's limit: sensorium tenants set TENANT rate=N",
    "body_too_large": "raise SENSORIUM_RECEIVER__MAX_BODY_BYTES if the provider really sends "
    "bodies of this size",
    "body_encoded": "a proxy compresses the requests it forwards: switch that off",
    "body_too_slow": "check the network or proxy between the provider and the receiver",
    "client_left": "the sender closed the connection early: check the time limits of a proxy",
    "no_room": "start another receiver, or raise SENSORIUM_RECEIVER__MAX_PENDING_BYTES",
    "endpoint_unreadable": "SENSORIUM_SECRETS__KEY is not the one that sealed this endpoint: "
    "sensorium doctor",
    "not_stored": "Kafka did not acknowledge in time: sensorium doctor",
    "program_error": "look for an error in the receiver's log",
}


class _Sought(NamedTuple):
    """The value by which rows are looked up, and the endpoint if it exists or existed."""

    name: str | None = None
    endpoint: dict[str, Any] | None = None


@click.command("deliveries")
@click.argument("which", metavar="[TOKEN|ID]", required=False)
@click.option("--tenant", help="Only this tenant's.")
@click.option("--since", help="Only rows with a delivery after this time, as 2026-01-31T12:00:00Z.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="The most rows to show.",
)
@as_json_option
def deliveries(
    which: str | None, tenant: str | None, since: str | None, limit: int, as_json: bool
) -> None:
    """Shows what became of deliveries: accepted, or refused and why.

    Shows one endpoint (by its id, or by the token of its URL), one tenant, or all.
    Without an endpoint and a tenant, deliveries to unknown tokens are shown too. A row
    counts the last 30 days; no content of a delivery is stored. The receiver writes new
    rows every second, and repetitions every ten seconds.
    """
    settings, after = command_settings(), moment(since)
    require_tenant(settings, tenant)

    async def work() -> tuple[_Sought, list[dict[str, Any]]]:
        async with database(settings) as connection:
            sought = await _sought(connection, which)
            records = await connection.fetch(
                queries("deliveries")["deliveries"], tenant, sought.name, after, limit
            )
            return sought, [_document(row) for row in records]

    sought, rows = run_command(work)
    document: dict[str, Any] = {"deliveries": rows}
    if sought.endpoint is not None:
        document["endpoint"] = sought.endpoint
    emit(document, as_json, [line for row in rows for line in _lines(row)])
    if not rows:
        note(_nothing(settings, sought, after))
    elif sought.endpoint is None and which is not None:
        note("no endpoint has or had this token: the URL was pasted wrongly, or cut")


async def _sought(connection: "asyncpg.Connection[asyncpg.Record]", which: str | None) -> _Sought:
    """Looks up an endpoint by its id or the digest of its token.

    Ends the command if no endpoint has the id.
    """
    if which is None:
        return _Sought()
    statements = queries("deliveries")
    of_token = await connection.fetchval(statements["endpoint_of_token"], digest(which))
    name = of_token or which
    row = await connection.fetchrow(statements["endpoint"], name)
    if row is not None:
        return _Sought(name, {**row})
    if which.startswith("ep_"):
        raise click.ClickException(f"no endpoint has the id {which}: sensorium endpoints list")
    return _Sought(which if which.startswith("token_") else stranger_name(which))


def _document(row: "asyncpg.Record") -> dict[str, Any]:
    reason: DeliveryReason = row["reason"]
    advice = _WHAT_TO_DO.get(reason, "").replace("{id}", row["endpoint_id"])
    return {
        "tenant_id": row["tenant_id"] or None,
        "endpoint_id": row["endpoint_id"],
        "reason": reason,
        "deliveries": row["deliveries"],
        "first_at": row["first_at"],
        "last_at": row["last_at"],
        "last_status": row["last_status"],
        "signed_with": row["secret_id"] or None,
        "last": msgspec.json.decode(row["last_facts"]),
        "what_to_do": advice or None,
    }


def _lines(row: dict[str, Any]) -> list[str]:
    whose = row["tenant_id"] or (
        "(further unknown tokens)" if row["endpoint_id"] == OTHER_STRANGERS else "(unknown token)"
    )
    times = "time" if row["deliveries"] == 1 else "times"
    first = (
        f"{row['last_at']:%Y-%m-%d %H:%M:%S}Z  {whose}  {row['endpoint_id']}  "
        f"{row['reason']}  {row['deliveries']} {times} since "
        f"{row['first_at']:%Y-%m-%d %H:%M:%S}Z, last answered {row['last_status']}"
    )
    last = row["last"]
    shown = [
        f"signed with {row['signed_with'] or last.get('signed_with')}"
        if row["signed_with"] or last.get("signed_with")
        else "",
        f"tried {', '.join(last['secrets_tried'])}" if last.get("secrets_tried") else "",
        f"signature {last['signature_age_seconds']} s old"
        if "signature_age_seconds" in last
        else "",
        f"{last['body_bytes']} bytes" if "body_bytes" in last else "",
        f"to /webhooks/{last['path_provider']}/"
        if row["reason"] in ("wrong_provider", "unknown_token")
        else "",
        f"from {last['user_agent']}" if last.get("user_agent") else "",
        f"sensorium trace {last['message']} --tenant {row['tenant_id']}"
        if "message" in last
        else "",
    ]
    facts = "; ".join(filter(None, shown))
    lines = [first, f"    last: {facts}"] if facts else [first]
    return [*lines, f"    → {row['what_to_do']}"] if row["what_to_do"] else lines


def _nothing(settings: Settings, sought: _Sought, after: datetime | None) -> str:
    base = settings.receiver.url or f"http://{settings.receiver.host}:{settings.receiver.port}"
    when = f" after {after:%Y-%m-%d %H:%M:%S}Z" if after is not None else ""
    if sought.endpoint is None:
        return f"nothing was delivered{when}: does {base} lead to the receiver?"
    text = (
        f"nothing was delivered to {sought.endpoint['endpoint_id']}{when}: is its URL "
        f"pasted at the provider, and does {base} lead to the receiver? Without an id, "
        "this command shows deliveries to unknown tokens too"
    )
    return "this endpoint was removed; " + text if sought.endpoint["ended"] else text
