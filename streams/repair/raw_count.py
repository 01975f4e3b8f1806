"""Counts the raw records of each tenant for a plan.

It also adds up what the models' answers for them have cost.
"""

import contextlib
from collections import Counter
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import msgspec
from confluent_kafka import KafkaException

from schemas.headers import header
from schemas.outcomes import Unavailable
from schemas.settings import Settings
from schemas.topics import Names
from storage.kafka.read_threads import read_in_thread
from storage.postgres.erased import Erased
from storage.postgres.repair_plans import (
    Counted,
    PlanLine,
    RepairChoice,
    RepairError,
    RepairRequest,
)
from storage.postgres.repairs import Repairs
from storage.waiting import Deadline
from streams.repair.raw import OffsetRange, RawReader, merged, span_of

P = ParamSpec("P")
T = TypeVar("T")
COUNTING_SECONDS = 20.0
"""How long records are read before the plan is shown.

If there are more, the plan shows the number of offsets, which is an upper limit.
"""
KEYS_AT_ONCE = 5_000
MOST_KEYS = 200_000
"""The costs of so many messages are added up.

Their keys are in memory (some 50 MiB), and every plan that a console makes at the same
time has as many. The records are counted beyond that, and their costs are not known.
"""


async def read_kafka(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a blocking read of Kafka in a thread. Raises Unavailable."""
    try:
        return await read_in_thread(read, *args, **kwargs)
    except KafkaException as error:
        raise Unavailable("kafka", 5.0, detail=error.args[0].str()[:200]) from error
    except TimeoutError as error:
        raise Unavailable("kafka", 5.0, detail=str(error)[:200]) from error


async def count_raw(
    settings: Settings,
    repairs: Repairs,
    request: RepairRequest,
    erased: Erased,
    seconds: float = COUNTING_SECONDS,
) -> Counted:
    """Reads the ranges for at most `seconds`, counts their records, and adds up costs.

    Raises Unavailable.
    """
    counted, keys = await read_kafka(_read, settings, request, erased, seconds)
    answers, unpriced, microusd = 0, 0, 0
    for begin in range(0, len(keys), KEYS_AT_ONCE):
        portion = keys[begin : begin + KEYS_AT_ONCE]
        cost = await repairs.cost_of([t for t, _ in portion], [k for _, k in portion])
        answers, unpriced, microusd = answers + cost[0], unpriced + cost[1], microusd + cost[2]
    is_known = counted.is_cost_whole and not unpriced
    return msgspec.structs.replace(
        counted,
        microusd=microusd if is_known else None,
        answers=answers,
        unpriced=unpriced,
        paid_microusd=microusd,
    )


def _chosen(reader: RawReader, choice: RepairChoice) -> list[OffsetRange]:
    """Returns the parts of the chosen ranges that the topic still has, each record once.

    Raises RepairError, WrongCounts.
    """
    if choice.since is not None and not choice.spans:
        return reader.between(choice.since, choice.until)
    try:
        spans = [span_of(text) for text in choice.spans]
    except ValueError:
        raise RepairError("repair.bad_span") from None
    held = reader.held()
    if any(span.partition not in held for span in spans):
        raise RepairError("repair.bad_span")
    return merged(span.within(held[span.partition]) for span in spans)


def _read(
    settings: Settings, request: RepairRequest, erased: Erased, seconds: float
) -> tuple[Counted, list[tuple[str, str]]]:
    reader = RawReader(settings.kafka, Names(settings.namespace), erased)
    tenant = None if request.tenant_id == "*" else str(request.tenant_id)
    tenants: Counter[str] = Counter()
    keys: dict[tuple[str, str], None] = {}
    deadline, is_whole, is_cost_whole = Deadline(seconds), True, True
    try:
        spans = _chosen(reader, request.choice)
        with contextlib.closing(reader.again(spans, tenant, 0)) as items:
            for item in items:
                for write in item.writes:
                    name = (header(write.headers, "tenant") or b"").decode(errors="replace")
                    tenants[name] += 1
                    key = (name, write.key.decode(errors="replace"))
                    if len(keys) < MOST_KEYS:
                        keys[key] = None
                    elif key not in keys:
                        is_cost_whole = False
                if deadline.has_passed:
                    is_whole = False
                    break
    finally:
        reader.close()
    records = tenants.total() if is_whole else sum(span.end - span.begin for span in spans)
    lines = tuple(PlanLine(name, "", "raw", count) for name, count in tenants.most_common())
    choice = msgspec.structs.replace(request.choice, spans=tuple(map(str, spans)))
    is_cost_whole = is_whole and is_cost_whole
    counted = Counted(records, lines, choice, is_whole=is_whole, is_cost_whole=is_cost_whole)
    return counted, list(keys)
