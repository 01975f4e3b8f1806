"""`sensorium endpoints add|rotate|list`."""

import click

from schemas.settings import Settings
from schemas.tenants import Endpoint
from storage.postgres.sql import queries
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.commands.environment import (
    command_environment,
    command_settings,
    database,
    run_command,
)
from streams.commands.output import as_json_option, emit, note

PROVIDERS = ("ycloud", "chatwoot")
_SAME_SERVER = (
    "The tenant has a Chatwoot endpoint already, and this one is taken for another webhook of the same server. "
    "If it is for another server, add it with --instance NAME: its messages have the same numbers and would be lost as duplicates."
)


@click.group()
def endpoints() -> None:
    """Webhook endpoints and their secrets."""


def webhook_url(settings: Settings, provider: str, token: str) -> str:
    """Where the provider sends to, as seen from this machine."""
    base = (
        command_environment().get("SENSORIUM_RECEIVER__URL")
        or f"http://{settings.receiver.host}:{settings.receiver.port}"
    )
    return f"{base}/webhooks/{provider}/{token}"


@endpoints.command()
@click.argument("tenant")
@click.argument("provider", type=click.Choice(PROVIDERS))
@click.option("--secret", help="The secret the provider signs with; default: a new one.")
@click.option(
    "--unsigned", is_flag=True, help="The provider sends no signature: the token in the URL is all."
)
@click.option("--api-key", help="The provider's API key, for media that need it.")
@click.option(
    "--instance",
    help="A label for the server that sends here: each further Chatwoot server has one.",
)
@as_json_option
def add(
    tenant: str,
    provider: str,
    secret: str | None,
    unsigned: bool,
    api_key: str | None,
    instance: str | None,
    as_json: bool,
) -> None:
    """Adds an endpoint: each call a new one."""
    if secret and unsigned:
        raise click.UsageError("--secret and --unsigned exclude each other")
    if secret == "" or api_key == "":
        raise click.UsageError("an empty --secret or --api-key is none: leave the option out")
    settings = command_settings()

    async def work() -> tuple[Endpoint, bool]:
        async with database(settings) as connection:
            tenancy = Tenancy(connection, Vault(settings.secrets.key))
            is_first = await tenancy.endpoint_of(tenant, provider) is None
            endpoint = await tenancy.add_endpoint(
                tenant,
                provider,
                secret=secret,
                unsigned=unsigned,
                api_key=api_key,
                instance=instance,
            )
            return endpoint, is_first

    endpoint, is_first = run_command(work)
    if provider == "chatwoot" and instance is None and not is_first:
        note(_SAME_SERVER)
    url = webhook_url(settings, provider, endpoint.token)
    live = endpoint.secrets[0] if endpoint.secrets else None
    document = {
        "tenant_id": tenant,
        "provider": provider,
        "endpoint_id": endpoint.endpoint_id,
        "token": endpoint.token,
        "url": url,
        "secret": live,
    }
    emit(document, as_json, [f"url     {url}", f"secret  {live or '(unsigned)'}"])


@endpoints.command()
@click.argument("token")
@click.option("--drop", help="End this secret instead of adding one.")
@as_json_option
def rotate(token: str, drop: str | None, as_json: bool) -> None:
    """Adds a live secret; the old ones stay live until dropped."""
    settings = command_settings()

    async def work() -> tuple[Endpoint, str | None]:
        async with database(settings) as connection:
            return await Tenancy(connection, Vault(settings.secrets.key)).rotate(token, drop=drop)

    endpoint, new = run_command(work)
    emit(
        {"token": token, "secret": new or endpoint.secrets[0]},
        as_json,
        [f"secret  {new}" if new else "dropped"],
    )


@endpoints.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """All endpoints, without tokens and secrets."""
    settings = command_settings()

    async def work() -> list[dict[str, str]]:
        async with database(settings) as connection:
            return [
                {
                    "tenant_id": row["tenant_id"],
                    "endpoint_id": row["endpoint_id"],
                    "provider": row["provider"],
                }
                for row in await connection.fetch(queries("tenancy")["list_endpoints"])
            ]

    rows = run_command(work)
    emit(
        {"endpoints": rows},
        as_json,
        [f"{row['tenant_id']}  {row['provider']}  {row['endpoint_id']}" for row in rows],
    )
