import re
from datetime import UTC, datetime, timedelta

from connectors.console.pages.flow import STATIONS
from schemas.metrics import DURATION_BOUNDS
from schemas.records import Attachment
from storage.postgres.stage_minutes import StageMinute, StageMinutes
from tests.browser.scene import Scene, said
from tests.integration.people import visitor_of

PAGE = "/t/acme/pipeline"


def minute(stage: str, ago: int = 0, member: str = "one", **fields: object) -> StageMinute:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    took = [0] * (len(DURATION_BOUNDS) + 1)
    took[5] = 40
    values = {
        "records": 120, "per_second": 2.5, "outcomes": {"forwarded": 118, "failed": 2}, "took": took,
        "unread": 3, "waiting": 4, "oldest_seconds": 75.0,
    } | fields  # fmt: skip
    return StageMinute(now - timedelta(minutes=ago), stage, member, **values)  # type: ignore[arg-type]


def station(text: str, place: int) -> str:
    return re.findall(r'<li class="station.*?</li>\n(?=<li class="station|</ol>)', text, re.DOTALL)[
        place
    ]


async def test_the_flow_adds_up_what_the_processes_of_a_stage_wrote(scene: Scene) -> None:
    rows = StageMinutes(scene.console.connection)
    await rows.write(minute("describe"))
    await rows.write(minute("describe"))  # again in the place of the first
    await rows.write(minute("describe", member="two", oldest_seconds=10.0))
    await rows.write(minute("sink"))
    database = scene.console.connection
    await database.execute(
        "UPDATE stage_minutes SET written_at = now() - interval '1 minute' WHERE stage = 'sink'"
    )
    ana = await visitor_of(scene, "ana")
    text = (await ana.get(PAGE)).text
    described = station(text, STATIONS.index("describe"))
    assert '<span class="big-number">5</span>' in described and ">75 s</span>" in described
    assert "<dd>14</dd>" in described and "<dd>2</dd>" in described
    assert "<strong>236</strong>" in described and "<strong>4</strong>" in described
    assert "None of its processes has reported" in station(text, STATIONS.index("sink"))
    assert "not seen yet" in station(text, STATIONS.index("transcribe"))
    await ana.client.aclose()


async def test_a_stage_that_stopped_itself_is_seen(scene: Scene) -> None:
    await scene.console.connection.execute(
        "INSERT INTO stage_stops (stage, detail) VALUES ('dedupe', 'x')"
    )
    ana = await visitor_of(scene, "ana")
    assert "stopped itself" in station((await ana.get(PAGE)).text, STATIONS.index("dedupe"))
    await ana.client.aclose()


async def test_a_day_of_the_flow_is_in_tables(scene: Scene) -> None:
    rows = StageMinutes(scene.console.connection)
    for ago in (30, 31, 60, 26 * 60):
        await rows.write(minute("dedupe", ago))
    ana = await visitor_of(scene, "ana")
    text = (await ana.get(PAGE)).text
    table = re.search(r'<table id="table-rate".*?</table>', text, re.DOTALL)
    assert table is not None and table[0].count('scope="row"') in (
        2,
        3,
    )  # 26 hours ago is not in it
    assert 'id="table-p99"' in text and 'data-value="0.0' in text
    await ana.client.aclose()


async def test_people_of_one_tenant_see_that_tenant_and_nothing_of_the_whole_flow(
    scene: Scene,
) -> None:
    await scene.person("rita", "admin")
    await StageMinutes(scene.console.connection).write(minute("dedupe"))
    lost = Attachment(index=0, type="image", status="failed", reason="media_gone")
    await scene.console.write(
        said("1", 3), said("2", 2, None, lost), said("3", 1, None, status="pending", kind="image")
    )
    database = scene.console.connection
    for tenant, cost in (("acme", 1_230_000), ("other", 77_770_000)):
        await database.execute(
            "INSERT INTO ai_usage VALUES ($1, current_date, 'describe', 'm', 5, 1, 1, $2)",
            tenant,
            cost,
        )
    rita = await visitor_of(scene, "rita")
    text = (await rita.get(PAGE)).text
    assert 'class="station' not in text and "table-rate" not in text
    assert "3 in all" in text and "$1.2300" in text and "77.7700" not in text
    assert '<span class="big-number">1</span>' in text
    assert (await rita.get(f"{PAGE}/live")).status_code == 403
    await rita.client.aclose()
