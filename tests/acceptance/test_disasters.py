"""Loses one of the three stores, and follows docs/operating.md.

The pipeline is a separate one, because it is taken apart.
"""

import asyncio
import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas.settings import Settings
from storage.kafka.client import client_config
from storage.objects.store import ObjectStore
from storage.postgres.pool import connect
from streams.local.postgres import programs
from streams.local.samples import MEDIA_DIR, SampleFile, link, mime_of, serving, ycloud
from tests.acceptance.test_removal import files_of, last_values
from tests.pipeline import ROLES, Pipeline, Tenant, wait_for
from tests.quick_commands import run_quickly

PICTURE = MEDIA_DIR / "cat.jpg"


@pytest.fixture(scope="module")
def ours(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    running = Pipeline(
        stack,
        f"d{secrets.token_hex(3)}",
        tmp_path_factory.mktemp("disasters"),
        model_retry_seconds=900,  # what is unfinished stays so however slow the machine is
    )
    try:
        running.start_all()
        with serving({"cat.jpg": PICTURE}, running.ports["media"]):
            yield running
    finally:
        running.stop_all()


def picture(ours: Pipeline) -> SampleFile:
    return SampleFile(
        "image", link(f"http://127.0.0.1:{ours.ports['media']}", "cat.jpg"), mime_of(PICTURE)
    )


def start(ours: Pipeline, *names: str) -> None:
    for name in names:
        ours.start(name)
    for name in names:
        ours.wait_ready(name)


async def rows(ours: Pipeline, tenant: str) -> dict[str, Any]:
    connection = await connect(ours.settings.postgres, ours.names, "test")
    try:
        found = await connection.fetch("SELECT * FROM chat_messages WHERE tenant_id = $1", tenant)
        return {row["message_key"]: row for row in found}
    finally:
        await connection.close()


async def has(ours: Pipeline, tenant: str, **statuses: str) -> dict[str, Any]:
    """Waits until there are these rows and no others, by the last part of their keys."""

    async def so() -> Any:
        found = await rows(ours, tenant)
        return {key: row["status"] for key, row in found.items()} == statuses and found

    return dict(await wait_for(so, f"{tenant} has {statuses}"))


def run(*words: str, **options: Any) -> None:
    """Runs one of PostgreSQL's own programs."""
    done = subprocess.run(
        [programs() / words[0], *words[1:]], capture_output=True, text=True, timeout=120, **options
    )
    assert done.returncode == 0, done.stderr


async def test_a_database_from_a_backup_catches_up_and_remembers_what_was_erased(
    ours: Pipeline, tmp_path: Path
) -> None:
    tenant = Tenant(ours, "restored")
    kept, erased = (
        ycloud("se queda", picture(ours), what="kept"),
        ycloud("se va", None, what="text"),
    )
    for one in (kept, erased):
        assert tenant.post(one) == 200
    keys = [one.key("restored") for one in (kept, erased)]
    await has(ours, "restored", **dict.fromkeys(keys, "complete"))
    dsn, backup = str(ours.settings.postgres.dsn), str(tmp_path / "backup")
    schema = ours.names.postgres_schema
    run("pg_dump", "--format=custom", f"--schema={schema}", f"--file={backup}", dsn)
    later = ycloud("más tarde", None, what="text")
    assert tenant.post(later) == 200
    await has(ours, "restored", **dict.fromkeys([*keys, later.key("restored")], "complete"))
    await asyncio.to_thread(ours.command, "replay", "raw", "--since", "2026-01-01", "--tenant", "restored")  # fmt: skip
    await asyncio.to_thread(ours.command, "erase", "message", keys[1], "--yes")
    await asyncio.to_thread(ours.stop_all)
    run("psql", "--quiet", dsn, "-c", f'DROP SCHEMA "{schema}" CASCADE')
    run("pg_restore", f"--dbname={dsn}", backup)
    await asyncio.to_thread(start, ours, "stand-in", *ROLES)
    after = dict.fromkeys([keys[0], later.key("restored")], "complete")
    await has(ours, "restored", **after)
    replayed = await asyncio.to_thread(
        ours.command, "replay", "raw", "--since", "2026-01-01", "--tenant", "restored"
    )

    async def redone() -> bool:
        found = await rows(ours, "restored")
        return {row["version"] // 1000 for row in found.values()} == {replayed["generation"]}

    await wait_for(redone, "the replay is no duplicate of the one that the backup does not know")
    await has(ours, "restored", **after)


async def wipe(ours: Pipeline) -> None:
    """Makes Kafka as it is after the loss of its disks: without our topics and groups."""
    admin = AdminClient(client_config(ours.settings.kafka))
    names = admin.list_topics(timeout=20).topics
    for future in admin.delete_topics(
        [n for n in names if n.startswith(ours.names.prefix)]
    ).values():
        future.result(30)

    async def without_groups() -> bool:
        there = (await asyncio.to_thread(admin.list_consumer_groups().result, 20)).valid
        left = [one.group_id for one in there if one.group_id.startswith(ours.names.prefix)]
        for future in admin.delete_consumer_groups(left).values() if left else ():
            with suppress(KafkaException):  # a member that ended is one until its session is over
                future.result(30)
        return not left

    await wait_for(without_groups, "every group has ended")

    async def without_topics() -> bool:
        there = (await asyncio.to_thread(admin.list_topics, timeout=20)).topics
        return not any(name.startswith(ours.names.prefix) for name in there)

    await wait_for(without_topics, "clients see no topic any more")


async def test_without_kafka_rows_stay_and_what_was_unfinished_is_finished(ours: Pipeline) -> None:
    tenant = Tenant(ours, "survives")
    text = ycloud("hola", None, what="text")
    assert tenant.post(text) == 200
    ours.control({"fault": "server_error"})
    unfinished = ycloud("mira", picture(ours), what="picture")
    assert tenant.post(unfinished) == 200
    before = {text.key("survives"): "complete", unfinished.key("survives"): "pending"}
    await has(ours, "survives", **before)
    await asyncio.to_thread(ours.stop_all)
    await wipe(ours)
    await asyncio.to_thread(ours.make_topics)
    await asyncio.to_thread(start, ours, "stand-in", *(name for name in ROLES if name != "sink"))
    done = await asyncio.to_thread(ours.command, "recover", "kafka", "--yes")
    assert done["reopened"] == 1 and len(done["topics"]) == 3
    await asyncio.to_thread(start, ours, "sink")
    again = ycloud("otra vez", None, what="text")
    assert tenant.post(again) == 200 and tenant.post(text) == 200
    after = dict.fromkeys([*before, again.key("survives")], "complete")
    found = await has(ours, "survives", **after)
    assert found[text.key("survives")]["version"] == 1
    values = await asyncio.to_thread(last_values, ours, "survives")
    assert {key.decode() for (key, _), value in values.items() if value} == set(after)


async def test_without_the_store_rows_keep_what_was_seen_and_new_files_are_kept(
    ours: Pipeline,
) -> None:
    tenant = Tenant(ours, "fileless")
    old = ycloud("antes", picture(ours), what="picture")
    assert tenant.post(old) == 200
    await has(ours, "fileless", **{old.key("fileless"): "complete"})
    store = ObjectStore(ours.settings.objects, threads=1)
    for key in await files_of(ours, "fileless"):
        await store.delete(key)
    await store.close()
    found = await asyncio.to_thread(audit, ours)
    assert any("is not in the store" in one for one in found)
    new = ycloud("después", picture(ours), what="picture")
    assert tenant.post(new) == 200
    await has(ours, "fileless", **dict.fromkeys([old.key("fileless"), new.key("fileless")], "complete"))  # fmt: skip
    assert len(await files_of(ours, "fileless")) == 1
    await asyncio.to_thread(ours.command, "replay", "raw", "--since", "2026-01-01", "--tenant", "fileless")  # fmt: skip

    async def both() -> bool:
        return len(await files_of(ours, "fileless")) == 2

    await wait_for(both, "the provider still had the file")


def audit(ours: Pipeline) -> list[str]:
    """The findings of the audit, which then exits with 1."""
    done = run_quickly(["audit", "--tenant", "fileless", "--json"], ours.environment())
    return [one["what"] for one in json.loads(done.stdout)["findings"]]
