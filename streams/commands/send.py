"""`sensorium send`: sends one signed message as a provider would."""

import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import click

from connectors.console.pages.refs import page_refs
from connectors.media.sniff import sniff
from connectors.providers import catalogue
from schemas.keys import TenantId, is_conversation_id
from schemas.providers import PROVIDERS, traits_of
from schemas.settings import Settings
from schemas.tenants import Endpoint
from storage.postgres.directory import key_id
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from storage.waiting import Deadline
from streams.commands.environment import (
    command_environment,
    command_settings,
    database,
    home_folder,
    run_command,
)
from streams.commands.output import as_json_option, emit, note
from streams.local.home import home_at
from streams.local.ports import known_port
from streams.local.samples import (
    BAD_FILES,
    Sample,
    SampleFile,
    SampleMessage,
    Served,
    chat_sample,
    deliver,
    link,
    mime_of,
    serving,
)

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
KNOWN_WITHIN_SECONDS = 3.0
"""Longer than the 2 s in which every role learns of a new endpoint or key."""
KEY_NAME = "sensorium send"


@dataclass(frozen=True, slots=True)
class _SendOptions:
    """The command line of `send`."""

    provider: str
    tenant: str
    text: str | None
    image: Path | None
    audio: Path | None
    customer: str | None
    conversation: str | None
    outbound: bool
    slow: float
    bad: str | None
    anyway: bool
    times: int
    serve_seconds: float
    home: Path

    @property
    def file(self) -> Path | None:
        return self.image or self.audio

    @property
    def kind(self) -> Literal["image", "audio"]:
        return "audio" if self.audio else "image"

    def check(self) -> None:
        """Raises UsageError if the options do not make a message."""
        if self.image and self.audio:
            raise click.UsageError("a message has either --image or --audio")
        if not (self.text or self.file):
            raise click.UsageError("nothing to send: give --text, --image or --audio")
        if (self.slow or self.bad) and not self.file:
            raise click.UsageError("--slow and --bad need a file: add --image or --audio")
        if self.conversation and not is_conversation_id(self.conversation):
            raise click.UsageError(
                f"{self.conversation!r} is not a conversation id: use letters, digits and . _ ~ -"
            )
        traits = traits_of(self.provider)
        if traits.conversation_is_customer and self.customer and self.conversation:
            raise click.UsageError(
                f"{traits.title} has one conversation per customer: give either --from "
                "or --conversation"
            )
        if self.file and not self.anyway and (other := _not_of(self.kind, self.file)):
            raise click.UsageError(
                f"{self.file} is {other}, and --{self.kind} needs another kind of file;"
                " --anyway sends it nevertheless"
            )

    def sample(self, file: SampleFile | None) -> Sample:
        message = SampleMessage(
            self.text, file, "sent", self.conversation, self.customer, self.outbound
        )
        if self.provider == "chat":
            return chat_sample(message)
        sample = catalogue.PROVIDERS[self.provider].sample(message)
        if sample is None:
            raise click.UsageError(f"there is no sample traffic of {self.provider}")
        return sample


@click.command()
@click.argument("provider", type=click.Choice([*PROVIDERS, "chat"]))
@click.option("--tenant", required=True)
@click.option("--text", help="The text, or the caption of an image.")
@click.option("--image", type=_file)
@click.option("--audio", type=_file)
@click.option(
    "--from",
    "customer",
    help="The customer: a phone number (ycloud), a contact's number (chatwoot), any id (chat).",
)
@click.option(
    "--conversation",
    help="The conversation: BUSINESS~CUSTOMER for YCloud, its number for Chatwoot.",
)
@click.option("--outbound", is_flag=True, help="A message of the business instead of the customer.")
@click.option(
    "--slow",
    type=click.FloatRange(0, 600),
    default=0.0,
    metavar="SECONDS",
    help="The file's server answers only after this time: the message stays pending.",
)
@click.option(
    "--bad",
    type=click.Choice(list(BAD_FILES)),
    help="The file's server sends this instead of the file.",
)
@click.option("--anyway", is_flag=True, help="Send the file even if it is not an image or audio.")
@click.option(
    "--times",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How often to deliver the same message.",
)
@click.option(
    "--serve-seconds",
    type=float,
    default=30.0,
    show_default=True,
    help="How long to serve the file for its download.",
)
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=home_folder,
    show_default="SENSORIUM_HOME, else var",
)
@as_json_option
@click.pass_context
def send(context: click.Context, /, as_json: bool, **options: Any) -> None:
    """Sends a message as PROVIDER would: signed, with its file behind a link.

    `chat` posts to /chat. The message key is printed as soon as the message is
    accepted. A file is then served until it has been fetched.
    """
    options_ = _SendOptions(**options)
    options_.check()
    with _served(options_) as (file, wait):
        sample = options_.sample(file)
        key, statuses = _deliver(sample, options_)
        accepted = any(status in (200, 202) for status in statuses)
        _report(key, statuses, sample, options_.tenant, as_json)
        if accepted and not wait():
            note(f"the file was not fetched in time: sensorium trace '{key}'")
    if any(status not in (200, 202) for status in statuses):
        note(f"the receiver answered {statuses}: sensorium doctor")
        context.exit(1)


