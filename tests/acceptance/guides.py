"""Runs the commands of a page of docs/, and acts for the provider that the page is about."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from typing import Any

from connectors.providers.catalogue import sign

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^(?P<indent> *)```sh\n(.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


class Guide:
    """The commands of a page, block by block, in one environment that `export` changes.

    `instead` replaces addresses of the page by those of the test. Everything else runs
    as it is printed. `section` selects the blocks under one heading.
    """

    def __init__(
        self,
        page: str,
        environment: Mapping[str, str],
        instead: Mapping[str, str],
        section: str = "",
    ) -> None:
        text = (DOCS / page).read_text()
        if section:
            text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        for there, here in instead.items():
            assert there in text, f"{page} does not name {there}"
            text = text.replace(there, here)
        self.left = [dedent(block) for _, block in _BLOCK.findall(text)]
        assert self.left, f"{page} has no commands"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**environment, "PATH": path}

    def set(self, **names: str) -> None:
        """Sets what a person would copy from one place to the next."""
        self.environment |= names

    def run(self) -> str:
        """Runs the next block, and returns what it printed."""
        script = f"{self.left.pop(0)}\nenv -0 >&2"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        exported = [one.rpartition("\n")[2] for one in done.stderr.split("\0") if "=" in one]
        self.environment |= {
            name: value
            for name, _, value in (one.partition("=") for one in exported)
            if name.startswith("SENSORIUM_")
        }
        return done.stdout

    def endpoint(self, printed: str) -> None:
        """Notes URL and id, as the page says."""
        found = dict(line.split(None, 1) for line in printed.splitlines() if "  " in line)
        self.set(URL=found["url"], ID=found["id"])


class Provider:
    """Acts for the provider: its API that creates webhooks, and signed deliveries to them.

    Every path creates a new secret: at creation and at rotation.
    """

    def __init__(self, name: str, key_header: str, key: str, paths: tuple[str, ...]) -> None:
        self.name = name
        self.webhook: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self._made = 0
        outer = self

        class Api(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.headers[key_header] != key or self.path not in paths:
                    self.send_error(401)
                    return
                given = json.loads(body) if body else {}
                outer.asked.append((self.path, given))
                answer = json.dumps(outer._answer(self.path, given)).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, path: str, given: dict[str, Any]) -> dict[str, Any]:
        self.new_secret()
        self.webhook = {**self.webhook, **given, "id": "w1"}
        if self.name == "chatwoot":
            return {"payload": {"webhook": self.webhook}}
        return self.webhook

    def new_secret(self) -> str:
        """Creates a secret, as the provider does."""
        self._made += 1
        prefix = "whsec_" if self.name == "ycloud" else ""
        self.webhook["secret"] = f"{prefix}of-the-provider-{self._made}"
        return str(self.webhook["secret"])

    def send(self, body: bytes, *, secret: str | None = None) -> int:
        """Sends one signed delivery, and returns its answer."""
        signed = sign(self.name, secret or self.webhook["secret"], body, int(time.time()))
        request = urllib.request.Request(self.webhook["url"], body, signed)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def send_until(self, status: int, body: bytes, seconds: float = 60.0, **more: str) -> None:
        """Sends again, as providers do, until this answer comes.

        Roles learn of a change within two seconds.
        """
        deadline = time.monotonic() + seconds
        while (found := self.send(body, **more)) != status:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
