"""A cursor of the feed stays valid after a failover to a standby without the last commits."""

import asyncpg

from connectors.console.change_positions import place_text
from connectors.console.feed import FeedReader, Filter
from connectors.console.queries import ConsoleQueries
from schemas.keys import TenantId
from schemas.topics import Names
from storage.postgres.migrate import migrate
from storage.postgres.pool import connect
from tests.integration.console import row
from tests.integration.databases import Connection, merge, pooled
from tests.integration.standby import primary_and_standby
from tests.integration.waiting import until

ACME = TenantId("acme")


async def write(connection: Connection, *identifiers: str) -> None:
    for identifier in identifiers:
        await merge(connection, row(identifier))


async def read(reading: ConsoleQueries, after: str | None) -> tuple[list[str], str]:
    """The changes after a cursor, and the next cursor."""
    feed = FeedReader(reading, ACME, Filter(), 100)
    await feed.begin(after)
    page = await feed.look()
    found = [one.place.message_key.rpartition(":")[2] for one in page.changes]
    return found, place_text(ACME, page.end)


async def test_what_is_written_again_after_a_failover_is_behind_every_cursor(
    namespace: str,
) -> None:
    names = Names(namespace)
    with primary_and_standby() as pair:
        primary = await connect(pair.primary(), names, "test")
        await migrate(primary, names)
        await write(primary, "1", "2")
        standby = await asyncpg.connect(
            pair.standby_dsn(), server_settings={"search_path": names.postgres_schema}
        )

        async def heard() -> bool:
            return (
                await standby.fetchval("SELECT to_regclass('chat_messages')") is not None
                and await standby.fetchval("SELECT count(*) FROM chat_messages") == 2
            )

        await until(heard, 60)
        await standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
        await standby.execute("SELECT pg_reload_conf()")
        await until(
            lambda: primary.fetchval("SELECT NOT EXISTS (SELECT FROM pg_stat_replication)"), 60
        )
        await write(primary, "3", "4", "5")  # the standby never hears of them
        async with pooled(pair.primary(), names) as pool:
            before, cursor = await read(ConsoleQueries(pool), None)
        assert before == ["1", "2", "3", "4", "5"]
        primary.terminate()
        pair.kill_primary()
        await standby.execute("SELECT pg_promote()")
        await until(lambda: standby.fetchval("SELECT NOT pg_is_in_recovery()"), 60)
        async with pooled(pair.settings, names) as pool:
            reading = ConsoleQueries(pool)
            assert (await read(reading, cursor))[0] == []
            await write(standby, "3", "4")  # the sink reads them again, under numbers used before
            again, cursor = await read(reading, cursor)
            assert again == ["3", "4"]
            await write(standby, "6")
            assert (await read(reading, cursor))[0] == ["6"]
        await standby.close()
