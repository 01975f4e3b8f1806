"""Doctor's checks of the stages and the sink: workers, backlogs, and jobs that wait."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from schemas.parked import Parked, ParkedReason
from schemas.pipeline import STAGES
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.client import QUIET, client_config
from storage.kafka.counts import WrongCounts
from storage.postgres.sql import queries
from streams.audit.backlog import StageBacklog
from streams.commands.checks import CheckResult
from streams.commands.environment import database
from streams.commands.queue import backlogs, causes_of
from streams.commands.waiting import counted, why

LOOK_SECONDS = 2.0
"""The time between two readings, in which a healthy worker makes progress."""
SLOW_SECONDS = 5.0
MOST_READ = 50
"""How many offsets of a partition are read.

They suffice to find its first unread record after transaction markers.
"""
MOST_NAMED = 3
_SECONDS = 8.0
_AWAY = (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError)
Causes = Mapping[str, Sequence[Any]]
_TO_DO: dict[ParkedReason, str] = {
    "version_unknown": "a newer program wrote it: upgrade this role, or run the doctor of that "
    "version",
    "offset_missing": "restore the group's offset, or delete the changelog to begin again; in a "
    "further set of topics: sensorium topics take-over",
    "offset_lost": "set the group's offset to where it must continue",
    "partition_count": "see 'Another number of partitions'",
}
"""What to do about a parked partition. The page docs/operating.md has more."""


async def stage_findings(settings: Settings, waiting_seconds: float) -> list[CheckResult]:
    """Returns one result per stage, and one for the sink.

    Without Kafka it returns none; without Postgres it leaves out the sink and the
    causes. Other checks report that these are unavailable.
    """
    causes = await _causes(settings)
    stages = list(STAGES) if causes is None else [*STAGES, "sink"]
    try:
        workers = _workers(settings)
        before, wrong = await _read(settings, stages)
        after = before
        behind = [stage for stage, backlog in before.items() if backlog.first]
        if behind:
            await asyncio.sleep(LOOK_SECONDS)
            after = before | (await _read(settings, behind))[0]
    except (KafkaException, TimeoutError, *_AWAY):
        return []
    now = time.time()
    found = wrong + [
        finding_of(
            after[stage],
            first,
            workers.get(stage, 0),
            (causes or {}).get(stage, ()),
            waiting_seconds,
            now,
        )
        for stage, first in before.items()
    ]
    lost = await _lost_positions(settings)
    return [lost if lost is not None and one.part == lost.part else one for one in found]


async def _lost_positions(settings: Settings) -> CheckResult | None:
    """The finding of a sink whose positions the log does not have, or None."""
    topics = Names(settings.namespace).topics
    try:
        async with database(settings) as connection:
            rows = await connection.fetch(queries("sink")["lost_positions"], topics)
    except _AWAY:
        return None
    if not rows:
        return None
    places = ", ".join(
        f"{row['topic']}[{row['partition']}] (position {row['next_offset']}, the log ended at "
        f"{row['lost_end']})"
        for row in rows[:MOST_NAMED]
    )
    amount = counted(len(rows), "partition")
    return CheckResult(
        "sink",
        False,
        f"{amount} parked (offset_lost): {places}. See 'A position that the log does not have' "
        "in docs/operating.md",
    )


async def _read(
    settings: Settings, stages: Sequence[str]
) -> tuple[dict[str, StageBacklog], list[CheckResult]]:
    """The backlogs by stage, and a result for each stage whose topics have a wrong count."""
    found: dict[str, StageBacklog] = {}
    wrong: list[CheckResult] = []
    for stage in stages:
        try:
            (found[stage],) = await backlogs(settings, [stage], MOST_READ)
        except WrongCounts as error:
            says = f"partitions beyond the smaller number are parked (partition_count): {error}"
            wrong.append(CheckResult(stage, False, says))
    return found, wrong


def finding_of(
    backlog: StageBacklog,
    before: StageBacklog,
    workers: int,
    causes: Sequence[Any],
    waiting_seconds: float,
    now: float,
) -> CheckResult:
    """Judges one stage.

    `before` is its backlog a moment ago. If a record was unread then and still is, the
    stage makes no progress.
    """
    stage = backlog.stage
    command = "sensorium sink" if stage == "sink" else f"sensorium stream {stage}"
    if not workers:
        waits = f", {_amount(backlog)} wait" if backlog.unread or backlog.jobs else ""
        return CheckResult(
            stage, False, f"no worker runs{waits}: is `{command}` up, what does its log say?"
        )
    stuck = {
        place: at
        for place, (offset, at) in backlog.first.items()
        if before.first.get(place, (None, 0))[0] == offset and now - at > SLOW_SECONDS
    }
    parked = {p: why for p, why in backlog.suspect.items() if p in stuck} | backlog.parked
    stuck_since = [at for place, at in stuck.items() if place not in parked]
    wrong = _parked_words(parked) if parked else ""
    if stuck_since:
        age = now - min(stuck_since)
        wrong += (
            f"{'. ' if parked else ''}it makes no progress: "
            f"{counted(backlog.unread, 'unread record')}, the oldest for {age:.0f} s. Is its "
            "process frozen or stopped (sensorium status)? See its log, and /status on its "
            "operations port"
        )
    if wrong:
        return CheckResult(stage, False, wrong)
    text = f"{counted(workers, 'worker')}, {_amount(backlog)}"
    age = 0.0 if backlog.oldest_at is None else now - backlog.oldest_at
    if backlog.jobs and age > waiting_seconds:
        text += f", the oldest for {age:.0f} s"
    rejected = [cause for cause in causes if cause["cause"] == "model_rejected_key"]
    is_wrong = bool(rejected) or (bool(backlog.jobs) and age > waiting_seconds)
    named = (rejected or list(causes))[:MOST_NAMED]
    if is_wrong and named:
        text += ": " + "; ".join(_cause(cause) for cause in named)
    elif is_wrong:
        text += f": sensorium queue --stage {stage}"
    return CheckResult(stage, not is_wrong, text)


def _parked_words(parked: Mapping[tuple[str, int], Parked]) -> str:
    """The parked partitions, and what to do about each reason."""
    named = sorted(parked.items())[:MOST_NAMED]
    words = [
        f"partition {topic}[{partition}] is parked ({why.reason}: {why.detail}): "
        f"{_TO_DO[why.reason]}"
        for (topic, partition), why in named
    ]
    if more := len(parked) - len(named):
        words.append(f"and {more} more")
    return "; ".join(words) + ". The other partitions continue"


def _cause(cause: Any) -> str:
    """Describes whose jobs wait, why, and what to do."""
    text = f"{cause['jobs']} of {cause['tenant_id']} wait since {cause['since']:%H:%M:%S}Z"
    text += f", {why(cause)}, next try {cause['next_at']:%H:%M:%S}Z"
    if cause["cause"].startswith("model_"):
        text += f" (sensorium doctor --tenant {cause['tenant_id']})"
    return text


def _amount(backlog: StageBacklog) -> str:
    parts = [counted(backlog.unread, "unread record")] if backlog.unread else []
    parts += [counted(backlog.jobs, "job")] if backlog.jobs else []
    return " and ".join(parts) or "nothing waits"


def _workers(settings: Settings) -> dict[str, int]:
    """Returns the number of members of each stage's consumer group, from the brokers."""
    names = Names(settings.namespace)
    groups = {names.group(stage): stage for stage in (*STAGES, "sink")}
    admin = AdminClient(client_config(settings.kafka) | QUIET)
    futures = admin.describe_consumer_groups(list(groups), request_timeout=_SECONDS)
    workers = {}
    for group, answer in futures.items():
        described = answer.result()
        is_dead = described.state in (ConsumerGroupState.DEAD, ConsumerGroupState.EMPTY)
        workers[groups[group]] = 0 if is_dead else len(described.members)
    return workers


async def _causes(settings: Settings) -> Causes | None:
    """Returns the causes by stage, or None if Postgres is unavailable."""
    by_stage: dict[str, list[Any]] = defaultdict(list)
    try:
        for cause in await causes_of(settings, None):
            by_stage[cause["stage"]].append(cause)
    except _AWAY:
        return None
    return by_stage
