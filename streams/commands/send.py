"""`sensorium send`: signed sample traffic of one's own, and what becomes of it."""

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import click

from streams.commands.environment import command_environment, command_settings
from streams.commands.output import as_json_option, emit, note
from streams.local.home import home_at
from streams.local.lifecycle import demo_tenant, sensorium
from streams.local.ports import known_port
from streams.local.processes import LocalError
from streams.local.samples import File, Sample, chatwoot, deliver, link, mime_of, serving, ycloud

_MAKERS: dict[str, Callable[..., Sample]] = {"ycloud": ycloud, "chatwoot": chatwoot}
_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("provider", type=click.Choice(list(_MAKERS)))
@click.option("--tenant", required=True)
@click.option("--text", help="The text, or the caption of an image.")
@click.option("--image", type=_file)
@click.option("--audio", type=_file)
@click.option("--times", type=click.IntRange(1), default=1, show_default=True, help="Deliver the same message so often.")
@click.option("--serve-seconds", type=float, default=30.0, show_default=True, help="Serve the file for so long, for the download.")
@click.option("--home", type=click.Path(path_type=Path, file_okay=False), default=Path("var"), show_default=True)
@as_json_option
def send(
    provider: str, tenant: str, text: str | None, image: Path | None, audio: Path | None, times: int, serve_seconds: float, home: Path, as_json: bool
) -> None:
    """Sends a message as PROVIDER would: signed, its file behind a link."""
    if image and audio:
        raise click.UsageError("a message has either --image or --audio")
    if not (text or image or audio):
        raise click.UsageError("say what to send: --text, --image or --audio")
    path = image or audio
    if path is None:
        statuses, sample = _deliver(_MAKERS[provider](text, None, what="text"), tenant, times, home)
    else:
        try:
            port = known_port(home_at(home), "demo_media")
        except (KeyError, FileNotFoundError):
            raise click.ClickException("files are served from the port that `sensorium up` chose: run it first") from None
        name = f"{uuid.uuid4().hex}{path.suffix.lower()}"
        with serving({name: path}, port) as address:
            made = _MAKERS[provider](text, File("image" if image else "audio", link(address, name), mime_of(path)), what="file")
            statuses, sample = _deliver(made, tenant, times, home)
            note(f"serving the file for {serve_seconds:g} s; interrupt when it was fetched")
            time.sleep(serve_seconds)
    key = sample.key(tenant)
    emit({"message_key": key, "statuses": statuses}, as_json, [key])
    if any(status != 200 for status in statuses):
        raise click.ClickException(f"the receiver answered {statuses}")


def _deliver(sample: Sample, tenant: str, times: int, home: Path) -> tuple[list[int], Sample]:
    receiver = command_environment().get("SENSORIUM_RECEIVER__URL")
    if receiver is None:
        raise click.ClickException("SENSORIUM_RECEIVER__URL says where the receiver is; `sensorium up` writes it into var/sensorium.env")
    token, secret = _endpoint(sample.provider, tenant, home)
    url = f"{receiver}/webhooks/{sample.provider}/{token}"
    try:
        statuses = [deliver(sample, url, secret)]
        # a new endpoint is known to every role within 2 s
        until = time.monotonic() + 3
        while statuses == [401] and time.monotonic() < until:
            time.sleep(0.1)
            statuses = [deliver(sample, url, secret)]
        return statuses + [deliver(sample, url, secret) for _ in range(times - 1)], sample
    except OSError as error:
        raise click.ClickException(f"the receiver at {receiver} does not answer ({error}): sensorium status") from None


def _endpoint(provider: str, tenant: str, home: Path) -> tuple[str, str]:
    """The demo tenant's endpoint, or a new one: tokens of others are nowhere to be read."""
    settings = command_settings()
    try:
        if tenant == "demo":
            known = demo_tenant(home_at(home), settings)["endpoints"][provider]
        else:
            known = json.loads(sensorium(settings, "endpoints", "add", tenant, provider, "--json"))
    except LocalError as error:
        raise click.ClickException(str(error)) from None
    return known["token"], known["secret"]
