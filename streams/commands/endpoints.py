"""`sensorium endpoints`: adds, changes, lists and removes webhook endpoints and their secrets."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from connectors.webhooks.urls import webhook_url
from schemas.providers import PROVIDERS, labelled_providers, traits_of
from schemas.tenants import Endpoint
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.commands.deliveries import deliveries
from streams.commands.environment import (
    command_settings,
    database,
    run_command,
)
from streams.commands.known import require_tenant
from streams.commands.output import as_json_option, emit, note

T = TypeVar("T")
_SAME_SERVER = (
    "The tenant already has a {title} endpoint, and this one counts as another webhook of the "
    "same server. If it is for another server, add it with --instance NAME: otherwise its "
    "messages, which have the same numbers, are dropped as duplicates."
)
_NOT_PUBLIC = (
    "A provider needs a public https address. Set SENSORIUM_RECEIVER__URL to the one "
    "that leads to the receiver; the URL then begins with it, and the "
    "token does not change."
)
UNTIL_KNOWN = "every role knows within two seconds"


@click.group()
def endpoints() -> None:
    """Manages webhook endpoints and their secrets."""


endpoints.add_command(deliveries)


def next_steps(endpoint: Endpoint, *, has_its_secret: bool) -> list[str]:
    """Returns the next steps for a person, at the provider and here.

    With `has_its_secret`, no secret has to be copied from the provider.
    """
    name, provider = endpoint.endpoint_id, traits_of(endpoint.provider)
    steps = [provider.webhook_page]
    if not has_its_secret:
        replaces = ", which replaces the one made here" if endpoint.secrets else ""
        steps.append(
            f"{provider.title} creates the secret itself: copy it from there, then:"
            f" sensorium endpoints secret {name} --set SECRET{replaces}"
        )
    if provider.files_need_key and endpoint.api_key is None:
        steps.append(
            f"give it {provider.title}'s API key, else files can be fetched for a few "
            f"minutes only: sensorium endpoints api-key {name} --set KEY"
        )
    return [
        *steps,
        f"see what arrives, and what is refused and why: sensorium endpoints deliveries {name}",
    ]


def _changed(change: Callable[[Tenancy], Awaitable[T]]) -> T:
    """Runs the change on a connection of its own and returns its result."""
    settings = command_settings()

    async def work() -> T:
        async with database(settings) as connection:
            return await change(Tenancy(connection, Vault(settings.secrets.key)))

    return run_command(work)


def _public(endpoint: Endpoint) -> dict[str, Any]:
    """Returns the endpoint and the ids of its live secrets, without the secrets themselves."""
    return {
        "tenant_id": endpoint.tenant_id,
        "endpoint_id": endpoint.endpoint_id,
        "provider": endpoint.provider,
        "secret_ids": endpoint.secret_ids(),
    }


@endpoints.command()
@click.argument("tenant")
@click.argument("provider", type=click.Choice(list(PROVIDERS)))
@click.option(
    "--secret",
    help="The secret the provider signs with. Without it one is made here and printed once.",
)
@click.option(
    "--secret-later",
    is_flag=True,
    help="The provider creates the secret after it has the URL: then run `endpoints secret ID "
    "--set SECRET`. Until then deliveries are answered 503.",
)
@click.option(
    "--unsigned",
    is_flag=True,
    help="The provider sends no signature: only the token in the URL authenticates it.",
)
@click.option("--api-key", help="The provider's API key, for files that need it.")
@click.option(
    "--instance",
    help=f"A label for the sending server. Each server of {labelled_providers()} after the first "
    "needs one.",
)
@as_json_option
def add(
    tenant: str,
    provider: str,
    secret: str | None,
    secret_later: bool,
    unsigned: bool,
    api_key: str | None,
    instance: str | None,
    as_json: bool,
) -> None:
    """Adds an endpoint. Each call adds another one."""
    _check_options(secret, secret_later, unsigned, api_key)

    async def change(tenancy: Tenancy) -> tuple[Endpoint, bool]:
        is_first = await tenancy.endpoint_of(tenant, provider) is None
        endpoint = await tenancy.add_endpoint(
            tenant,
            provider,
            secret=secret,
            unsigned=unsigned,
            api_key=api_key,
            secret_later=secret_later,
            instance=instance,
        )
        return endpoint, is_first

    endpoint, is_first = _changed(change)
    traits = traits_of(provider)
    if traits.numbers_per_server and instance is None and not is_first:
        note(_SAME_SERVER.format(title=traits.title))
    settings = command_settings()
    url = webhook_url(settings.receiver, provider, endpoint.token)
    live = endpoint.secrets[0] if endpoint.secrets else None
    document = {
        "tenant_id": tenant,
        "provider": provider,
        "endpoint_id": endpoint.endpoint_id,
        "token": endpoint.token,
        "url": url,
        "secret": live,
    }
    steps = next_steps(endpoint, has_its_secret=unsigned or secret is not None)
    lines = _lines(document, steps, unsigned=unsigned, is_made_here=secret is None)
    emit(document | {"next": steps}, as_json, lines)
    if not settings.receiver.url.startswith("https://"):
        note(_NOT_PUBLIC)


def _check_options(
    secret: str | None, secret_later: bool, unsigned: bool, api_key: str | None
) -> None:
    if (secret is not None) + unsigned + secret_later > 1:
        raise click.UsageError("--secret, --secret-later and --unsigned exclude each other")
    if secret == "" or api_key == "":
        raise click.UsageError(
            "--secret and --api-key must not be empty: leave the option out instead"
        )


_MADE_HERE = (
    "made here and shown only now: give it to a sender that lets you enter a secret, or that "
    "you write"
)


def _lines(
    document: dict[str, Any], steps: list[str], *, unsigned: bool, is_made_here: bool
) -> list[str]:
    secret = document["secret"] or "(none yet: the endpoint answers 503)"
    is_made_here = is_made_here and document["secret"] is not None
    return [
        f"url     {document['url']}",
        f"secret  {'(unsigned)' if unsigned else secret}",
        *([f"{'':8}{_MADE_HERE}"] if is_made_here else []),
        f"id      {document['endpoint_id']}",
        *(
            f"{'next' if index == 1 else '':8}{index}. {step}"
            for index, step in enumerate(steps, 1)
        ),
    ]


@endpoints.command()
@click.argument("which", metavar="TOKEN|ID")
@click.option("--drop", metavar="SECRET|SECRET_ID", help="Drop this secret instead of adding one.")
@as_json_option
def rotate(which: str, drop: str | None, as_json: bool) -> None:
    """Adds a live secret that is generated here.

    The old ones stay live until dropped.
    """
    endpoint, new = _changed(lambda tenancy: tenancy.rotate(which, drop=drop))
    document = {"token": endpoint.token, "secret": new or endpoint.secrets[0]}
    lines = [f"secret  {new}", f"{'':8}{_MADE_HERE}"] if new else ["dropped"]
    emit(document, as_json, lines)


@endpoints.command()
@click.argument("which", metavar="TOKEN|ID")
@click.option(
    "--set", "secret", help="The secret that the provider created; - reads it from standard input."
)
@click.option("--keep-old", is_flag=True, help="Deliveries signed with an older secret stay valid.")
@click.option("--drop", metavar="SECRET_ID", help="Drop this one of several secrets.")
@as_json_option
def secret(which: str, secret: str | None, keep_old: bool, drop: str | None, as_json: bool) -> None:
    """Sets the secret that the provider signs with, or drops one. The URL does not change.

    While a provider changes its secret, use --keep-old, and drop the old secret later
    by its id, which `endpoints list` shows. `endpoints deliveries` shows which secret
    deliveries are signed with.
    """
    if (secret is None) == (drop is None) or (keep_old and drop is not None):
        raise click.UsageError(
            "give --set SECRET (with or without --keep-old), or --drop SECRET_ID"
        )
    if drop is not None:
        if not drop.startswith("sec_"):
            raise click.UsageError(
                "--drop takes the id of a secret, sec_…: sensorium endpoints list"
            )
        endpoint, _ = _changed(lambda tenancy: tenancy.rotate(which, drop=drop))
    else:
        text = _argument(secret or "")
        endpoint = _changed(lambda tenancy: tenancy.set_secret(which, text, keep_old=keep_old))
        traits = traits_of(endpoint.provider)
        if not endpoint.secrets[0].startswith(traits.secret_prefix):
            note(
                f"{traits.title}'s secrets begin with {traits.secret_prefix}, and this "
                "one does not: is it the right one?"
            )
    live = ", ".join(endpoint.secret_ids())
    emit(
        _public(endpoint),
        as_json,
        [f"{endpoint.endpoint_id}: live secrets {live}; {UNTIL_KNOWN}"],
    )


def _argument(text: str) -> str:
    """Returns the argument, or for `-` the first line of standard input.

    That line appears in no shell history and no process list.
    """
    return click.get_text_stream("stdin").readline().strip() if text == "-" else text


@endpoints.command("api-key")
@click.argument("which", metavar="TOKEN|ID")
@click.option(
    "--set",
    "api_key",
    required=True,
    help="The provider's API key. Empty removes it; - reads it from standard input.",
)
@as_json_option
def api_key_(which: str, api_key: str, as_json: bool) -> None:
    """Sets the provider's API key, for files that need it."""
    text = _argument(api_key).strip() or None
    endpoint = _changed(lambda tenancy: tenancy.set_api_key(which, text))
    has = endpoint.api_key is not None
    emit(
        {**_public(endpoint), "has_api_key": has},
        as_json,
        [f"{endpoint.endpoint_id} has {'an' if has else 'no'} API key; {UNTIL_KNOWN}"],
    )


