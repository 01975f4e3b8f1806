"""What doctor and status say about stages and processes."""

import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.parked import Parked
from schemas.pipeline import STAGES
from schemas.topics import Names, changelog_of
from streams.audit.backlog import StageBacklog
from streams.commands import process_checks
from streams.commands.checks import CheckResult
from streams.commands.stage_checks import finding_of
from streams.lanes.app import lane_app
from streams.lanes.job_entries import JobEntries
from streams.local.figures import Figures, figures_in, figures_of, frozen, waits_in_words
from streams.local.home import Home, home_at
from streams.local.processes import Process, end, reap, start, wait_for
from streams.local.supervisor import Running

NOW = datetime.now(UTC)
REJECTED = {
    "tenant_id": "broken",
    "stage": "describe",
    "cause": "model_rejected_key",
    "jobs": 1,
    "since": NOW,
    "next_at": NOW,
    "detail": "model_rejected_key: 401 invalid_api_key",
}
AWAY = REJECTED | {"cause": "model_unreachable", "detail": "model_unreachable: connection refused"}


def backlog(
    *, unread: int = 0, jobs: int = 0, age: float = 0.0, first: int = 7, stage: str = "describe"
) -> StageBacklog:
    found = StageBacklog(stage)
    at = 1_000.0 - age
    if unread or jobs:
        waits = found.of("acme")
        waits.unread, waits.jobs, waits.oldest_at = unread, jobs, at
    if unread:
        found.first["vision", 0] = (first, at)
    return found


