"""What doctor looks at of the stages and the sink:
workers, what they have not read, and jobs that wait.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from schemas.pipeline import STAGES
from schemas.settings import Settings
from schemas.topics import Names
from schemas.versions import UnknownVersion
from storage.kafka.client import QUIET, client_config
from streams.audit.backlog import StageBacklog
from streams.commands.checks import CheckResult
from streams.commands.queue import backlogs, causes_of
from streams.commands.waiting import counted, why

LOOK_SECONDS = 2.0
"""Between two looks a worker that is well commits, or reads on."""
SLOW_SECONDS = 5.0
MOST_READ = 50
"""Enough of a partition to find its first
unread record behind marks of transactions.
"""
MOST_NAMED = 3
_SECONDS = 8.0
_AWAY = (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError)
Causes = Mapping[str, Sequence[Any]]


async def stage_findings(settings: Settings, waiting_seconds: float) -> list[CheckResult]:
    """One finding for each stage and the sink.

    Other parts say that Kafka is away, or Postgres, which the sink and the causes need.
    """
    causes = await _causes(settings)
    stages = list(STAGES) if causes is None else [*STAGES, "sink"]
    try:
        workers = _workers(settings)
        before = await backlogs(settings, stages, MOST_READ)
        after = before
        if any(backlog.first for backlog in before):
            await asyncio.sleep(LOOK_SECONDS)
            behind = [backlog.stage for backlog in before if backlog.first]
            looked = {one.stage: one for one in await backlogs(settings, behind, MOST_READ)}
            after = [looked.get(backlog.stage, backlog) for backlog in before]
    except (KafkaException, TimeoutError, UnknownVersion, *_AWAY):
        return []
    now = time.time()
    return [
        finding_of(
            one,
            first,
            workers.get(first.stage, 0),
            (causes or {}).get(first.stage, ()),
            waiting_seconds,
            now,
        )
        for first, one in zip(before, after, strict=True)
    ]


def finding_of(
    backlog: StageBacklog,
    before: StageBacklog,
    workers: int,
    causes: Sequence[Any],
    waiting_seconds: float,
    now: float,
) -> CheckResult:
    """`before` is the same a moment ago: what was unread then and is unread now does not move."""
    stage = backlog.stage
    command = "sensorium sink" if stage == "sink" else f"sensorium stream {stage}"
    if not workers:
        waits = f", {_amount(backlog)} wait" if backlog.unread or backlog.jobs else ""
        return CheckResult(
            stage, False, f"no worker runs{waits}: is `{command}` up, what does its log say?"
        )
    stands = [
        at
        for place, (offset, at) in backlog.first.items()
        if before.first.get(place, (None, 0))[0] == offset and now - at > SLOW_SECONDS
    ]
    if stands:
        age = now - min(stands)
        return CheckResult(
            stage,
            False,
            f"it does not read on: {counted(backlog.unread, 'unread record')}, the oldest for {age:.0f} s."
            " Is its process frozen or stopped (sensorium status)? Its log says more",
        )
    said = f"{counted(workers, 'worker')}, {_amount(backlog)}"
    age = 0.0 if backlog.oldest_at is None else now - backlog.oldest_at
    if backlog.jobs and age > waiting_seconds:
        said += f", the oldest for {age:.0f} s"
    rejected = [cause for cause in causes if cause["cause"] == "model_rejected_key"]
    is_wrong = bool(rejected) or (bool(backlog.jobs) and age > waiting_seconds)
    named = (rejected or list(causes))[:MOST_NAMED]
    if is_wrong and named:
        said += ": " + "; ".join(_cause(cause) for cause in named)
    elif is_wrong:
        said += f": sensorium queue --stage {stage}"
    return CheckResult(stage, not is_wrong, said)


def _cause(cause: Any) -> str:
    """Whose jobs wait, why, and what to do."""
    said = f"{cause['jobs']} of {cause['tenant_id']} wait since {cause['since']:%H:%M:%S}Z, {why(cause)}"
    said += f", next try {cause['next_at']:%H:%M:%S}Z"
    if cause["cause"].startswith("model_"):
        said += f" (sensorium doctor --tenant {cause['tenant_id']})"
    return said


def _amount(backlog: StageBacklog) -> str:
    parts = [counted(backlog.unread, "unread record")] if backlog.unread else []
    parts += [counted(backlog.jobs, "job")] if backlog.jobs else []
    return " and ".join(parts) or "nothing waits"


def _workers(settings: Settings) -> dict[str, int]:
    """Members of each stage's group, as the brokers know them."""
    names = Names(settings.namespace)
    groups = {names.group(stage): stage for stage in (*STAGES, "sink")}
    admin = AdminClient(client_config(settings.kafka) | QUIET)
    asked = admin.describe_consumer_groups(list(groups), request_timeout=_SECONDS)
    found = {}
    for group, answer in asked.items():
        described = answer.result()
        is_dead = described.state in (ConsumerGroupState.DEAD, ConsumerGroupState.EMPTY)
        found[groups[group]] = 0 if is_dead else len(described.members)
    return found


async def _causes(settings: Settings) -> Causes | None:
    """By stage; None while Postgres does not say."""
    found: dict[str, list[Any]] = defaultdict(list)
    try:
        for cause in await causes_of(settings, None):
            found[cause["stage"]].append(cause)
    except _AWAY:
        return None
    return found
