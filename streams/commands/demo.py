"""`sensorium demo`: sends signed sample traffic and shows the outcome of each message.

It goes through what `sensorium up` started.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import click
import msgspec

from schemas.settings import Settings
from storage.postgres.directory import key_id
from storage.waiting import Deadline
from streams.commands.environment import database, home_folder, run_command
from streams.commands.output import as_json_option, emit, note
from streams.commands.users import demo_link
from streams.local.home import Home, environment_in, home_at, read, write
from streams.local.lifecycle import demo_tenant, receiver_address, sensorium
from streams.local.ports import known_port
from streams.local.processes import LocalError
from streams.local.repairable_picture import repairable_picture
from streams.local.samples import (
    MEDIA_DIR,
    Sample,
    SampleFile,
    Served,
    chatwoot,
    deliver,
    link,
    mime_of,
    serving,
    ycloud,
)
from streams.local.waiting import waits
from streams.settings import read_settings

KEY_NAME = "demo"
WAIT_SECONDS = 90.0
MAX_SHOWN_CHARS = 400
"""Enough to show a receipt with its total, so that a person can judge the models' answers."""
_LOOK_SECONDS = 0.3
_MESSAGES = """
SELECT message_key, kind, content, status, version, content_attributes
FROM chat_messages WHERE tenant_id = $1 AND message_key = ANY($2::text[])
"""
_QUARANTINED = """
SELECT stage, reason, detail FROM quarantined_messages WHERE tenant_id = $1 AND created_at >= $2
"""


ANOTHER = "15550100003"
SLOW, BAD = "slow.jpg", "page.jpg"
SLOW_SECONDS = 6.0


def demo_files() -> dict[str, Path | Served]:
    """Returns the files to serve: photographs and voice notes.

    One of them is slow, and one is a web page instead of a photograph.
    """
    photo = MEDIA_DIR / "cat.jpg"
    return {
        **{path.name: path for path in MEDIA_DIR.iterdir()},
        SLOW: Served(photo, after_seconds=SLOW_SECONDS),
        BAD: Served(photo, bad="page"),
    }


def samples(address: str, bad_link: str | None = None) -> list[Sample]:
    """Returns the deliveries to send, in order, each message once.

    Two of them contain no message. `bad_link` leads to a page instead of a photograph.
    """
    bad = SampleFile("image", bad_link or link(address, BAD), mime_of(MEDIA_DIR / BAD))

    def image(name: str) -> SampleFile:
        return SampleFile("image", link(address, name), mime_of(MEDIA_DIR / name))

    def voice(name: str) -> SampleFile:
        return SampleFile("audio", link(address, name), mime_of(MEDIA_DIR / name))

    return [
        ycloud("Hola, ¿tienen disponibilidad para mañana? 🙂", None, what="text"),
        ycloud("Mi recibo", image("receipt-es.jpg"), what="photo of a receipt, with a caption"),
        ycloud(None, voice("voice-human-es.ogg"), what="voice note, a person's voice"),
        ycloud("¿Qué es esto?", image("cat.jpg"), what="photo, JPEG, with a caption"),
        ycloud(None, image("rocket.webp"), what="photo, WebP"),
        ycloud(None, voice("voice-note-es.ogg"), what="voice note, synthetic voice"),
        ycloud(None, voice("voice-es.amr"), what="voice note, AMR (old phones)"),
        chatwoot("Good morning", None, what="text"),
        chatwoot(None, image("coffee.jpg"), what="photo, JPEG"),
        chatwoot(None, image("astronaut.heic"), what="photo, HEIC (iPhone)"),
        chatwoot(None, voice("voice-memo-en.m4a"), what="voice memo, M4A (iPhone)"),
        chatwoot(None, voice("voice-es.mp3"), what="voice message, MP3"),
        ycloud("Llegamos a las 10.", None, what="text, another customer", conversation=ANOTHER),
        ycloud(
            "Les esperamos.", None, what="answer from the app", conversation=ANOTHER, outbound=True
        ),
        chatwoot("Is it still free?", None, what="text, another conversation", conversation=42),
        chatwoot(
            "Yes, until Friday.", None, what="answer of an agent", conversation=42, outbound=True
        ),
        ycloud("Otra foto", image(SLOW), what="photo, its server is slow", conversation=ANOTHER),
        chatwoot(None, bad, what="a page instead of a photo", conversation=42),
        Sample("a body that is not JSON", "ycloud", b"this is not JSON {", ""),
        Sample("an unknown event", "chatwoot", b'{"event": "moon_phase_changed", "id": 1}', ""),
    ]


