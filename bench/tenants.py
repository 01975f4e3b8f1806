"""Measures what tenants cost a role that does nothing else.

It measures the start, a change of one of them, and the time without changes.

`python -m bench.tenants role` is the role, `python -m bench.tenants change` changes
settings from outside.
"""

import asyncio
import contextlib
import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from bench.figures import Figure, Table, percentile
from bench.rig import Rig
from schemas.keys import TenantId
from schemas.settings import Settings
from schemas.tenants import Endpoint, TenantSettings
from schemas.topics import Names
from storage.postgres.directory import Directory
from storage.postgres.pool import connect
from storage.postgres.tenancy import Tenancy
from storage.postgres.tenant_index import TenantIndex, digest
from storage.postgres.vault import Vault
from streams.local.lifecycle import sensorium
from streams.settings import read_settings

COUNTS = (10, 1_000, 10_000)
ROUNDS = 3
CHANGES = 100
IDLE_SECONDS = 10.0
LOOK_SECONDS = 0.002
ENDPOINTS_OF_EACH = 2


def run(rig: Rig) -> list[Table]:
    runs: dict[int, list[dict[str, float]]] = {}
    for count in COUNTS:
        settings = rig.fresh()
        sensorium(settings, "migrate")
        asyncio.run(_fill(settings, count))
        runs[count] = [rig.result(settings, "bench.tenants", "role") for _ in range(ROUNDS)]
    titles = {
        "start": ("until everything is known", "s"),
        "start_cpu": ("CPU until everything is known", "ms"),
        "start_stall": ("longest stall of the event loop at the start", "ms"),
        "memory": ("growth of resident memory", "MiB"),
        "idle_cpu": ("CPU while nothing changes", "ms each minute"),
        "change_cpu": ("CPU for each change", "ms"),
        "change_p50": ("a change is known after its commit, p50", "ms"),
        "change_max": ("a change is known after its commit, largest", "ms"),
        "change_stall": ("longest stall of the event loop while things change", "ms"),
    }
    return [
        Table(
            bench="tenants",
            title=f"tenants, each with {ENDPOINTS_OF_EACH} endpoints and a key, one role: {title}",
            unit=unit,
            figures=[
                Figure(name=f"{count:,} tenants", runs=[run[name] for run in runs[count]])
                for count in COUNTS
            ],
        )
        for name, (title, unit) in titles.items()
    ]


async def _fill(settings: Settings, count: int) -> None:
    names, vault = Names(settings.namespace), Vault(settings.secrets.key)
    connection = await connect(settings.postgres, names, "bench")
    sealed = vault.seal(msgspec.json.encode(TenantSettings()))
    tenants = [f"tenant-{number}" for number in range(count)]
    endpoints = [
        Endpoint(
            endpoint_id=f"ep_{tenant}_{number}",
            token=f"{tenant}-{number}",
            tenant_id=TenantId(tenant),
            provider="ycloud",
            secrets=("whsec_" + "x" * 32,),
        )
        for tenant in tenants
        for number in range(ENDPOINTS_OF_EACH)
    ]
    try:
        async with connection.transaction():
            await connection.copy_records_to_table(
                "tenants",
                records=[(tenant, sealed) for tenant in tenants],
                columns=["tenant_id", "settings"],
                schema_name=names.postgres_schema,
            )
            await connection.copy_records_to_table(
                "webhook_endpoints",
                records=[
                    (
                        one.tenant_id,
                        one.endpoint_id,
                        one.provider,
                        digest(one.token),
                        vault.seal(msgspec.json.encode(one)),
                    )
                    for one in endpoints
                ],
                columns=["tenant_id", "endpoint_id", "provider", "token_sha256", "sealed"],
                schema_name=names.postgres_schema,
            )
            await connection.copy_records_to_table(
                "api_keys",
                records=[(tenant, digest(f"key of {tenant}"), "read") for tenant in tenants],
                columns=["tenant_id", "key_sha256", "scope"],
                schema_name=names.postgres_schema,
            )
        await connection.execute("ANALYZE tenants, webhook_endpoints, api_keys, directory_changes")
    finally:
        await connection.close()


class _Stalls:
    """Measures the longest time for which the event loop was blocked."""

    def __init__(self) -> None:
        self._seen: list[float] = []
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            self._seen.append(time.monotonic())
            await asyncio.sleep(LOOK_SECONDS)

    def longest(self) -> float:
        """Returns the longest stall in seconds since the previous call."""
        seen, self._seen = [*self._seen, time.monotonic()], []
        return max(0.0, *(after - before for before, after in pairwise(seen))) - LOOK_SECONDS

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


async def role(settings: Settings) -> dict[str, float]:
    """Starts a directory, leaves it idle, and changes settings from outside.

    Returns the cost of each.
    """
    directory = Directory(settings.postgres, Names(settings.namespace), Vault(settings.secrets.key))
    stalls = _Stalls()
    memory, began, cpu = _resident_mib(), time.monotonic(), time.process_time()
    await directory.start()
    await directory.wait_loaded()
    figures = {
        "start": time.monotonic() - began,
        "start_cpu": (time.process_time() - cpu) * 1e3,
        "start_stall": stalls.longest() * 1e3,
        "memory": _resident_mib() - memory,
    }
    await stalls.stop()  # its own polling would be most of an idle role's work
    cpu = time.process_time()
    await asyncio.sleep(IDLE_SECONDS)
    figures["idle_cpu"] = (time.process_time() - cpu) * 1e3 * 60 / IDLE_SECONDS
    figures |= await _changes(directory)
    await directory.stop()
    return figures


async def _changes(directory: Directory) -> dict[str, float]:
    delays: list[float] = []
    exchange = TenantIndex.exchange

    def noted(index: TenantIndex, names: Any, *rows: Any) -> None:
        exchange(index, names, *rows)
        for name in names:
            tenant = directory.tenant(TenantId(name))
            if tenant is not None and tenant.settings.language is not None:
                delays.append(time.monotonic() - float(tenant.settings.language))

    TenantIndex.exchange = noted  # type: ignore[method-assign, assignment]
    stalls = _Stalls()
    changing = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.tenants", "change", stdout=asyncio.subprocess.DEVNULL
    )
    cpu = time.process_time()
    await changing.wait()
    async with asyncio.timeout(30):
        while len(delays) < CHANGES:
            await asyncio.sleep(0.01)
    figures = {
        "change_cpu": (time.process_time() - cpu) * 1e3 / CHANGES,
        "change_p50": percentile(delays, 0.5) * 1e3,
        "change_max": max(delays) * 1e3,
        "change_stall": stalls.longest() * 1e3,
    }
    await stalls.stop()
    return figures


async def change(settings: Settings) -> None:
    """Sets the language of one tenant after another to the current time.

    So the value tells when the change was made.
    """
    names = Names(settings.namespace)
    connection = await connect(settings.postgres, names, "bench")
    try:
        tenancy = Tenancy(connection, Vault(settings.secrets.key))
        tenants = await connection.fetch(
            "SELECT tenant_id FROM tenants ORDER BY tenant_id LIMIT 50"
        )
        for number in range(CHANGES):
            name = tenants[number % len(tenants)]["tenant_id"]
            await tenancy.set_tenant(name, {"language": f"{time.monotonic()}"})
            await asyncio.sleep(0.02)
    finally:
        await connection.close()


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


if __name__ == "__main__":
    if sys.argv[1] == "role":
        print(json.dumps(asyncio.run(role(read_settings()))))
    else:
        asyncio.run(change(read_settings()))
