"""Measures the receiver with signatures and acks=all, and the same server without them.

The difference is what they cost. The product's side is the role itself, `sensorium
receive`. `python -m bench.receiver` is the other side: the same server and application
with an unsigned endpoint and a log that stores nothing. Both parse the body for its ids
and encode the record.
"""

import asyncio
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import uvloop

from bench.figures import Figure, Table, ratio
from bench.rig import BenchFailed, Rig
from bench.traffic import TENANT, webhook
from connectors.providers.catalogue import DIRECT, check_signature, identify
from connectors.webhooks.ports import ProviderFunctions
from connectors.webhooks.receiver import Receiver
from connectors.webhooks.server import ReceiverServer
from schemas.headers import Headers
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.settings import Settings
from schemas.tenants import ApiKey, EndedToken, Endpoint, Tenant
from storage.kafka.delivery import DeliveryCallback
from streams.local.lifecycle import sensorium
from streams.local.parts import program
from streams.local.parts import run as run_program
from streams.local.ports import free_port
from streams.roles.http import listening_socket, run_until_signal
from streams.roles.port_claims import installation_of
from streams.settings import read_settings

ROUNDS = 3
CONNECTIONS = (64, 256)
BODY_BYTES = 1_500
_SOURCE = Path(__file__).parent / "load"
_TOKEN = "unsigned"


def run(rig: Rig) -> list[Table]:
    load = Load(rig.folder)
    settings = on_a_port(rig.fresh())
    sensorium(settings, "migrate")
    sensorium(settings, "tenants", "add", TENANT)
    endpoint = json.loads(sensorium(settings, "endpoints", "add", TENANT, "ycloud", "--json"))
    elsewhere = on_a_port(settings)
    with (
        rig.process(settings, "streams.commands.main", "receive") as receiver,
        rig.process(elsewhere, "bench.receiver") as bare,
    ):
        receiver.wait_ready(f"http://127.0.0.1:{settings.receiver.port}/readyz")
        bare.wait_ready(f"http://127.0.0.1:{elsewhere.receiver.port}/readyz")
        tables = []
        for connections in CONNECTIONS:
            durable, plain = [], []
            for _ in range(ROUNDS):
                durable.append(
                    load.run(settings, endpoint["token"], endpoint["secret"], connections)
                )
                plain.append(load.run(elsewhere, _TOKEN, "", connections))
            ours = _figure("signature, acks=all, then 200", durable, receiver.memory_mib())
            reference = _figure("same server, no signature, no Kafka", plain, bare.memory_mib())
            title = f"receiver: webhooks of {BODY_BYTES} B over {connections} connections"
            goal = ratio("receiver : without", ours, reference, at_least=0.5)
            tables.append(
                Table(
                    bench="receiver",
                    title=title,
                    unit="requests/s",
                    figures=[ours, reference],
                    ratios=[goal],
                )
            )
    return tables


def _figure(name: str, runs: list["LoadRun"], memory_mib: float) -> Figure:
    middle = sorted(runs, key=lambda one: one.per_second)[len(runs) // 2]
    note = (
        f"p50 {middle.p50_ms:.1f} ms, p99 {middle.p99_ms:.1f} ms, "
        f"longest {middle.longest_ms:.1f} ms"
    )
    return Figure(
        name=name, runs=[one.per_second for one in runs], memory_mib=memory_mib, note=note
    )


class LoadRun(msgspec.Struct):
    """The result of the load generator."""

    per_second: float
    p50_ms: float
    p99_ms: float
    longest_ms: float
    answered: int
    refused: int


class Load:
    """The load generator, which is built from bench/load."""

    def __init__(self, folder: Path) -> None:
        self._program = folder / "load"
        run_program(
            [
                program("go", install="Go 1.21 or later"),
                "build",
                "-C",
                str(_SOURCE),
                "-o",
                str(self._program),
                ".",
            ]
        )
        self._body = folder / "body.json"
        self._body.write_bytes(_body())

    def run(self, settings: Settings, token: str, secret: str, connections: int) -> LoadRun:
        """Posts to the receiver of these settings for some seconds."""
        endpoint = {"token": token, "secret": secret}
        return self.post(settings, [endpoint], body=self._body, connections=connections)

    def post(
        self, settings: Settings, endpoints: Sequence[Mapping[str, str]], **words: object
    ) -> LoadRun:
        """Posts with these options of the load generator.

        The endpoints take turns by the numbers of the requests. Raises BenchFailed unless
        every answer is 200.
        """
        words |= {
            "address": f"127.0.0.1:{settings.receiver.port}",
            "path": ",".join(f"/webhooks/ycloud/{one['token']}" for one in endpoints),
            "secret": ",".join(one["secret"] for one in endpoints),
        }
        done = subprocess.run(
            [self._program, *(f"-{name}={value}" for name, value in words.items())],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BenchFailed(f"the load generator failed: {done.stderr}")
        result = msgspec.json.decode(done.stdout, type=LoadRun)
        if result.refused:
            raise BenchFailed(f"{result.refused} requests were not answered 200")
        return result


def _body() -> bytes:
    """A text as YCloud delivers it, with BODY_BYTES bytes.

    The load generator puts a new id into each copy.
    """
    _, _, body = webhook(0)
    event = json.loads(body)
    event["whatsappInboundMessage"]["wamid"] = "wamid.HBgLMTIwMjU1NTAxNDcVAgASGCBBQzc0ID_HERE"
    length = (
        BODY_BYTES
        - len(json.dumps(event))
        + len(event["whatsappInboundMessage"]["text"]["body"])
        - 13
    )
    event["whatsappInboundMessage"]["text"]["body"] = ("lorem ipsum " * 200)[:length]
    return json.dumps(event).encode()


def on_a_port(settings: Settings) -> Settings:
    """Returns the settings with a free port for the receiver."""
    return msgspec.structs.replace(
        settings,
        receiver=msgspec.structs.replace(
            settings.receiver, port=free_port({settings.receiver.port})
        ),
    )


class _Nowhere:
    """A log that stores nothing."""

    healthy = True

    def send(
        self, topic: str, key: bytes, value: bytes, headers: Headers, done: DeliveryCallback
    ) -> None:
        asyncio.get_running_loop().call_soon(done, None)

    def overdue(self) -> Unavailable:
        return Unavailable("kafka")


class _OneEndpoint:
    """A directory with one unsigned endpoint."""

    loaded = healthy = True

    def endpoint(self, token: str) -> Endpoint | None:
        return Endpoint(
            endpoint_id="bench-endpoint",
            token=_TOKEN,
            tenant_id=TENANT,
            provider="ycloud",
            unsigned=True,
        )

    def ended(self, token: str) -> EndedToken | None:
        return None

    def tenant(self, tenant_id: TenantId) -> Tenant | None:
        return Tenant(tenant_id=tenant_id)

    def key(self, plain: str) -> ApiKey | None:
        return None


async def _serve(settings: Settings) -> None:
    receiver = settings.receiver
    app = Receiver(
        receiver,
        "raw-messages",
        _Nowhere(),
        _OneEndpoint(),
        ProviderFunctions(identify, DIRECT.accept, check_signature),
    )
    server = ReceiverServer(
        app,
        head_seconds=receiver.header_seconds,
        max_connections=2 * max(CONNECTIONS),
        drain_seconds=receiver.drain_seconds,
    )
    installation = installation_of(settings.namespace, settings.secrets.key)
    await run_until_signal(
        server, listening_socket(receiver.host, receiver.port, installation), app.drain
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(read_settings()))
