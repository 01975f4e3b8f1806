"""Faults of the sink, and of a Postgres that lost its last commits.

A sink stops in mid-transaction, and a standby that is behind takes over.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from streams.local.postgres import account, programs
from tests.chaos import gather
from tests.chaos.world import World, process_state

DELAY_SECONDS_AT_MOST = 15.0
_EPOCHS = "SELECT topic || '[' || partition || ']', epoch FROM sink_offsets"


def sink_frozen(world: World) -> None:
    """Stops a sink in mid-transaction, with locks on rows and positions.

    The other sinks soon have all its partitions. It stops first between two statements,
    where the server's own limit ends its session, and then in a COPY, which has no such
    limit.
    """
    for failpoint in ("sink_before_commit:3:stop", "sink_in_copy:5:stop"):
        _frozen_at(world, failpoint)


def _frozen_at(world: World, failpoint: str) -> None:
    second = "sink#2"
    world.crew.start(second, failpoint)

    def stands_still() -> bool:
        process = world.pipeline.processes.get(second)
        return process is not None and process_state(process.pid) == "T"

    world.must(stands_still, 90, "a sink stands still in its transaction")
    before = dict(_ask(world, _EPOCHS))
    world.disturb(second, "a sink stands still in mid-transaction")

    def all_taken_over() -> bool:
        now = dict(_ask(world, _EPOCHS))
        return all(now[partition] > epoch for partition, epoch in before.items())

    in_time = DELAY_SECONDS_AT_MOST + world.pipeline.settings.kafka.session_timeout_seconds
    began = time.monotonic()
    if not world.until(all_taken_over, in_time):
        world.failures.append(
            f"partitions of a sink that stood still at {failpoint} were not taken over in {in_time:g} s"
        )
    took = round(time.monotonic() - began, 1)
    world.notes["taken_over_seconds"] = max(took, world.notes.get("taken_over_seconds", 0.0))
    world.sleep(world.seconds)
    os.kill(world.pipeline.processes[second].pid, signal.SIGCONT)
    world.disturb(second, "it wakes up")
    world.sleep(3.0)
    world.crew.stop(second)


def standby_promoted(world: World) -> None:
    """Replaces the primary by a standby without the last seconds of it.

    The standby is a copy of that moment, at the same port.
    """
    home: Path = world.servers.data("postgres")
    copy = home.with_name("standby")
    _base_backup(world, copy)
    behind = _ask(world, "SELECT 'rows', count(*) FROM chat_messages")[0][1]
    world.say("a standby stopped hearing the primary")
    world.sleep(world.seconds)
    ahead = _ask(world, "SELECT 'rows', count(*) FROM chat_messages")[0][1]
    world.servers.kill_and_keep_away("postgres")
    shutil.rmtree(home)
    copy.rename(home)
    world.servers.bring_back("postgres")
    world.say("the standby took over")
    world.notes["rows_not_heard"] = ahead - behind
    if ahead == behind:
        world.failures.append("the standby did not lag: the fault hurt nothing")


def _base_backup(world: World, folder: Path) -> None:
    address = urlsplit(str(world.pipeline.settings.postgres.dsn))
    owner = account(world.servers.data("postgres"))
    folder.mkdir(mode=0o700)
    if owner.uid is not None and owner.gid is not None:
        os.chown(folder, owner.uid, owner.gid)
    where = ("-h", address.hostname or "", "-p", str(address.port), "-U", address.username or "")
    subprocess.run(
        [
            *owner.prefix,
            str(programs() / "pg_basebackup"),
            *where,
            *("-D", str(folder), "-X", "stream", "-c", "fast"),
        ],
        env={**os.environ, "PGPASSWORD": address.password or ""},
        cwd="/",
        check=True,
        capture_output=True,
        user=owner.uid,
        group=owner.gid,
        extra_groups=None if owner.uid is None else [],
    )


def _ask(world: World, sql: str) -> list[tuple[str, Any]]:
    async def ask() -> list[tuple[str, Any]]:
        connection = await gather.open_connection(world.pipeline.settings)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    return asyncio.run(ask())
