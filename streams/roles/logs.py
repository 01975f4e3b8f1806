"""Structured logs on stderr: fixed event words with fields.

Every line leaves through one handler, whatever code or library wrote it.
"""

import logging
import sys
import threading
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import structlog

from schemas.settings import LogSettings
from streams.roles.redaction import redact

log = structlog.get_logger()
_NOISY = (
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "openai",
    "uvicorn.access",
    "aiokafka",
    "faust",
    "mode",
    "urllib3",
)


def configure_logs(settings: LogSettings, role: str) -> None:
    """Sends all logs through one handler: structlog's, the standard library's, and warnings.

    Uncaught exceptions are sent there too. Message keys are shown only at level debug
    (streams/roles/redaction.py).
    """
    show_keys = settings.level.lower() == "debug"

    def redacted(
        _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return redact(event, show_keys=show_keys)

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redacted,
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
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):  # a library may have given it a handler
            logger.handlers, logger.propagate = [], True
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(role=role)
    _take_over_what_python_prints()


def _take_over_what_python_prints() -> None:
    """Logs warnings and uncaught exceptions, which Python would print to stderr unredacted."""
    logging.captureWarnings(True)

    def uncaught(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, traceback)
            return
        log.critical("uncaught_exception", exc_info=(kind, error, traceback))

    def uncaught_in_thread(failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is not None:
            log.error(
                "thread_failed",
                thread=failed.thread.name if failed.thread is not None else "unknown",
                exc_info=(failed.exc_type, failed.exc_value, failed.exc_traceback),
            )

    def unraisable(failed: Any) -> None:
        error = failed.exc_value
        if error is not None:
            log.error("exception_ignored", exc_info=(type(error), error, failed.exc_traceback))

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_thread
    sys.unraisablehook = unraisable
