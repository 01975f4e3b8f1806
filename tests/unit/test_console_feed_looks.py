"""The feed over changes in memory: when a waiting request looks again."""

from datetime import UTC, datetime

from connectors.console.change_positions import ChangePosition, Edge
from connectors.console.feed import FeedReader, Filter
from connectors.console.queries import Change
from schemas.keys import TenantId

ACME = TenantId("acme")
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Written:
    """A change as Postgres would return it.

    `ends` are the numbers, one per query, below which everything is complete.
    """

    def __init__(self, xid: int, ends: list[int]) -> None:
        self.xid = xid
        self.ends = ends

    async def edge(self, tenant_id: TenantId) -> Edge:
        return Edge(1, self.ends.pop(0), 1, 1_000)

    async def changes(
        self, tenant_id: TenantId, after: ChangePosition, edge: Edge, most: int
    ) -> list[Change]:
        place = ChangePosition(1, self.xid, AT, "acme:p:1")
        is_served = (place.era, place.xid) < (edge.era, edge.xid) and place > after
        return [Change(place, "conversation", "complete", "text")] if is_served else []

    async def has_incomplete_changes(self, tenant_id: TenantId, edge: Edge) -> bool:
        return (1, self.xid) >= (edge.era, edge.xid)


def feed_of(written: Written) -> FeedReader:
    return FeedReader(written, ACME, Filter(), 10)  # type: ignore[arg-type]


async def test_a_change_that_becomes_complete_during_a_look_is_looked_for_at_once() -> None:
    feed = feed_of(
        Written(7, [7, 8])
    )  # a sink that writes another tenant's messages ends meanwhile
    first = await feed.look()
    assert first.waits and first.again_seconds is not None
    assert [one.place.xid for one in (await feed.look()).changes] == [7]


async def test_a_look_that_leaves_nothing_behind_waits_for_news() -> None:
    feed = feed_of(Written(7, [8, 8]))
    assert len((await feed.look()).changes) == 1
    second = await feed.look()
    assert second.waits and second.again_seconds is None


async def test_a_change_that_stays_incomplete_is_looked_for_ever_less_often() -> None:
    feed = feed_of(Written(7, [7] * 8))
    soon = [(await feed.look()).again_seconds for _ in range(8)]
    assert soon == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0]
