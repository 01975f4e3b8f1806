"""Counts the raw records of each tenant for a plan.

It also adds up what the models' answers for them have cost.
"""

import contextlib
from collections import Counter

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

COUNTING_SECONDS = 20.0
"""How long records are read before the plan is shown.

If there are more, the plan shows the number of offsets, which is an upper limit.
"""
KEYS_AT_ONCE = 5_000


async def count_raw(
    settings: Settings,
    repairs: Repairs,
    request: RepairRequest,
    erased: Erased,
    seconds: float = COUNTING_SECONDS,
) -> Counted:
    """Reads the ranges for at most `seconds` and counts their records.

    Raises Unavailable.
    """
    try:
        counted, keys = await read_in_thread(_read, settings, request, erased, seconds)
    except KafkaException as error:
        raise Unavailable("kafka", 5.0, detail=error.args[0].str()[:200]) from error
    except TimeoutError as error:
        raise Unavailable("kafka", 5.0, detail=str(error)[:200]) from error
    answers, unpriced, microusd = 0, 0, 0
    for begin in range(0, len(keys), KEYS_AT_ONCE):
        portion = keys[begin : begin + KEYS_AT_ONCE]
        cost = await repairs.cost_of([t for t, _ in portion], [k for _, k in portion])
        answers, unpriced, microusd = answers + cost[0], unpriced + cost[1], microusd + cost[2]
    return msgspec.structs.replace(
        counted,
        microusd=microusd if counted.is_whole and not unpriced else None,
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
    deadline, is_whole = Deadline(seconds), True
    try:
        spans = _chosen(reader, request.choice)
        with contextlib.closing(reader.again(spans, tenant, 0)) as items:
            for item in items:
                for write in item.writes:
                    name = (header(write.headers, "tenant") or b"").decode(errors="replace")
                    tenants[name] += 1
                    keys[name, write.key.decode(errors="replace")] = None
                if deadline.has_passed:
                    is_whole = False
                    break
    finally:
        reader.close()
    records = tenants.total() if is_whole else sum(span.end - span.begin for span in spans)
    lines = tuple(PlanLine(name, "", "raw", count) for name, count in tenants.most_common())
    choice = msgspec.structs.replace(request.choice, spans=tuple(map(str, spans)))
    return Counted(records, lines, choice, is_whole=is_whole), list(keys)
