"""`sensorium tenants remove`: ends a tenant's credentials, and deletes or keeps its data."""

from typing import Any

import click
from confluent_kafka import KafkaException

from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.settings import Settings
from schemas.topics import DAY_MS, HORIZON_MS, TOPICS, retention_ms
from storage.kafka.counts import WrongCounts
from storage.objects.store import ObjectStoreMisconfigured
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.commands.environment import command_settings, database, run_command
from streams.commands.output import as_json_option, emit, note
from streams.commands.waiting import counted
from streams.repair.removal import Deleted
from streams.repair.removing import delete_removed


@click.command()
@click.argument("name")
@click.option("--keep-data", is_flag=True, help="Only end the credentials; keep rows and files.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json_option
def remove(name: str, keep_data: bool, yes: bool, as_json: bool) -> None:
    """Removes a tenant.

    Its keys and webhooks end at once, and its data is deleted unless --keep-data.

    If it fails, call it again: it then deletes what was left, for instance because a
    server was unavailable.
    """
    settings = command_settings()
    holds = run_command(lambda: _holds(settings, name))
    note(f"{name} has {holdings_text(holds)}")
    note("its keys and webhooks end at once: they are answered 401 within two seconds")
    note(
        "its rows and files are kept, but cannot be read over HTTP any more"
        if keep_data
        else "its rows, files, recorded model answers and quarantined records are DELETED and "
        "cannot be restored"
    )
    if not yes:
        _confirm(name)
    ended, deleted = run_command(lambda: _remove(settings, name, keep_data))
    document = {
        "tenant_id": name,
        "ended": ended,
        "data_kept": deleted is None,
        "deleted": None if deleted is None else deleted.document(),
        "expires": [] if keep_data else expiries(settings),
    }
    emit(document, as_json, _lines(name, document))


def holdings_text(holds: dict[str, int]) -> str:
    """Describes how much is stored for a tenant."""
    rows = sum(holds[table] for table in ("arrivals", "steps", "aliases"))
    return (
        f"{counted(holds['keys'], 'key')}, {counted(holds['endpoints'], 'endpoint')}, "
        f"{counted(holds['messages'], 'message')} ({holds['pending']} unfinished), "
        f"{counted(holds['files'], 'file')} of {counted(holds['file_bytes'], 'byte')}, "
        f"{counted(holds['model_answers'], 'recorded model answer')}, "
        f"{counted(holds['quarantined'], 'quarantined record')}, {counted(rows, 'other row')}"
    )


def expiries(settings: Settings) -> list[dict[str, Any]]:
    """Returns the topics that still have records of a removed tenant, and for how many days."""
    timed = [
        {"topic": topic.name, "days": retention_ms(topic, settings.kafka) / DAY_MS}
        for topic in TOPICS.values()
        if topic.cleanup == "delete"
    ]
    compacted = [
        {"topic": topic.name, "days": HORIZON_MS / DAY_MS}
        for topic in TOPICS.values()
        if topic.cleanup == "compact"
    ]
    return timed + compacted


async def _holds(settings: Settings, name: str) -> dict[str, int]:
    async with database(settings) as connection:
        tenancy = Tenancy(connection, Vault(settings.secrets.key))
        await tenancy.tenant(name)
        return await tenancy.holdings(name)


async def _remove(
    settings: Settings, name: str, keep_data: bool
) -> tuple[dict[str, int], Deleted | None]:
    try:
        async with database(settings) as connection:
            tenancy = Tenancy(connection, Vault(settings.secrets.key))
            ended = await tenancy.remove_tenant(name, keep_data=keep_data)
            if keep_data:
                return ended, None
            return ended, await delete_removed(settings, connection, TenantId(name))
    except (KafkaException, ObjectStoreMisconfigured, Unavailable, WrongCounts) as error:
        raise click.ClickException(
            f"the credentials of {name} have ended, but its data is not completely "
            f"deleted yet ({error}): run sensorium doctor, then sensorium tenants "
            f"remove {name} again"
        ) from None


def _confirm(name: str) -> None:
    note(f"Type {name} to remove it:")
    if click.get_text_stream("stdin").readline().strip() != name:
        raise click.ClickException(
            f"{name} was not confirmed and nothing was changed (--yes for scripts)"
        )


def _lines(name: str, document: dict[str, Any]) -> list[str]:
    ended, deleted = document["ended"], document["deleted"]
    keys, endpoints = counted(ended["keys"], "key"), counted(ended["endpoints"], "endpoint")
    lines = [f"{name}: ended {keys} and {endpoints}"]
    if deleted is None:
        return [
            *lines,
            "its rows and files are kept: sensorium tenants remove without "
            "--keep-data deletes them",
        ]
    lines += [
        f"deleted: {counted(deleted['messages'], 'message')}, "
        f"{counted(deleted['rows'], 'other row')}, "
        f"{counted(deleted['files'], 'file')} of {counted(deleted['file_bytes'], 'byte')}",
        f"{counted(deleted['tombstones'], 'tombstone')} on enriched-messages: its compaction "
        f"removes them after {HORIZON_MS // DAY_MS} days",
    ]
    lines += [
        f"expires by itself on {one['topic']}: within {one['days']:g} days"
        for one in document["expires"]
    ]
    lines.append("kept: the audit log, and what was spent on models per day (no content)")
    return lines