def _report(key: str, statuses: list[int], sample: Sample, tenant: str, as_json: bool) -> None:
    """Prints the key on stdout for scripts, and everything else on stderr."""
    console = command_environment().get("SENSORIUM_CONSOLE__URL", "").rstrip("/")
    path = f"/api/conversations/{quote(sample.conversation_id, safe='~')}/context"
    url = f"{console}{path}" if console else None
    refs = page_refs(Vault(command_settings().secrets.key))
    ref = refs.of(TenantId(tenant), "c", sample.conversation_id)
    page = f"{console}/t/{tenant}/c/{ref}" if console else None
    document = {
        "message_key": key,
        "conversation_id": sample.conversation_id,
        "context_url": url,
        "page_url": page,
        "statuses": statuses,
    }
    emit(document, as_json, [key])
    if not as_json:
        note(f"conversation {sample.conversation_id}")
        if page:
            note(page)
        note(f"{url}  (with a read key: sensorium keys add TENANT --scope read)" if url else path)


def _not_of(kind: str, path: Path) -> str | None:
    """Returns the content type of a file that is not of the kind, judged by its first
    bytes, else None.
    """
    with path.open("rb") as file:
        content = sniff(file.read(65_536), mime_of(path))
    return None if content.family == kind else content.mime


@contextmanager
def _served(options: _SendOptions) -> Iterator[tuple[SampleFile | None, Callable[[], bool]]]:
    """Serves the file while the block runs.

    Yields its link and a function that waits until it was fetched.
    """
    path = options.file
    if path is None:
        yield None, lambda: True
        return
    name, fetched = f"{uuid.uuid4().hex}{path.suffix.lower()}", threading.Event()
    port = _media_port(options.home)
    files = {name: Served(path, options.slow, options.bad)}
    try:
        with serving(files, port, fetched) as address:
            file = SampleFile(options.kind, link(address, name), mime_of(path))
            yield file, lambda: fetched.wait(options.serve_seconds + options.slow)
    except OSError as error:
        raise click.ClickException(
            f"the file cannot be served from port {port} ({error}): is a demo or "
            "another send running?"
        ) from None


def _media_port(home: Path) -> int:
    try:
        return known_port(home_at(home), "demo_media")
    except (KeyError, FileNotFoundError):
        raise click.ClickException(
            "files are served from the port that `sensorium up` chose: run it first, or give --home"
        ) from None


def _deliver(sample: Sample, options: _SendOptions) -> tuple[str, list[int]]:
    """Sends the message. Returns its key and the receiver's answers."""
    receiver = command_settings().receiver.url.rstrip("/")
    if not receiver:
        raise click.ClickException(
            "SENSORIUM_RECEIVER__URL must be the receiver's URL; `sensorium up` writes "
            "it to var/sensorium.env"
        )
    settings = command_settings()
    if sample.provider == "chat":
        return run_command(lambda: _with_key(settings, sample, options, receiver))
    endpoint = run_command(lambda: _endpoint(settings, options.tenant, sample.provider))
    if endpoint.awaits_secret:
        raise click.ClickException(
            f"{endpoint.endpoint_id} has no secret yet, so nothing can be signed for "
            f"it: sensorium endpoints secret {endpoint.endpoint_id} --set SECRET (any "
            "secret will do for a test)"
        )
    url = f"{receiver}/webhooks/{sample.provider}/{endpoint.token}"
    secret = endpoint.secrets[0] if endpoint.secrets else None
    statuses = _delivered(receiver, options.times, lambda: deliver(sample, url, secret))
    return sample.key(options.tenant, endpoint.instance), statuses


def _delivered(receiver: str, times: int, once: Callable[[], int]) -> list[int]:
    try:
        statuses = [once()]
        deadline = Deadline(KNOWN_WITHIN_SECONDS)
        while statuses == [401] and not deadline.has_passed:
            time.sleep(0.1)
            statuses = [once()]
        return statuses + [once() for _ in range(times - 1)]
    except OSError as error:
        raise click.ClickException(
            f"the receiver at {receiver} does not answer ({error}): sensorium status"
        ) from None


async def _with_key(
    settings: Settings, sample: Sample, options: _SendOptions, receiver: str
) -> tuple[str, list[int]]:
    """Sends with a new key for this one call.

    Existing keys of the tenant cannot be read back.
    """
    async with _tenancy(settings) as tenancy:
        key = await tenancy.add_key(options.tenant, "chat", KEY_NAME)
        try:
            url = f"{receiver}/chat"
            statuses = _delivered(
                receiver, options.times, lambda: deliver(sample, url, None, key=key)
            )
        finally:
            await tenancy.revoke_key(key_id(key))
    return sample.key(options.tenant), statuses


async def _endpoint(settings: Settings, tenant: str, provider: str) -> Endpoint:
    """Returns the tenant's newest endpoint at the provider.

    Adds one if there is none.
    """
    async with _tenancy(settings) as tenancy:
        newest = await tenancy.endpoint_of(tenant, provider)
        return newest or await tenancy.add_endpoint(
            tenant, provider, secret=None, unsigned=False, api_key=None
        )


@asynccontextmanager
async def _tenancy(settings: Settings) -> AsyncIterator[Tenancy]:
    async with database(settings) as connection:
        yield Tenancy(connection, Vault(settings.secrets.key))