@click.command()
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=home_folder,
    show_default="SENSORIUM_HOME, else var",
    help="The folder of `sensorium up`.",
)
@as_json_option
@click.pass_context
def demo(context: click.Context, home: Path, as_json: bool) -> None:
    """Sends sample traffic, each message twice, and shows the results.

    Exit code 1 if a result is not as expected.
    """
    at = home_at(home)
    if not at.environment_file.exists():
        raise click.ClickException("nothing runs here: run `sensorium up` first")
    settings = read_settings(environment_in(at.environment_file))
    try:
        result = run_command(lambda: _demo(at, settings))
    except LocalError as error:
        raise click.ClickException(str(error)) from None
    emit(result, as_json, _lines(result, at, settings))
    if result["unfinished"]:
        note(
            f"{result['unfinished']} messages are not finished after "
            f"{WAIT_SECONDS:.0f} s; none is lost, they continue by themselves:"
        )
        for line in waits(at, settings):
            note(f"  {line}")
        context.exit(1)


async def _demo(home: Home, settings: Settings) -> dict[str, Any]:
    tenant = demo_tenant(home, settings)
    where = receiver_address(settings)
    answers: Counter[int] = Counter()
    async with database(settings) as connection:
        began = await connection.fetchval("SELECT now()")
        with (
            serving(demo_files(), known_port(home, "demo_media")) as address,
            _picture_to_repair(home, settings) as bad_link,
        ):
            sent = samples(address, bad_link)
            note(f"sending {len(sent)} sample deliveries, each twice")
            for sample in sent:
                endpoint = tenant["endpoints"][sample.provider]
                url = f"{where}/webhooks/{sample.provider}/{endpoint['token']}"
                statuses = [
                    await asyncio.to_thread(deliver, sample, url, endpoint["secret"])
                    for _ in range(2)
                ]
                answers.update(statuses)
                note(
                    f"  {sample.provider:9} {sample.what:34} → {statuses[0]}, again → {statuses[1]}"
                )
            expected = {
                sample.key(tenant["tenant_id"]): sample
                for sample in sent
                if sample.provider_message_id
            }
            rows = await _watch(connection, tenant["tenant_id"], expected)
        quarantined = [
            dict(row) for row in await _settled_quarantine(connection, tenant["tenant_id"], began)
        ]
    finished = sum(row["status"] != "pending" for row in rows.values())
    return {
        "tenant": tenant["tenant_id"],
        "deliveries": 2 * len(sent),
        "answers": {str(status): count for status, count in answers.items()},
        "messages": [
            {"what": expected[key].what, "provider": expected[key].provider, **_summary(row)}
            for key, row in rows.items()
        ],
        "rows": len(rows),
        "duplicates_dropped": len(expected),
        "quarantined": quarantined,
        "unfinished": len(expected) - finished,
        "can_be_repaired": bad_link is not None,
    }


@contextmanager
def _picture_to_repair(home: Home, settings: Settings) -> Iterator[str | None]:
    """Yields the link of a picture that can be repaired once the demo is over.

    With an object store elsewhere, which may not be fetched from, there is none.
    """
    if settings.objects.endpoint != f"http://127.0.0.1:{known_port(home, 'objects')}":
        yield None
        return
    with repairable_picture(settings.objects, MEDIA_DIR / "cat.jpg", BAD) as address:
        yield address


