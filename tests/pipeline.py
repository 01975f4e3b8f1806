"""The whole pipeline as processes, on the session's servers, in a namespace of its own."""

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from schemas.pipeline import STAGES
from schemas.settings import Secret, Settings
from schemas.topics import Names
from streams.local.ports import free_port
from streams.local.samples import Sample, deliver
from streams.roles.needs import environment_of
from streams.settings import to_environment
from tests.quick_commands import run_quickly
from tests.topics import wait_until_seen

READY_SECONDS = 90.0
COMMAND_SECONDS = 90.0
PROGRAM = ("streams.commands.main",)
MODEL_RETRY_SECONDS = 3.0
ROLES: dict[str, tuple[str, ...]] = {
    "receive": ("receive",),
    **{stage: ("stream", stage) for stage in STAGES},
    "sink": ("sink",),
    "console": ("console",),
}


def role_of(name: str) -> str:
    """The role of a process. `describe#2` is a second process of the role `describe`."""
    return name.partition("#")[0]


def _die_with_parent() -> None:
    """In the child: ends it with its parent, so that a killed test leaves nothing behind.

    The parent is the *thread* that forks.
    """
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Pipeline:
    """Processes by name: a role, or `role#2` and so on for further ones.

    `environment` is what each gets. `folder` contains a log of each.
    """

    def __init__(
        self,
        settings: Settings,
        namespace: str,
        folder: Path,
        *,
        model_retry_seconds: float = MODEL_RETRY_SECONDS,
        media_retry_seconds: float = 2.0,
        run: Callable[..., "subprocess.CompletedProcess[str]"] = run_quickly,
    ) -> None:
        """`run` runs a command: words, environment, seconds."""
        self.folder = folder
        self._run = run
        self._forking = ThreadPoolExecutor(1, thread_name_prefix="forking")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports: dict[str, int] = {}
        for name in [*ROLES, "stand-in", "media"]:
            self._port(name)
        replace = msgspec.structs.replace
        self.settings = replace(
            settings,
            namespace=namespace,
            receiver=replace(settings.receiver, port=self.ports["receive"]),
            console=replace(settings.console, port=self.ports["console"]),
            openai=replace(
                settings.openai,
                base_url=f"http://127.0.0.1:{self.ports['stand-in']}/v1",
                api_key=Secret("stand-in"),
                retry_seconds=model_retry_seconds,
            ),
            media=replace(
                settings.media,
                allowed_private_hosts=f"127.0.0.1:{self.ports['media']}",
                retry_seconds=media_retry_seconds,
                not_found_seconds=1.0,
            ),
        )
        self.names = Names(namespace)
        self.receiver = f"http://127.0.0.1:{self.ports['receive']}"
        self.console = f"http://127.0.0.1:{self.ports['console']}"

    def _port(self, name: str) -> int:
        """The port for probes. Receivers share the port at which they serve."""
        if name not in self.ports:
            self.ports[name] = (
                self.ports["receive"]
                if role_of(name) == "receive" and name != "receive"
                else free_port(set(self.ports.values()))
            )
        return self.ports[name]

    def environment(self, name: str = "") -> dict[str, str]:
        role, _, number = name.partition("#")
        port = self._port(name) if name else 0
        worker = msgspec.structs.replace(
            self.settings.worker, name=f"{role}-{number or 1}" if name else "", metrics_port=port
        )
        plain = {
            key: value for key, value in os.environ.items() if not key.startswith("SENSORIUM_")
        }
        settings = msgspec.structs.replace(self.settings, worker=worker)
        # A role gets what it reads and nothing else, as under `up`; a command gets everything.
        own = environment_of(" ".join(ROLES[role]), settings) if role in ROLES else None
        return plain | (own or to_environment(settings))

    def start(
        self,
        name: str,
        failpoint: str = "",
        more: Mapping[str, str] = {},
        program: tuple[str, ...] = PROGRAM,
    ) -> None:
        """Starts a process.

        For `failpoint` see storage/failpoints.py. `more` is added to its environment,
        and `program` is the module with its first words.
        """
        words = (
            ("stand-in", "--port", str(self.ports["stand-in"]), "--controls")
            if name == "stand-in"
            else ROLES[role_of(name)]
        )
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = self._forking.submit(
                subprocess.Popen[bytes],
                [sys.executable, "-m", *program, *words],
                env=self.environment(name)
                | ({"SENSORIUM_FAILPOINT": failpoint} if failpoint else {})
                | dict(more),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            ).result()

    def stop(self, name: str) -> int:
        """Sends SIGTERM, and SIGKILL if the process does not end. Returns the exit code."""
        process = self.processes.pop(name)
        process.terminate()
        try:
            return process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def command(self, *words: str) -> Any:
        """Runs a command with --json and returns its document."""
        done = self._run([*words, "--json"], self.environment(), COMMAND_SECONDS)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def make_topics(self) -> None:
        self.command("topics", "apply")
        wait_until_seen(self.settings.kafka, self.names.topics)

    def start_all(self) -> None:
        self.make_topics()
        self.command("migrate")
        for name in ["stand-in", *ROLES]:
            self.start(name)
        for name in ["stand-in", *ROLES]:
            self.wait_ready(name)

    def wait_ready(self, name: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.is_ready(name):
                return
            time.sleep(0.05)
        raise AssertionError(f"{name} is not ready:\n{self.log_of(name)[-3000:]}")

    def worker_pid(self, stage: str) -> int:
        """The child of a stage's parent, which replaces a dead child after a moment."""
        pid = self.processes[stage].pid
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if children:
                return int(children[0])
            time.sleep(0.02)
        raise AssertionError(
            f"the parent of {stage} starts no worker:\n{self.log_of(stage)[-3000:]}"
        )

    def kill(self, name: str) -> None:
        """Sends SIGKILL to a process, which is started again.

        Of a stage it is the worker, which its parent starts again.
        """
        if role_of(name) in STAGES:
            os.kill(self.worker_pid(name), signal.SIGKILL)
            return
        self.processes[name].kill()
        self.processes[name].wait()
        self.start(name)

    def restart(self, name: str, failpoint: str = "") -> None:
        """Sends SIGTERM and starts the process again, with or without a failpoint."""
        self.processes[name].terminate()
        self.processes[name].wait(40)
        self.start(name, failpoint)
        self.wait_ready(name)

    def is_ready(self, name: str) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.ports[name]}/readyz", timeout=10
            ) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop_all(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log_of(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def control(self, fault: dict[str, Any] | None) -> None:
        """Makes the model server fail in this way, or work again with None."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['stand-in']}/control",
            json.dumps(fault).encode() if fault else None,
            method="POST" if fault else "DELETE",
        )
        urllib.request.urlopen(request, timeout=30).close()

    def get(self, path: str, key: str) -> Any:
        request = urllib.request.Request(
            f"{self.console}{path}", headers={"authorization": f"Bearer {key}"}
        )
        with _once_known(request) as answer:
            return json.load(answer)

    def chat_key(self, tenant: str) -> str:
        """A new key for `POST /chat`, which the receiver already knows."""
        key: str = self.command("keys", "add", tenant, "--scope", "chat")["key"]
        request = urllib.request.Request(
            f"{self.receiver}/chat", b"{}", {"authorization": f"Bearer {key}"}
        )
        try:
            _once_known(request).close()
        except urllib.error.HTTPError as refused:
            refused.close()
            assert refused.code == 422, refused.code
        return key


KNOWN_SECONDS = 60.0


def _once_known(request: urllib.request.Request) -> Any:
    """The answer, repeated while the key is unknown: on a busy machine roles learn of it later."""
    deadline = time.monotonic() + KNOWN_SECONDS
    while True:
        try:
            return urllib.request.urlopen(request, timeout=90)
        except urllib.error.HTTPError as refused:
            if refused.code != 401 or time.monotonic() > deadline:
                raise
            refused.close()
        time.sleep(0.1)


class Tenant:
    """A tenant with an endpoint per provider and a key that may read."""

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        self.name = name
        self._pipeline = pipeline
        pipeline.command("tenants", "add", name)
        self.endpoints = {
            provider: pipeline.command("endpoints", "add", name, provider)
            for provider in ("ycloud", "chatwoot")
        }
        self.key: str = pipeline.command("keys", "add", name, "--scope", "read")["key"]

    def post(self, sample: Sample, *, seconds: float = 90.0) -> int:
        """Delivers as a provider does: repeatedly, until the answer is 2xx."""
        endpoint = self.endpoints[sample.provider]
        url = f"{self._pipeline.receiver}/webhooks/{sample.provider}/{endpoint['token']}"
        deadline = time.monotonic() + seconds
        while True:
            try:
                status = deliver(sample, url, endpoint["secret"])
            except OSError:
                status = 0
            if status == 200 or time.monotonic() > deadline:
                return status
            time.sleep(0.1)

    async def rows(self, connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, Any]:
        found = await connection.fetch(
            "SELECT * FROM chat_messages WHERE tenant_id = $1", self.name
        )
        return {row["message_key"]: row for row in found}


async def wait_for(
    condition: Callable[[], Awaitable[Any]], what: str, seconds: float = 90.0
) -> Any:
    """Waits until the condition is true, and returns its result.

    Fails with `what` after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = await condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.1)
