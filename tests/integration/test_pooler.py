"""PgBouncer in transaction mode gives each transaction any server, where nothing may stay."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest

from schemas.keys import TenantId
from schemas.models import Answer
from schemas.settings import Postgres, Secret, Settings
from schemas.topics import Names
from storage.postgres.ai_results import AiResults
from storage.postgres.pool import REQUESTS, connect, connect_directly, keep_setting
from streams.local.postgres import account
from streams.local.processes import wait_for
from tests.integration.databases import Pool, pooled, schema
from tests.integration.receivers import unused_port
from tests.integration.test_sink_writer import Sink, owner
from tests.unit.records import message

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SERVERS = 2
ANSWER = Answer("A cat.", "gpt-4o", "recipe", None, 85, 3, 242, 900)

if PROGRAM is None:
    pytest.skip("PgBouncer is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def bouncer(stack: Settings) -> Iterator[Postgres]:
    """A pooler in front of the stack's Postgres, with two server connections for everybody."""
    to, port = urlsplit(str(stack.postgres.dsn)), unused_port()
    folder = Path(tempfile.mkdtemp(prefix="sensorium-pooler-"))
    who = account(folder / "none")
    (folder / "users.txt").write_text(f'"{to.username}" "{unquote(to.password or "")}"\n')
    (folder / "pooler.ini").write_text(
        f"[databases]\n{to.path[1:]} = host={to.hostname} port={to.port}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\npool_mode = transaction\n"
        f"auth_type = scram-sha-256\nauth_file = {folder}/users.txt\ndefault_pool_size = {SERVERS}\n"
    )
    for path in (folder, *folder.iterdir()):
        if who.uid is not None and who.gid is not None:
            os.chown(path, who.uid, who.gid)
    server = subprocess.Popen(
        [*who.prefix, str(PROGRAM), "-q", str(folder / "pooler.ini")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        user=who.uid,
        group=who.gid,
        extra_groups=None if who.uid is None else [],
    )
    dsn = f"postgresql://{to.netloc.rpartition('@')[0]}@127.0.0.1:{port}{to.path}"
    try:
        assert wait_for(lambda: _listens(port), 60)
        yield Postgres(dsn=Secret(dsn), listen_dsn=stack.postgres.dsn, pooler="transaction")
    finally:
        server.terminate()
        server.wait(60)
        shutil.rmtree(folder)


def _listens(port: int) -> bool:
    return f":{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()


async def test_two_namespaces_share_servers_and_see_only_their_own(
    stack: Settings, namespace: str, bouncer: Postgres
) -> None:
    one, two = Names(namespace), Names(f"{namespace}-b")
    async with (
        schema(stack.postgres, one) as database,
        schema(stack.postgres, two),
        pooled(bouncer, one) as first,
        pooled(bouncer, two) as second,
    ):
        sinks = [Sink(first, await owner(database))]
        acme = TenantId("acme")

        async def write() -> None:
            for number in range(20):
                await sinks[0].write(message(message_key=f"acme:ycloud:w{number}"))

        async def answers(pool: Pool, expected: int) -> None:
            results = AiResults(pool)
            for number in range(20):
                await results.record(acme, f"{number:064}", "vision", "v1", ANSWER)
                assert await results.find(acme, f"{number:064}", ["recipe"]) == ANSWER
                counted = await pool.fetchval(
                    "SELECT count(*) FROM ai_results WHERE tenant_id = $1", acme
                )
                assert counted <= expected

        await asyncio.gather(write(), answers(first, 20), answers(second, 20))
        assert await first.fetchval("SELECT count(*) FROM chat_messages") == 20
        assert await second.fetchval("SELECT count(*) FROM chat_messages") == 0


async def test_each_transaction_has_its_limits_and_leaves_none(
    stack: Settings, namespace: str, bouncer: Postgres
) -> None:
    names = Names(namespace)
    async with schema(stack.postgres, names), pooled(bouncer, names, size=8) as pool:
        expected = REQUESTS.settings()["lock_timeout"]
        ask = "SELECT setting FROM pg_settings WHERE name = 'lock_timeout'"
        assert set(await asyncio.gather(*(pool.fetchval(ask) for _ in range(30)))) == {expected}
        to = urlsplit(str(bouncer.dsn))
        bare = await asyncpg.connect(to.geturl(), statement_cache_size=0)
        async with bare.transaction():
            assert await bare.fetchval(ask) == "0"
            assert await bare.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
        await bare.close()


async def test_what_a_command_sets_goes_with_each_of_its_transactions_and_with_no_other(
    namespace: str, bouncer: Postgres
) -> None:
    connection, other = [await connect(bouncer, Names(namespace)) for _ in range(2)]
    await keep_setting(connection, "sensorium.actor", "o'brien@host")
    ask = "SELECT coalesce(current_setting('sensorium.actor', true), '')"
    for _ in range(4):
        assert await connection.fetchval(ask) == "o'brien@host"
        assert await other.fetchval(ask) == ""
    await connection.close()
    await other.close()


async def test_listening_goes_past_the_pooler(namespace: str, bouncer: Postgres) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await connect_directly(bouncer, Names(namespace), "test")
    await listener.add_listener("test_pooler", lambda *told: heard.put_nowait(str(told[3])))
    async with pooled(bouncer, Names(namespace)) as pool:
        await pool.fetchval("SELECT pg_notify($1, $2)", "test_pooler", "hello")
    assert await asyncio.wait_for(heard.get(), 60) == "hello"
    await listener.close()