@endpoints.command("rotate-token")
@click.argument("which", metavar="TOKEN|ID")
@click.option(
    "--grace-seconds",
    type=click.FloatRange(0, 30 * 86_400),
    default=0.0,
    show_default=True,
    help="How long the old URL is still accepted. 0 refuses it at once: use that if it leaked.",
)
@as_json_option
def rotate_token(which: str, grace_seconds: float, as_json: bool) -> None:
    """Gives the endpoint a new URL.

    Its id and secrets do not change. The provider must be given the new URL.
    """
    endpoint, until = _changed(
        lambda tenancy: tenancy.rotate_token(which, grace_seconds=grace_seconds)
    )
    url = webhook_url(command_settings().receiver, endpoint.provider, endpoint.token)
    document = {
        **_public(endpoint),
        "token": endpoint.token,
        "url": url,
        "old_token_until": until,
    }
    ends = (
        f"is accepted until {until.isoformat(timespec='seconds')}"
        if until
        else "is refused (401) from now on"
    )
    emit(document, as_json, [f"url  {url}", f"the old URL {ends}: give the provider the new one"])


@endpoints.command()
@click.argument("which", metavar="TOKEN|ID")
@as_json_option
def remove(which: str, as_json: bool) -> None:
    """Removes an endpoint. What it has received stays."""
    removed = _changed(lambda tenancy: tenancy.remove_endpoint(which))
    emit(
        {**removed, "removed": True},
        as_json,
        [
            f"{removed['endpoint_id']} ({removed['provider']}) of "
            f"{removed['tenant_id']} is removed",
            "later deliveries to its URL are answered 401: remove the webhook at the "
            "provider too, or it may report or suspend it",
            "messages that were accepted are finished; files not yet fetched that need "
            "this endpoint's API key will fail",
        ],
    )


