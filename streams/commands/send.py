"""`sensorium send`: signed sample traffic of one's own."""

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import click

from schemas.settings import Settings
from schemas.tenants import Endpoint
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from streams.commands.environment import (
    command_settings,
    database,
    home_folder,
    run_command,
)
from streams.commands.output import as_json_option, emit, note
from streams.local.home import home_at
from streams.local.ports import known_port
from streams.local.samples import File, Sample, chatwoot, deliver, link, mime_of, serving, ycloud

_MAKERS: dict[str, Callable[..., Sample]] = {"ycloud": ycloud, "chatwoot": chatwoot}
_file = click.Path(exists=True, dir_okay=False, path_type=Path)
KNOWN_WITHIN_SECONDS = 3.0
"""A new endpoint is known to every role within 2 s."""


@click.command()
@click.argument("provider", type=click.Choice(list(_MAKERS)))
@click.option("--tenant", required=True)
@click.option("--text", help="The text, or the caption of an image.")
@click.option("--image", type=_file)
@click.option("--audio", type=_file)
@click.option(
    "--times",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Deliver the same message so often.",
)
@click.option(
    "--serve-seconds",
    type=float,
    default=30.0,
    show_default=True,
    help="Serve the file at most so long, for the download.",
)
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=home_folder,
    show_default="SENSORIUM_HOME, else var",
)
@as_json_option
@click.pass_context
def send(
    context: click.Context,
    provider: str,
    tenant: str,
    text: str | None,
    image: Path | None,
    audio: Path | None,
    times: int,
    serve_seconds: float,
    home: Path,
    as_json: bool,
) -> None:
    """Sends a message as PROVIDER would: signed, its file behind a link."""
    if image and audio:
        raise click.UsageError("a message has either --image or --audio")
    if not (text or image or audio):
        raise click.UsageError("say what to send: --text, --image or --audio")
    path = image or audio
    if path is None:
        key, statuses = _deliver(_MAKERS[provider](text, None, what="text"), tenant, times)
    else:
        key, statuses = _with_file(
            provider,
            tenant,
            text,
            "image" if image else "audio",
            path,
            times,
            serve_seconds,
            _media_port(home),
        )
    emit({"message_key": key, "statuses": statuses}, as_json, [key])
    if any(status != 200 for status in statuses):
        note(f"the receiver answered {statuses}: sensorium doctor")
        context.exit(1)


def _media_port(home: Path) -> int:
    try:
        return known_port(home_at(home), "demo_media")
    except (KeyError, FileNotFoundError):
        raise click.ClickException(
            "files are served from the port that `sensorium up` chose: run it first, or say --home"
        ) from None


def _with_file(
    provider: str,
    tenant: str,
    text: str | None,
    kind: str,
    path: Path,
    times: int,
    serve_seconds: float,
    port: int,
) -> tuple[str, list[int]]:
    name = f"{uuid.uuid4().hex}{path.suffix.lower()}"
    fetched = threading.Event()
    try:
        with serving({name: path}, port, fetched) as address:
            file = File(kind, link(address, name), mime_of(path))  # type: ignore[arg-type]
            sample = _MAKERS[provider](text, file, what="file")
            key, statuses = _deliver(sample, tenant, times)
            if 200 in statuses and not fetched.wait(serve_seconds):
                note(f"nobody fetched the file within {serve_seconds:g} s: sensorium trace '{key}'")
    except OSError as error:
        raise click.ClickException(
            f"the file cannot be served from port {port} ({error}): is a demo or another send running?"
        ) from None
    return key, statuses


def _deliver(sample: Sample, tenant: str, times: int) -> tuple[str, list[int]]:
    """The message's key and the receiver's answers."""
    receiver = command_settings().receiver.url.rstrip("/")
    if not receiver:
        raise click.ClickException(
            "SENSORIUM_RECEIVER__URL says where the receiver is; `sensorium up` writes it into var/sensorium.env"
        )
    endpoint = run_command(lambda: _endpoint(command_settings(), tenant, sample.provider))
    url = f"{receiver}/webhooks/{sample.provider}/{endpoint.token}"
    secret = endpoint.secrets[0] if endpoint.secrets else None
    key = sample.key(tenant, endpoint.instance)
    try:
        statuses = [deliver(sample, url, secret)]
        until = time.monotonic() + KNOWN_WITHIN_SECONDS
        while statuses == [401] and time.monotonic() < until:
            time.sleep(0.1)
            statuses = [deliver(sample, url, secret)]
        return key, statuses + [deliver(sample, url, secret) for _ in range(times - 1)]
    except OSError as error:
        raise click.ClickException(
            f"the receiver at {receiver} does not answer ({error}): sensorium status"
        ) from None


async def _endpoint(settings: Settings, tenant: str, provider: str) -> Endpoint:
    """The tenant's newest, or its first one."""
    async with database(settings) as connection:
        tenancy = Tenancy(connection, Vault(settings.secrets.key))
        known = await tenancy.endpoint_of(tenant, provider)
        return known or await tenancy.add_endpoint(
            tenant, provider, secret=None, unsigned=False, api_key=None
        )
