"""After everything else, no log of any role may contain a secret or customers' data."""

import base64
import json
import re
import secrets
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from schemas.keys import log_digest
from streams.local.samples import Sample, link, mime_of, ycloud
from tests.pipeline import Pipeline, Tenant, wait_for

pytestmark = pytest.mark.last(2)

NUMBER = "5215550107788"
"""A number that is planted in ids and links of every kind. No other test uses it."""


def planted() -> list[tuple[str, Sample]]:
    """Messages whose ids contain the number, in the forms that providers and services use."""
    again = secrets.token_hex(3)
    binary = b"\x1c\x05\x15\x02\x00\x12\x18" + NUMBER.encode() + b"\x00" + again.encode()
    ids = {
        "wamid": f"wamid.{base64.b64encode(binary).decode()}",
        "base64url": base64.urlsafe_b64encode(binary).decode(),
        "plain": f"{NUMBER}-{again}",
        "percent-encoded": quote(f"+{NUMBER}/{again}", safe=""),
        "hex": NUMBER.encode().hex() + again,
        "spaced": f"+52 1 555 010 7788 {again}",
    }
    return list(ids.items())


def holds_the_number(line: str) -> bool:
    """True if the number can be read in a line, or decoded from any part of it."""
    plain = unquote(unquote(line))
    for text in (line, plain):
        if NUMBER in re.sub(r"[^0-9A-Za-z]", "", text) or NUMBER.encode().hex() in text:
            return True
        for token in re.findall(r"[A-Za-z0-9+/_-]{12,}", text):
            standard = token.translate(str.maketrans("-_", "+/"))
            for start in range(4):
                part = standard[start : start + (len(standard) - start) // 4 * 4]
                if NUMBER[:9].encode() in base64.b64decode(part + "=" * (-len(part) % 4)):
                    return True
    return False


def test_the_search_finds_the_number_in_every_form_it_was_planted_in() -> None:
    for form, identifier in planted():
        assert holds_the_number(f'{{"message_key": "t:own:{identifier}"}}'), form


async def test_ids_made_of_a_number_leave_no_trace_in_any_log(
    pipeline: Pipeline, media: str, media_files: dict[str, Path], connection: Any
) -> None:
    tenant = Tenant(pipeline, "planted")
    chat = pipeline.chat_key("planted")
    files = {"image": "rocket.webp", "audio": "voice-note-es.ogg", "gone": "nothing-is-here.jpg"}
    keys = []
    for number, (_, identifier) in enumerate(planted()):
        kind = list(files)[number % 3]
        name = f"{NUMBER}-{number}-{files[kind]}"
        if kind != "gone":
            media_files[name] = media_files[files[kind]]
        body = {
            "provider": "own",
            "provider_message_id": identifier,
            "conversation_id": f"wa:{NUMBER}",
            "sender": {"id": NUMBER, "name": f"Ana {NUMBER}"},
            "text": f"mi número es {NUMBER}",
            "media": [
                {
                    "type": "audio" if kind == "audio" else "image",
                    "url": link(media, name),
                    "mime_type": mime_of(Path(files[kind])),
                    "filename": name,
                }
            ],
        }
        request = urllib.request.Request(
            f"{pipeline.receiver}/chat",
            json.dumps(body).encode(),
            {"authorization": f"Bearer {chat}"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            keys.append(json.load(answer)["message_key"])
    broken = ycloud("x", None, what="text", conversation=NUMBER)
    assert tenant.post(broken._replace(body=broken.body.replace(b'"type":', b'"typo":', 1))) == 200

    async def finished() -> Any:
        rows = await tenant.rows(connection)
        done = [key for key in keys if key in rows and rows[key]["status"] != "pending"]
        return rows if len(done) == len(keys) else None

    await wait_for(finished, "every planted message is finished", 90)
    texts = {name: pipeline.log_of(name) for name in pipeline.processes}
    for name, text in texts.items():
        for line in text.splitlines():
            assert not holds_the_number(line), f"{name}: {line}"
    everything = "".join(texts.values())
    digest = log_digest(keys[0])
    assert f'"message": "{digest}"' in everything, "a line can still be followed to its message"
    traced = pipeline.command("trace", digest, "--tenant", "planted")
    assert traced["message"]["message_key"] == keys[0] and traced["steps"]


_SAID = (
    "la buena",
    "solo para uno",
    "un engaño",
    "ya arreglado",
    "seconds, loud",
    "pixels, mostly",
)
_NUMBERS = ("15550100001", "15550109999", "12025550147")
_SECRETS = re.compile(r"whsec_|sk_read_|signature=[0-9a-f]|stand-in:|/webhooks/\w+/[\w-]{20}")


def test_logs_tell_nothing_of_customers(pipeline: Pipeline) -> None:
    for name in pipeline.processes:
        text = pipeline.log_of(name)
        assert name in ("console", "stand-in") or text, (
            f"{name} logged nothing: the search would prove nothing"
        )
        for line in text.splitlines():
            held = [said for said in (*_SAID, *_NUMBERS) if said in line]
            assert not held and not _SECRETS.search(line), f"{name}: {line}"


def test_what_a_role_logs_is_json_a_line(pipeline: Pipeline) -> None:
    for name in pipeline.processes.keys() - {"stand-in"}:
        ours = [line for line in pipeline.log_of(name).splitlines() if '"event"' in line]
        assert ours or name == "console"
        for line in ours:
            json.loads(line)
