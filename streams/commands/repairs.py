"""`sensorium repairs list | cancel`: plans and repairs.

They include those that were begun in the console.
"""

from typing import Any

import click
import msgspec

from schemas.keys import TenantId
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.pool import create_pool
from storage.postgres.repair_plans import RepairChoice, RepairError
from storage.postgres.repairs import Repairs
from storage.postgres.sql import queries
from streams.commands.environment import actor, command_settings, database, run_command
from streams.commands.known import require_tenant
from streams.commands.output import as_json_option, emit, note

_SHOWN = (
    "tenant_id", "repair_id", "kind", "reason", "state", "person", "messages", "looked", "redone",
    "set_aside", "rate", "trouble",
)  # fmt: skip


@click.group()
def repairs() -> None:
    """Lists and cancels repairs of failed files, quarantined records and raw records."""


@repairs.command("list")
@click.option("--tenant", help="Only repairs of this tenant, and repairs of all tenants.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True)
@as_json_option
def list_(tenant: str | None, limit: int, as_json: bool) -> None:
    """Lists the latest plans and repairs, and their progress."""
    settings = command_settings()
    require_tenant(settings, tenant)

    async def work() -> list[Any]:
        async with database(settings) as connection:
            return list(await connection.fetch(queries("repairs")["some_repairs"], tenant, limit))

    shown = [_shown(row) for row in run_command(work)]
    lines = [
        f"{one['created_at'][:19]}  {one['repair_id']}  {one['tenant_id']:16} {one['kind']:11}"
        f" {one['chosen']:24} {one['state']:9} {one['looked']} of {one['messages']}"
        f"{', ' + str(one['set_aside']) + ' set aside' if one['set_aside'] else ''}"
        f"{', waits for ' + one['trouble'] if one['trouble'] else ''}  {one['person']}"
        for one in shown
    ]
    emit({"repairs": shown}, as_json, lines)
    if not shown:
        note("nothing was planned yet: sensorium replay --help, sensorium quarantine replay --help")


def _shown(row: Any) -> dict[str, Any]:
    choice = msgspec.json.decode(row["choice"], type=RepairChoice)
    place = "" if choice.place is None else "{}[{}]@{}".format(*choice.place[:3])
    chosen = " ".join(filter(None, (choice.stage, row["reason"], place, *choice.spans)))
    return {name: row[name] for name in _SHOWN} | {
        "state": "over" if row["is_over"] else row["state"],
        "chosen": chosen or "all",
        "created_at": row["created_at"].isoformat(),
    }


@repairs.command()
@click.argument("repair_id")
@as_json_option
def cancel(repair_id: str, as_json: bool) -> None:
    """Cancels a plan, or the rest of a repair.

    What was replayed already is not undone.
    """
    settings = command_settings()
    state = run_command(lambda: _cancelled(settings, repair_id))
    emit({"repair_id": repair_id, "state": state}, as_json, [f"{repair_id} is cancelled"])


async def _cancelled(settings: Settings, repair_id: str) -> str:
    pool: Any = await create_pool(settings.postgres, Names(settings.namespace), "command", size=1)
    try:
        repair = await pool.fetchrow(queries("repairs")["repair_named"], repair_id)
        if repair is None:
            raise click.ClickException(f"there is no repair {repair_id!r}: sensorium repairs list")
        await Repairs(pool).cancel(TenantId(repair["tenant_id"]), repair_id, actor())
    except RepairError:
        raise click.ClickException(f"{repair_id} has ended: it is {repair['state']}") from None
    finally:
        pool.terminate()
    return "cancelled"
