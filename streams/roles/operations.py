"""Serves /livez, /readyz, /status and /metrics from a thread, for roles without other HTTP."""

import errno
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

log = structlog.get_logger()
PORTS_TRIED = 32


class _Server(ThreadingHTTPServer):
    """Logs an error of a probe's connection, instead of printing it to stderr."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("probe_failed", exc_info=True)


def _bound(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> _Server:
    """Binds the port, or one of the next ones if it is in use.

    Two processes with one environment must both be able to run on one machine.
    """
    for candidate in range(port, port + PORTS_TRIED):
        try:
            server = _Server((host, candidate), handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        if candidate != port:
            log.warning("operations_port_taken", wanted=port, port=candidate)
        return server
    raise OSError(errno.EADDRINUSE, f"ports {port} to {port + PORTS_TRIED - 1} are in use")


class _Operations(BaseHTTPRequestHandler):
    """The routes. A subclass per server provides the functions they call."""

    ready: Callable[[], bool]
    refresh: Callable[[], None]
    status: Callable[[], dict[str, Any]]

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/livez":
                self._answer(200, b"alive\n")
            case "/readyz":
                self._readiness()
            case "/status":
                shown = json.dumps(type(self).status() | {"ready": type(self).ready()}) + "\n"
                self._answer(200, shown.encode(), "application/json")
            case "/metrics":
                self._metrics()
            case _:
                self._answer(404, b"/livez, /readyz, /status or /metrics\n")

    def _readiness(self) -> None:
        if type(self).ready():
            self._answer(200, b"ready\n")
            return
        troubles = type(self).status().get("troubles", [])
        self._answer(503, "".join(f"{line}\n" for line in ("not ready", *troubles)).encode())

    def _metrics(self) -> None:
        try:
            type(self).refresh()
        except Exception:  # one failing gauge must not hide the other metrics
            log.exception("metrics_refresh_failed")
        self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)

    def _answer(
        self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8"
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Does not log probes."""


def start_operations(
    host: str,
    port: int,
    ready: Callable[[], bool],
    refresh: Callable[[], None] = lambda: None,
    status: Callable[[], dict[str, Any]] = dict,
) -> ThreadingHTTPServer | None:
    """Serves until the process ends. With port 0 nothing is served.

    `refresh` sets gauges that are computed when they are read. `status` returns what
    /status shows as JSON; its `troubles` are lines for a person, which the answer "not
    ready" repeats.
    """
    if port == 0:
        return None

    functions = {
        "ready": staticmethod(ready),
        "refresh": staticmethod(refresh),
        "status": staticmethod(status),
    }
    server = _bound(host, port, type("Operations", (_Operations,), functions))
    threading.Thread(target=server.serve_forever, name="operations", daemon=True).start()
    return server