@endpoints.command("list")
@click.option("--tenant", help="Only this tenant.")
@as_json_option
def list_(tenant: str | None, as_json: bool) -> None:
    """Lists endpoints without their tokens and secrets.

    Shows the ids of secrets, by which they can be dropped, and the first characters of each token.
    """
    settings = command_settings()
    require_tenant(settings, tenant)
    rows = _changed(lambda tenancy: tenancy.endpoints(tenant))
    for row in rows:
        begins = row.pop("token_begins")
        row["url"] = webhook_url(settings.receiver, row["provider"], f"{begins or ''}…")
    emit({"endpoints": rows}, as_json, [_line(row) for row in rows])


def _line(row: dict[str, Any]) -> str:
    if not row["readable"]:
        signed = "CANNOT BE OPENED: sensorium doctor"
    elif row["unsigned"]:
        signed = "unsigned"
    else:
        signed = ", ".join(row["secret_ids"]) or "no secret yet: answers 503"
    until = row["former_token_until"]
    grace = f"  old URL until {until.isoformat(timespec='seconds')}" if until else ""
    return (
        f"{row['tenant_id']}  {row['provider']}  {row['endpoint_id']}  "
        f"{signed}{grace}  {row['url']}  {_last(row)}"
    )


def _last(row: dict[str, Any]) -> str:
    """Returns the time of the last accepted delivery, and the reason if one was refused since."""
    accepted, refused = row["accepted_at"], row["refused_at"]
    text = f"accepted {accepted:%Y-%m-%d %H:%M:%S}Z" if accepted else "nothing accepted yet"
    if refused and (accepted is None or refused > accepted):
        text += f", refused {refused:%Y-%m-%d %H:%M:%S}Z: {row['refused_reason']}"
    return text
