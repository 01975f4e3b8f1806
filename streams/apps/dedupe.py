"""The dedupe stage as a Faust app: batches of raw-messages, a table of claimed keys."""

import time
from datetime import datetime
from functools import partial

from connectors.providers.catalogue import read
from schemas.arrival import Arrival
from schemas.outcomes import Forward, Outcome, Quarantine, outcome_label
from schemas.pipeline import TABLE_OF
from schemas.receipts import Line
from schemas.settings import Settings
from schemas.topics import HORIZON_MS, Names, claims_config
from schemas.versions import UnknownVersion
from storage import failpoints
from streams.apps.encoding import PROCESS_KILLER, Encoding, TooLarge, utc_now
from streams.lanes.agents import run_batches
from streams.lanes.app import LaneApp, lane_app
from streams.lanes.batches import Batch
from streams.lanes.claims import ClaimedKeys
from streams.lanes.receipts import line
from streams.lanes.transactions import Write
from streams.stages.dedupe import Claimed, dedupe

DAY_SECONDS = 86_400
HORIZON_DAYS = HORIZON_MS // 1000 // DAY_SECONDS


def create_app(settings: Settings) -> LaneApp:
    """Builds the app. The `stream` role starts its worker."""
    names = Names(settings.namespace)
    encoding = Encoding(names, settings.kafka.partitions)
    app = lane_app("dedupe", settings)
    claimed = app.lane_table(
        TABLE_OF["dedupe"],
        partitions=settings.kafka.partitions,
        new_state=ClaimedKeys,
        extra_topic_configs=claims_config(settings.kafka),
    )
    run_batches(app, app.batch_lanes(claimed), partial(decide, encoding=encoding))
    return app


def decide(batch: Batch[ClaimedKeys], encoding: Encoding) -> None:
    """Decides one outcome per record, in order.

    A forwarded record is claimed immediately, so duplicates within the batch are found.
    """
    day, recorded = int(time.time()) // DAY_SECONDS, _day_of(batch)
    # With a slow clock, this process must not claim under a day that the next owner
    # forgets. With a fast one, it must not forget claims too early.
    batch.state.forget_before(min(day, recorded) - HORIZON_DAYS)
    day = max(day, recorded)
    now = utc_now()
    writes: list[Write] = []
    lines: list[Line] = []
    newer: UnknownVersion | None = None
    for message, is_killer in batch.each():
        arrival = encoding.arrival(message)
        try:
            became = PROCESS_KILLER if is_killer else _outcome(arrival, batch.state, now)
        except UnknownVersion as error:
            newer = error
            break
        outcome, written = _written(became, arrival, encoding)
        lines.append(line(message, *outcome_label(outcome), arrival.generation))
        writes += written
        if isinstance(outcome, Forward):
            for digest in outcome.claims:
                batch.state.claim(digest, day)
    batch.settle(writes, batch.state.changelog(), lines, newer)


def _day_of(batch: Batch[ClaimedKeys]) -> int:
    """The day of the newest record, by the producers' clocks.

    The brokers accept these only within an hour of their own clocks.
    """
    return max((one.timestamp()[1] for one in batch.messages), default=0) // 1000 // DAY_SECONDS


def _outcome(arrival: Arrival, claimed: Claimed, now: datetime) -> Outcome:
    try:
        failpoints.reading(arrival.value)
        return dedupe(arrival, claimed=claimed, read=read, now=now)
    except UnknownVersion:
        raise
    except Exception as error:  # foreign bytes in an adapter: quarantine the whole record
        return Quarantine("stage_error", type(error).__name__)


def _written(outcome: Outcome, arrival: Arrival, encoding: Encoding) -> tuple[Outcome, list[Write]]:
    """The outcome and its writes.

    A message that cannot be encoded is quarantined, like one that cannot be read.
    """
    if isinstance(outcome, Forward):
        like = arrival.headers if arrival.routed and arrival.routed.is_plain else None
        try:
            return outcome, [
                encoding.write(output, arrival.traceparent, like) for output in outcome.outputs
            ]
        except TooLarge as error:
            outcome = Quarantine("record_too_large", str(error))
        except Exception as error:  # unfit for the schema: the codec may raise anything
            outcome = Quarantine("stage_error", type(error).__name__)
    if isinstance(outcome, Quarantine):
        return outcome, [encoding.quarantined(arrival, "dedupe", outcome)]
    return outcome, []