async def _watch(
    connection: "asyncpg.Connection[asyncpg.Record]", tenant: str, expected: dict[str, Sample]
) -> dict[str, Any]:
    """Polls the rows and prints each message once, when it is finished."""
    note("their messages:")
    began, printed, rows = time.monotonic(), set[str](), dict[str, Any]()
    deadline = Deadline(WAIT_SECONDS)
    while len(printed) < len(expected) and not deadline.has_passed:
        rows = {
            row["message_key"]: row
            for row in await connection.fetch(_MESSAGES, tenant, list(expected))
        }
        for key, row in rows.items():
            if row["status"] != "pending" and key not in printed:
                printed.add(key)
                summary = _summary(row)
                text = summary["description"] or summary["transcript"] or summary["content"]
                text = text or ", ".join(summary["reasons"])
                sample, age = expected[key], time.monotonic() - began
                note(
                    f"  {age:5.1f} s  {sample.provider:9} {sample.what:34} "
                    f"{row['status']:9} {text[:MAX_SHOWN_CHARS]}"
                )
        await asyncio.sleep(_LOOK_SECONDS)
    return rows


async def _settled_quarantine(
    connection: "asyncpg.Connection[asyncpg.Record]", tenant: str, began: Any
) -> list[Any]:
    """Waits for the quarantined records.

    Both deliveries of the body that is not JSON end there, because neither claims its
    key.
    """
    deadline = Deadline(10)
    while True:
        rows: list[Any] = await connection.fetch(_QUARANTINED, tenant, began)
        if len(rows) >= 2 or deadline.has_passed:
            return rows
        await asyncio.sleep(_LOOK_SECONDS)


def _summary(row: Any) -> dict[str, Any]:
    attributes = msgspec.json.decode(row["content_attributes"])
    return {
        "message_key": row["message_key"],
        "kind": row["kind"],
        "status": row["status"],
        "version": row["version"],
        "content": row["content"],
        "description": attributes.get("description"),
        "transcript": attributes.get("transcript"),
        "reasons": [one["reason"] for one in attributes.get("attachments", []) if "reason" in one],
    }


def demo_key(home: Home, settings: Settings, tenant: str) -> str:
    """Returns the demo's read key. Creates it once, and again if it was revoked."""
    file = home.run / "demo-key.json"
    key: str = read(file, {}).get("key", "")
    listed = json.loads(sensorium(settings, "keys", "list", tenant, "--json"))["keys"]
    ours = {entry["key_id"] for entry in listed if entry["name"] == KEY_NAME}
    if key and key_id(key) in ours:
        return key
    for former in ours:
        sensorium(settings, "keys", "revoke", former)
    made = sensorium(settings, "keys", "add", tenant, "--scope", "read", "--name", KEY_NAME)
    write(file, {"key": made.strip()})
    return made.strip()


def _to_repair(result: dict[str, Any]) -> list[str]:
    """Returns what to say of the picture that failed, if a repair can succeed."""
    if not result["can_be_repaired"]:
        return []
    return [
        "one picture failed, because its server answered with a page. The server is fixed now: "
        "repair the picture in the console, under Trouble",
    ]


def _lines(result: dict[str, Any], home: Home, settings: Settings) -> list[str]:
    environment = environment_in(home.environment_file)
    console = environment["SENSORIUM_CONSOLE__URL"]
    key = demo_key(home, settings, result["tenant"])
    image = next((m for m in result["messages"] if m["description"]), None)
    conversation = "15550109999~15550100001"
    sensorium_ = ".venv/bin/sensorium"
    return [
        "",
        f"{result['deliveries']} deliveries, {result['rows']} rows, "
        f"{result['duplicates_dropped']} duplicates dropped, "
        f"{len(result['quarantined'])} quarantined "
        f"({', '.join(sorted({q['reason'] for q in result['quarantined']}))}), the "
        "unknown event skipped",
        *_to_repair(result),
        "",
        f"webhooks   {environment['SENSORIUM_RECEIVER__URL']}/webhooks/<provider>/<token>",
        f"console    {demo_link(settings)}",
        f"           (logs you in once, within a day; API: {console}/openapi.json)",
        f"objects    {settings.objects.endpoint}",
        f"Kafka      {settings.kafka.bootstrap_servers}",
        "",
        "three commands to try next:",
        f"  curl -s -H 'Authorization: Bearer {key}' "
        f"'{console}/api/conversations/{conversation}/context' | python3 -m json.tool",
        f"  {sensorium_} send ycloud --tenant demo --image "
        f"{os.path.relpath(MEDIA_DIR / 'receipt-es.jpg')}",
        f"  {sensorium_} trace '{image['message_key'] if image else '<message key>'}'",
    ]
