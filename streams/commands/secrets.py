"""`sensorium secrets reseal`: seals stored secrets with the current key."""

from typing import Any

import click

from storage.postgres.resealing import Resealed, reseal
from storage.postgres.vault import Vault
from streams.commands.environment import command_settings, database, run_command
from streams.commands.output import Failure, as_json_option, emit


@click.group()
def secrets() -> None:
    """Manages the stored secrets."""


@secrets.command("reseal")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@as_json_option
def reseal_(dry_run: bool, as_json: bool) -> None:
    """Seals every stored secret with the first key of SENSORIUM_SECRETS__KEY.

    The other keys can then be removed. Exit code 1 if a secret cannot be opened with
    any of the keys.
    """
    settings = command_settings()

    async def work() -> Resealed:
        async with database(settings) as connection:
            return await reseal(connection, Vault(settings.secrets.key), dry=dry_run)

    done = run_command(work)
    document: dict[str, Any] = {
        "resealed": done.resealed,
        "current": done.current,
        "unreadable": [
            {"table": table, "tenant_id": tenant, "id": name}
            for table, tenant, name in done.unreadable
        ],
        "dry_run": dry_run,
    }
    if done.unreadable:
        names = ", ".join(f"{table} {name}" for table, _, name in done.unreadable[:10])
        raise Failure(
            f"{done.resealed} resealed, {len(done.unreadable)} cannot be opened with "
            f"any key of SENSORIUM_SECRETS__KEY and stay as they are ({names}): add "
            "the key they were sealed with after the others, and repeat",
            document,
        )
    verb = "would be resealed" if dry_run else "resealed"
    emit(
        document,
        as_json,
        [
            f"{done.resealed} {verb}, {done.current} were under the first key already",
            "the keys after the first one in SENSORIUM_SECRETS__KEY may be removed"
            if not dry_run
            else "nothing was changed",
        ],
    )
