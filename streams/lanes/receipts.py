"""Lines of a receipt: one a record of the source, and how they are counted."""

from collections import Counter
from collections.abc import Iterable
from operator import attrgetter

from confluent_kafka import Message

from schemas import metrics
from schemas.receipts import Line
from schemas.topics import Stage

_VERDICT = attrgetter("outcome", "reason")


def line(message: Message, outcome: str, reason: str = "", generation: int = 0) -> Line:
    return Line(
        message.offset() or 0,
        message.key() or b"",
        message.timestamp()[1],
        outcome,
        reason,
        generation,
    )


def count(stage: Stage, lines: Iterable[Line]) -> None:
    """Into the metrics, after the transaction committed. A job is counted when it ends, not when it is taken."""
    for (outcome, reason), number in Counter(map(_VERDICT, lines)).items():
        if outcome != "admitted":
            metrics.STAGE_RECORDS.labels(stage, outcome, reason).inc(number)
