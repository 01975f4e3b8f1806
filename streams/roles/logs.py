"""Structured logs on stderr: fixed event words with fields. What a field must never hold is kept out here as well."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from schemas.settings import Log

_NEVER = frozenset(
    {
        "text",
        "content",
        "body",
        "phone",
        "secret",
        "token",
        "key",
        "signature",
        "authorization",
        "url",
        "original_url",
        "signed_url",
    }
)
_LONG_NUMBER = re.compile(r"\+?\d[\d ()-]{8,}\d")
_LINK = re.compile(r"https?://\S+")


def configure_logs(settings: Log, role: str) -> None:
    """Every line, also of foreign libraries, leaves through one handler."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    render: Any = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    for noisy in (
        "httpx",
        "httpcore",
        "openai",
        "uvicorn.access",
        "aiokafka",
        "faust",
        "mode",
        "urllib3",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(role=role)


def _redact(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Phone numbers and links out of every string, forbidden fields out altogether. Kafka offsets and ids are short or not digits alone."""
    for name in _NEVER & event.keys():
        del event[name]
    for name, value in event.items():
        if isinstance(value, str) and name not in ("timestamp", "message_key"):
            event[name] = _LONG_NUMBER.sub("<number>", _LINK.sub("<link>", value))
    return event
