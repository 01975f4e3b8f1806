"""The outcomes of deliveries as an operator sees them.

One part uses a receiver as a process, the other only the task that writes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from connectors.providers.catalogue import sign
from connectors.webhooks.deliveries import Attempt, Deliveries, stranger_name
from connectors.webhooks.delivery_log import DeliveryLog
from schemas.settings import Settings
from schemas.tenants import Endpoint
from schemas.topics import Names
from storage.postgres.sql import queries
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from tests.integration.commands import Commands
from tests.integration.databases import PATIENT, Connection, Pool, pooled, schema
from tests.integration.receivers import Receiver, event, receiving
from tests.integration.waiting import until as until_async

SECONDS = 60.0
LOCK_SECONDS = 60.0


@pytest.fixture
def commands(stack: Settings, namespace: str) -> Iterator[Commands]:
    made = Commands(msgspec.structs.replace(stack, namespace=namespace), {})
    made.make_tables()
    made.json("tenants", "add", "acme")
    yield made
    made.drop_tables()


@pytest.fixture
def receiver(commands: Commands, tmp_path: Path) -> Iterator[Receiver]:
    commands.make_topics()
    with receiving(commands.settings, tmp_path) as process:
        asyncio.run(process.wait_ready())
        yield process


def post(
    receiver: Receiver, path: str, secret: str, body: bytes = event("1"), *, at: float = 0
) -> int:
    headers = sign("ycloud", secret, body, int(time.time() + at))
    return httpx.post(
        receiver.url + path, content=body, headers=headers, trust_env=False, timeout=SECONDS
    ).status_code


def reasons(commands: Commands, *words: str) -> dict[str, int]:
    rows = commands.json("endpoints", "deliveries", *words)["deliveries"]
    found: dict[str, int] = {}
    for row in rows:
        found[row["reason"]] = found.get(row["reason"], 0) + row["deliveries"]
    return found


def until(commands: Commands, wanted: dict[str, int], *words: str) -> None:
    began = time.monotonic()
    while (found := reasons(commands, *words)) != wanted:
        assert time.monotonic() - began < SECONDS, found
        time.sleep(0.1)


def test_an_operator_sees_why_a_delivery_was_refused_and_what_to_do(
    commands: Commands, receiver: Receiver
) -> None:
    added = commands.json("endpoints", "add", "acme", "ycloud", "--secret-later")
    name, path = added["endpoint_id"], f"/webhooks/ycloud/{added['token']}"
    began = time.monotonic()
    while post(receiver, path, "whsec_a") != 503:
        assert time.monotonic() - began < SECONDS
    until(commands, {"secret_awaited": 1}, name)
    said = commands.run("endpoints", "deliveries", name).stdout
    assert f"sensorium endpoints secret {name} --set SECRET" in said

    secret = commands.json("endpoints", "secret", name, "--set", "whsec_right")["secret_ids"][0]
    began = time.monotonic()
    while post(receiver, path, "whsec_right") != 200:
        assert time.monotonic() - began < SECONDS
    assert post(receiver, path, "whsec_wrong") == 401
    assert post(receiver, path.replace("ycloud", "chatwoot"), "whsec_right") == 401
    assert post(receiver, path, "whsec_right", at=-90_000) == 401
    began = time.monotonic()
    while not {"signature_mismatch", "signature_expired"} <= set(reasons(commands, name)):
        assert time.monotonic() - began < SECONDS
        time.sleep(0.1)
    rows = {
        row["reason"]: row
        for row in commands.json("endpoints", "deliveries", added["token"])["deliveries"]
    }
    assert set(rows) == {
        "secret_awaited",
        "accepted",
        "signature_mismatch",
        "wrong_provider",
        "signature_expired",
    }
    assert rows["accepted"]["signed_with"] == secret and rows["accepted"]["last_status"] == 200
    assert rows["accepted"]["what_to_do"] is None
    assert rows["signature_mismatch"]["last"]["secrets_tried"] == [secret]
    assert rows["wrong_provider"]["last"]["path_provider"] == "chatwoot"
    assert rows["signature_expired"]["last"]["signature_age_seconds"] >= 90_000
    shown = str(rows)
    assert added["token"] not in shown and "whsec_right" not in shown
    (listed,) = commands.json("endpoints", "list")["endpoints"]
    assert listed["accepted_at"] is not None and listed["refused_reason"] == "signature_expired"
    metrics = httpx.get(f"{receiver.url}/metrics", trust_env=False, timeout=SECONDS).text
    refused = {
        sample.labels["reason"]
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "sensorium_receiver_refused_total"
    }
    assert refused == set(rows) - {"accepted"}


def test_a_token_that_nobody_has_or_that_has_ended_is_explained(
    commands: Commands, receiver: Receiver
) -> None:
    old = commands.json("endpoints", "add", "acme", "ycloud")
    new = commands.json("endpoints", "rotate-token", old["endpoint_id"])
    gone = commands.json("endpoints", "add", "acme", "ycloud")
    commands.json("endpoints", "remove", gone["endpoint_id"])
    fresh = commands.json("endpoints", "add", "acme", "ycloud")
    began = time.monotonic()
    while post(receiver, f"/webhooks/ycloud/{fresh['token']}", fresh["secret"]) != 200:
        assert time.monotonic() - began < SECONDS
    for token in (old["token"], gone["token"], "mistyped"):
        assert post(receiver, f"/webhooks/ycloud/{token}", "whsec_x") == 401
    until(commands, {"url_replaced": 1}, old["endpoint_id"])
    until(commands, {"endpoint_removed": 1}, gone["endpoint_id"])
    assert reasons(commands, old["token"]) == reasons(commands, new["token"]) == {"url_replaced": 1}
    removed = commands.json("endpoints", "deliveries", gone["token"])
    assert removed["endpoint"]["ended"] is True and "endpoint_removed" in str(removed)
    until(commands, {"unknown_token": 1}, "mistyped")
    unknown = commands.run("endpoints", "deliveries", "mistyped")
    assert "unknown_token  1 time" in unknown.stdout and "mistyped" not in unknown.stdout
    assert "no endpoint has or had this token" in unknown.stderr
    everything = commands.run("endpoints", "deliveries")
    assert "(unknown token)" in everything.stdout
    assert (
        "(unknown token)" not in commands.run("endpoints", "deliveries", "--tenant", "acme").stdout
    )


def test_an_endpoint_to_which_nothing_was_delivered_says_where_to_look(commands: Commands) -> None:
    commands.more["SENSORIUM_RECEIVER__URL"] = "https://hooks.example.com"
    added = commands.json("endpoints", "add", "acme", "ycloud")
    result = commands.run("endpoints", "deliveries", added["endpoint_id"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "does https://hooks.example.com lead to the receiver?" in result.stderr
    assert "no endpoint has the id ep_none" in commands.fails("endpoints", "deliveries", "ep_none")
    assert "there is no tenant" in commands.fails("endpoints", "deliveries", "--tenant", "nobody")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert commands.json("endpoints", "deliveries", "--since", later) == {"deliveries": []}


# --- the task that writes


class World:
    def __init__(self, connection: Connection, pool: Pool) -> None:
        self.connection = connection
        self.deliveries = Deliveries()
        self.log = DeliveryLog(pool, self.deliveries)

    def note(self, name: str, tenant: str = "acme", reason: str = "accepted") -> None:
        endpoint = Endpoint(
            endpoint_id=name,
            token=name,
            tenant_id=tenant,  # type: ignore[arg-type]
            provider="ycloud",
        )
        self.deliveries.note(Attempt("ycloud", name, "", endpoint=endpoint), reason, 200)  # type: ignore[arg-type]

    async def rows(self) -> dict[tuple[str, str], Any]:
        rows = await self.connection.fetch(
            "SELECT tenant_id, endpoint_id, sum(deliveries)::int AS n FROM webhook_deliveries GROUP BY 1, 2"
        )
        return {(row["tenant_id"], row["endpoint_id"]): row["n"] for row in rows}


@pytest.fixture
async def world(stack: Settings, namespace: str) -> AsyncIterator[World]:
    names = Names(namespace)
    patient = replace(PATIENT, lock_seconds=LOCK_SECONDS)
    async with (
        schema(stack.postgres, names) as connection,
        pooled(stack.postgres, names, limits=patient) as pool,
    ):
        await Tenancy(connection, Vault(str(stack.secrets.key))).add_tenant("acme")
        yield World(connection, pool)


async def test_two_receivers_add_to_the_same_counts(world: World) -> None:
    for _ in range(2):
        world.note("ep_1")
        assert await world.log.write(at_once=True) == 1
    assert await world.rows() == {("acme", "ep_1"): 2}


async def test_what_is_counted_while_postgres_refuses_is_written_afterwards(world: World) -> None:
    running = asyncio.create_task(world.log.run())
    try:
        await world.connection.execute("ALTER TABLE webhook_deliveries RENAME TO away")
        world.note("ep_1")
        await asyncio.sleep(0)
        world.note("ep_1")
        await world.connection.execute("ALTER TABLE away RENAME TO webhook_deliveries")

        async def written() -> bool:
            return await world.rows() == {("acme", "ep_1"): 2}

        await until_async(written, SECONDS, "the counts are written")
    finally:
        running.cancel()


async def test_a_role_that_ends_writes_what_it_has_and_does_not_wait_for_postgres(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.webhooks.delivery_log.LAST_SECONDS", 0.3)
    for number in range(700):
        world.note(f"ep_{number}")
    async with world.connection.transaction():
        await world.connection.execute("LOCK TABLE webhook_deliveries")
        began = time.monotonic()
        await world.log.finish()
        assert time.monotonic() - began < LOCK_SECONDS / 2, (
            "it does not wait for the lock as long as a session may"
        )
    monkeypatch.setattr("connectors.webhooks.delivery_log.LAST_SECONDS", SECONDS)
    await world.log.finish()
    assert sum((await world.rows()).values()) == 700


async def test_nothing_is_kept_of_a_removed_tenant(stack: Settings, world: World) -> None:
    world.note("ep_1")
    await world.log.write()
    tenancy = Tenancy(world.connection, Vault(str(stack.secrets.key)))
    await tenancy.remove_tenant("acme", keep_data=False)
    world.note("ep_1")
    await world.log.write(at_once=True)
    assert await world.rows() == {}


async def test_old_days_and_old_strangers_are_forgotten(world: World) -> None:
    world.note("ep_1")
    for number in range(5):
        world.deliveries.note(Attempt("ycloud", f"guess-{number}", ""), "unknown_token", 401)
    await world.log.write(at_once=True)
    await world.connection.execute(
        "UPDATE webhook_deliveries SET last_at = last_at - interval '1 hour' WHERE endpoint_id = $1",
        stranger_name("guess-2"),
    )
    await world.connection.execute(queries("deliveries")["forget_strangers"], 4)
    assert set(await world.rows()) == {("acme", "ep_1")} | {
        ("", stranger_name(f"guess-{number}")) for number in (0, 1, 3, 4)
    }
    await world.connection.execute("UPDATE webhook_deliveries SET day = day - 31")
    await world.log.tidy()
    assert await world.rows() == {}