CASES: list[tuple[str, StageBacklog, StageBacklog, int, list[Any], bool, str]] = [
    ("at rest", backlog(), backlog(), 2, [], True, "2 workers, nothing waits"),
    ("down", backlog(), backlog(), 0, [], False, "no worker runs: is `sensorium stream describe`"),
    ("down, behind", backlog(unread=3), backlog(unread=3), 0, [], False, ", 3 unread records wait"),
    (
        "frozen",
        backlog(unread=3, age=40),
        backlog(unread=3, age=40),
        1,
        [],
        False,
        "makes no progress: 3 unread records, the oldest for 40 s",
    ),
    ("just come", backlog(unread=1, age=3), backlog(unread=1, age=3), 1, [], True, "1 unread"),
    (
        "reading on",
        backlog(unread=9, age=40, first=8),
        backlog(unread=9, age=41),
        1,
        [],
        True,
        "1 worker, 9 unread records",
    ),
    ("young jobs", backlog(jobs=2, age=5), backlog(), 1, [AWAY], True, "1 worker, 2 jobs"),
    (
        "old jobs",
        backlog(jobs=2, age=90),
        backlog(),
        1,
        [AWAY],
        False,
        "the oldest for 90 s: 1 of broken wait since",
    ),
    ("no cause", backlog(jobs=2, age=90), backlog(), 1, [], False, "queue --stage describe"),
    (
        "a wrong key is said at once",
        backlog(jobs=1, age=2),
        backlog(),
        1,
        [AWAY, REJECTED],
        False,
        "401 invalid_api_key",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_doctor_says_how_a_stage_fares(case: Any) -> None:
    _, found, before, workers, causes, ok, says = case
    finding = finding_of(found, before, workers, causes, 60.0, 1_000.0)
    assert (finding.ok, says in finding.says) == (ok, True), finding


def test_doctor_takes_a_partition_with_a_newer_record_for_parked_only_while_it_stands() -> None:
    newer = Parked("version_unknown", "offset 7: VisionJob under schema id 99")
    for first, ok in ((7, False), (6, True)):
        found, before = backlog(unread=3, age=40), backlog(unread=3, age=40, first=first)
        found.suspect["vision", 0] = newer
        finding = finding_of(found, before, 1, [], 60.0, 1_000.0)
        assert finding.ok == ok and ("vision[0] is parked" in finding.says) == (not ok)
        assert "makes no progress" not in finding.says


def test_doctor_still_says_that_another_partition_makes_no_progress() -> None:
    found = backlog(unread=3, age=40)
    found.parked["vision", 1] = Parked("offset_lost", "gone")
    says = finding_of(found, found, 1, [], 60.0, 1_000.0).says
    assert "vision[1] is parked (offset_lost: gone)" in says and "makes no progress" in says


def test_doctor_names_the_tenant_whose_key_is_rejected_and_how_to_try_it() -> None:
    finding = finding_of(backlog(jobs=1), backlog(), 1, [REJECTED], 60.0, 1_000.0)
    assert "of broken wait" in finding.says
    assert "sensorium doctor --tenant broken" in finding.says


@pytest.mark.parametrize(
    ("stage", "table"), [("store_media", "jobs"), ("dedupe", "claimed"), ("assemble", "open")]
)
def test_the_changelog_that_is_read_is_the_one_that_the_stage_writes(
    stage: Any, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from schemas.settings import Settings

    app = lane_app(stage, msgspec.structs.replace(Settings(), namespace="x"))
    made = app.lane_table(table, partitions=4, new_state=JobEntries, extra_topic_configs={})
    assert changelog_of(Names("x"), stage) == made.changelog_topic_name
    assert stage in STAGES


METRICS = """# HELP sensorium_stage_lag_records Records
sensorium_stage_lag_records{partition="0",stage="describe"} 3.0
sensorium_stage_lag_records{partition="1",stage="describe"} 4.0
sensorium_stage_jobs_waiting{stage="describe"} 2.0
sensorium_stage_oldest_job_seconds{stage="describe"} 62.25
sensorium_stage_job_seconds_bucket{le="0.1",stage="describe"} 9.0
"""


def test_status_reads_lag_and_jobs_from_metrics() -> None:
    assert figures_in(METRICS) == Figures(7, 2, 62.2)
    assert figures_in('sensorium_sink_lag_records{partition="0",topic="x"} 5.0\n').lag_records == 5
    assert figures_in("nothing") == Figures()
    assert waits_in_words(Figures(7, 2, 62.2)) == [
        "lag 7",
        "jobs waiting: 2, the oldest for 62.2 s",
    ]
    assert waits_in_words(Figures(0, 0, 0.0)) == []


def running(name: str, process: Process, url: str | None = None) -> Running:
    return Running(
        name=name,
        role="stream assemble",
        pid=process.pid,
        started=process.started,
        port=None,
        url=url,
        state="running",
        starts=1,
        fingerprint="x",
    )


def test_a_process_that_does_not_answer_has_no_figures() -> None:
    assert figures_of(running("assemble", Process(1, "1"), "http://127.0.0.1:1")) == Figures()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = home_at(tmp_path)
    made.make()
    return made


@pytest.fixture
def process(home: Home) -> Iterator[Process]:
    sleeper = (sys.executable, "-c", "import signal; signal.pause()")
    started = start(
        sleeper,
        log=home.logs / "x.log",
        environment=dict(os.environ),
        mark=home.mark("assemble"),
        folder=home.folder,
    )
    yield started
    end({started: signal.SIGKILL}, 5)
    reap()


def test_a_frozen_process_is_seen(
    home: Home, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_checks, "supervisor_of", lambda home: process)
    rows = [running("assemble", process)]
    home.state_file.write_bytes(msgspec.json.encode(rows))
    assert wait_for(lambda: process_checks.finding_of(home).ok, 60)
    os.kill(process.pid, signal.SIGSTOP)
    assert wait_for(lambda: bool(list(frozen(home))), 60)
    assert process_checks.finding_of(home) == CheckResult(
        "processes",
        False,
        f"assemble (pid {process.pid}) is frozen: kill -CONT {process.pid}",
    )
    os.kill(process.pid, signal.SIGCONT)
    assert wait_for(lambda: process_checks.finding_of(home).ok, 60)


def test_a_dead_process_and_a_missing_supervisor_are_seen(home: Home, process: Process) -> None:
    home.state_file.write_bytes(msgspec.json.encode([running("assemble", process)]))
    end({process: signal.SIGKILL}, 5)
    finding = process_checks.finding_of(home)
    assert not finding.ok
    assert "assemble is dead" in finding.says and "sensorium up" in finding.says
