"""What a line of the log may contain.

Numbers, ids and links of customers are planted in every form in which they may come.
"""

import base64
import io
import json
import logging
import re
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from schemas.keys import log_digest
from schemas.settings import LogSettings
from streams.roles.logs import configure_logs
from streams.roles.redaction import clean, clean_text, redact

NUMBER = "15550100001"
WAMID = "wamid.HBgLMTIwMjU1NTAxNDcVAgASGBQzQTdBRDk4NTFDOTYyMzM4RkJDMwA="
KEY = f"acme:ycloud:{WAMID}"


def encoded(number: str) -> dict[str, str]:
    plain = base64.b64encode(number.encode()).decode()
    return {
        "plain": number,
        "with a plus": f"+{number}",
        "with spaces": f"+{number[0]} {number[1:4]} {number[4:7]} {number[7:]}",
        "with hyphens": f"{number[0]}-{number[1:4]}-{number[4:7]}-{number[7:]}",
        "with brackets": f"+{number[0]} ({number[1:4]}) {number[4:7]}-{number[7:]}",
        "with thin spaces": "\u2009".join((number[:1], number[1:4], number[4:7], number[7:])),
        "with arabic digits": number.translate({48 + n: 0x0660 + n for n in range(10)}),
        "percent-encoded": quote(f"+{number}", safe=""),
        "percent-encoded, every character": "".join(f"%{ord(one):02X}" for one in number),
        "percent-encoded twice": quote(quote(f"+{number}", safe=""), safe=""),
        "base64": plain,
        "base64 without padding": plain.rstrip("="),
        "base64url within a longer id": base64.urlsafe_b64encode(
            b"\xfb\xff\x18\x0b" + number.encode() + b"\x15\x02\x00\xfb\xff"
        ).decode(),
        "base64 that is percent-encoded": quote(plain, safe=""),
        "hex": number.encode().hex(),
        "hex bytes": " ".join(f"0x{ord(one):02x}" for one in number),
        "escaped": "".join(f"\\u00{ord(one):02x}" for one in number),
        "an entity each": "".join(f"&#x{ord(one):x};" for one in number),
        "a wamid": WAMID,
        "a percent-encoded wamid": quote(WAMID, safe=""),
        "a message key": KEY,
        "a percent-encoded message key": quote(KEY, safe=""),
        "a link": f"https://example.com/{number}/file?token=x",
        "a percent-encoded link": quote(f"https://example.com/a/{number}", safe=""),
        "an e-mail address": "ana.lopez@example.com",
        "the key of another provider": "acme:own:ana-lopez-77",
    }


def held(line: str) -> list[str]:
    """The customers' data that a line still contains, in any form that this module plants."""
    forms = encoded(NUMBER)
    tokens = ["ana", "lopez", "12025550147", "HBgLMTIwMjU1NTAxNDc", NUMBER, *forms.values()]
    return [token for token in tokens if token.lower() in line.lower()]


@pytest.mark.parametrize("form", encoded(NUMBER))
@pytest.mark.parametrize("place", ["alone", "in a sentence", "in quotes", "after an equals sign"])
def test_no_form_of_a_customers_number_stays_in_a_text(form: str, place: str) -> None:
    planted = encoded(NUMBER)[form]
    text = {
        "alone": planted,
        "in a sentence": f"could not read {planted} at once",
        "in quotes": f"KeyError: '{planted}'",
        "after an equals sign": f"id={planted}, again",
    }[place]
    assert held(clean_text(text)) == []


@pytest.mark.parametrize(
    "value",
    [
        int(NUMBER),
        float(NUMBER),
        NUMBER.encode(),
        [NUMBER],
        {"sender": NUMBER, "more": {"deep": [NUMBER, {NUMBER: 1}]}},
        ValueError(f"no such sender: {NUMBER}"),
        frozenset({NUMBER}),
        (b"\xff", bytearray(NUMBER.encode())),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_every_type_are_searched(value: Any) -> None:
    assert held(json.dumps(clean(value), default=str)) == []


@pytest.mark.parametrize(
    "text",
    [
        "lane_ready",
        "127.0.0.1:9092/1: Connect failed (after 0ms)",
        "partition 3 of raw-messages[11] at offset 123456789",
        "sensorium-store-media-media-7",
        "3f2a9c0d11ee",
        "ep_0123456789abcdef",
        "asyncpg.exceptions.UndefinedTableError",
        'File "/srv/streams/lanes/app.py", line 120, in run',
        "6f6b3a52-8c0e-5d0b-9a55-0d7f6d1f9e21",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)
def test_what_an_operator_needs_stays(text: str) -> None:
    assert clean_text(text) == text


def test_a_huge_hostile_text_is_cleaned_in_no_time() -> None:
    for hostile in ("a" * 1_000_000, "a:" * 500_000, "1 " * 500_000, "%25" * 300_000, "=@" * 9999):
        began = time.process_time()
        assert len(clean_text(hostile)) <= 100_000
        assert time.process_time() - began < 4


def test_a_message_is_named_by_a_digest_and_by_its_key_only_for_debugging() -> None:
    event = {"event": "media_stored", "tenant": "acme", "message_key": KEY, "bytes": 12_345_678_901}
    assert redact(dict(event)) == {
        "event": "media_stored",
        "tenant": "acme",
        "message": log_digest(KEY),
        "bytes": 12_345_678_901,
    }
    assert redact(dict(event), show_keys=True)["message_key"] == KEY
    assert re.fullmatch("[0-9a-f]{12}", log_digest(KEY))


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Logs into a buffer as a role does. The former configuration is restored afterwards."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook, sys.unraisablehook)
    before, level, old = root.handlers, root.level, structlog.get_config()
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logs(LogSettings(), "test")
    yield stream
    structlog.configure(**old)
    structlog.contextvars.clear_contextvars()
    root.handlers = before
    root.setLevel(level)
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


@pytest.mark.parametrize("form", encoded(NUMBER))
@pytest.mark.parametrize(
    "logger", ["structlog", "faust", "uvicorn.error", "librdkafka", "asyncio", "warnings", "thread"]
)
def test_every_logger_leaves_through_the_redaction(
    logger: str, form: str, lines: io.StringIO
) -> None:
    planted = encoded(NUMBER)[form]

    def fails() -> None:
        raise RuntimeError(f"nobody knows {planted}")

    try:
        fails()
    except RuntimeError as error:
        match logger:
            case "structlog":
                structlog.get_logger().exception(
                    "stage_error",
                    tenant="acme",
                    message_key=planted,
                    detail=planted,
                    more=[planted],
                )
            case "warnings":
                warnings.showwarning(planted, UserWarning, "file.py", 1)  # type: ignore[arg-type]
            case "thread":
                thread = threading.Thread(target=fails)
                thread.start()
                thread.join()
            case _:
                logging.getLogger(logger).error("no %s", planted, exc_info=error)
    printed = lines.getvalue()
    assert printed and held(printed) == []
    for line in printed.splitlines():
        assert json.loads(line)["level"]
