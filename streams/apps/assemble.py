"""The assemble stage as a Faust app: batches of enrichments, a table of open messages."""

from datetime import datetime
from functools import partial

from confluent_kafka import Message

from schemas.arrival import Arrival
from schemas.codec import Undecodable, decode
from schemas.outcomes import Duplicate, Output, Quarantine, Skip, outcome_label
from schemas.pipeline import TABLE_OF
from schemas.receipts import Line
from schemas.records import Enrichment
from schemas.settings import Settings
from schemas.topics import Names
from schemas.versions import UnknownVersion
from storage import failpoints
from streams.apps import closing
from streams.apps.encoding import PROCESS_KILLER, Encoding, TooLarge, utc_now
from streams.lanes.agents import run_batches
from streams.lanes.app import LaneApp, lane_app
from streams.lanes.batches import Batch
from streams.lanes.changelogs import COMPACTED
from streams.lanes.receipts import line
from streams.lanes.state import KeptValues
from streams.lanes.transactions import Write
from streams.stages.assemble import (
    ClosedMessage,
    OpenMessage,
    assemble,
    fold,
    kept_message,
)


def create_app(settings: Settings) -> LaneApp:
    """Builds the app. The `stream` role starts its worker."""
    names = Names(settings.namespace)
    encoding = Encoding(names, settings.kafka.partitions)
    app = lane_app("assemble", settings)
    opened = app.lane_table(
        TABLE_OF["assemble"],
        partitions=settings.kafka.partitions,
        new_state=KeptValues,
        extra_topic_configs=COMPACTED
        | {
            "min.insync.replicas": str(settings.kafka.min_insync_replicas),
            "max.message.bytes": str(8 * 1024 * 1024),
        },
    )
    batches = app.batch_lanes(opened, weigh=weight)
    run_batches(app, batches, partial(decide, encoding=encoding))
    return app


def weight(values: KeptValues, message: Message) -> int:
    """A bound, in bytes, for what one enrichment makes the stage hold and write.

    It includes the message as kept so far, because even a small enrichment of a large
    message makes a large version.
    """
    return 4 * (len(message.value() or b"") + len(values.get(message.key() or b"") or b""))


class _Folding:
    """The messages that one batch changes. Each gets at most one version per batch."""

    def __init__(self, values: KeptValues) -> None:
        self._values = values
        self.states: dict[bytes, OpenMessage | ClosedMessage] = {}
        self.last: dict[bytes, Arrival] = {}
        self.grown: set[bytes] = set()

    def fold(self, arrival: Arrival) -> tuple[str, str] | Quarantine:
        """Folds one enrichment and returns (outcome, reason), or a Quarantine.

        Raises UnknownVersion before any part of it is folded.
        """
        try:
            failpoints.reading(arrival.value)
            enrichment = decode(Enrichment, arrival.value)
            state = self._state(arrival.key)
            match fold(state, enrichment):
                case Duplicate() | Skip() as outcome:
                    return outcome_label(outcome)
                case OpenMessage() as folded:
                    self.states[arrival.key] = folded
                    self.last[arrival.key] = arrival
                    if enrichment.kind == "opened" and folded.is_first_written:
                        self.grown.discard(arrival.key)
                    else:
                        self.grown.add(arrival.key)
                    return "folded", ""
        except Undecodable as error:
            return Quarantine("record_undecodable", str(error))

    def _state(self, key: bytes) -> OpenMessage | ClosedMessage | None:
        if key not in self.states:
            value = self._values.get(key)
            if value is None:
                return None
            self.states[key] = kept_message(value)
        return self.states[key]


def decide(batch: Batch[KeptValues], encoding: Encoding) -> None:
    """Folds all enrichments in order, then emits one version of each message that grew.

    Messages whose version is their last one are closed.
    """
    folding = _Folding(batch.state)
    decided = _Decided(encoding)
    newer = _fold_each(batch, folding, decided, encoding)
    now = utc_now()
    today = int(now.timestamp()) // 86_400
    changelog: list[tuple[bytes, bytes | None]] = []
    for key, state in folding.states.items():
        if isinstance(state, ClosedMessage) or key not in folding.last:
            continue
        grown = key in folding.grown
        is_closed = grown and decided.emit(state, folding.last[key], now)
        value = closing.kept_of_closed(state, today) if is_closed else state.to_bytes()
        changelog.append(batch.state.put(key, value))
    changelog += closing.forgotten(batch.state, today)
    writes, lines = decided.results()
    batch.settle(writes, changelog, lines, newer)


class _Decided:
    """What became of each record of a batch, and the versions to write."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._records: list[tuple[Message, Arrival, tuple[str, str] | Quarantine]] = []
        self._versions: list[Write] = []
        self._too_large: dict[int, Quarantine] = {}

    def add(self, message: Message, arrival: Arrival, became: tuple[str, str] | Quarantine) -> None:
        self._records.append((message, arrival, became))

    def emit(self, state: OpenMessage, last: Arrival, now: datetime) -> bool:
        """Adds the next version and returns True if it is the last one.

        A message that was redone so often that its steps alone fill a record ends here,
        and the record that was folded last is quarantined. A person must look at it,
        while other messages continue.
        """
        version = assemble(state, now)
        state.last_version = version.version
        output = Output(
            "enriched-messages",
            version.message_key,
            version,
            state.generation,
            version.conversation_id,
        )
        try:
            self._versions.append(self._encoding.write(output, last.traceparent))
        except TooLarge as error:
            self._too_large[last.offset] = Quarantine("record_too_large", str(error))
            return True
        return version.status != "pending"

    def results(self) -> tuple[list[Write], list[Line]]:
        """The writes of the batch, and one line per record. Called once all is decided."""
        writes, lines = self._versions.copy(), []
        for message, arrival, folded in self._records:
            became = self._too_large.get(arrival.offset, folded)
            if isinstance(became, Quarantine):
                writes.append(self._encoding.quarantined(arrival, "assemble", became))
                became = outcome_label(became)
            lines.append(line(message, *became, arrival.generation))
        return writes, lines


def _fold_each(
    batch: Batch[KeptValues], folding: _Folding, decided: _Decided, encoding: Encoding
) -> UnknownVersion | None:
    """Folds the records in order. Stops at one of a newer program and returns its error."""
    for message, is_killer in batch.each():
        arrival = encoding.arrival(message)
        try:
            became = PROCESS_KILLER if is_killer else folding.fold(arrival)
        except UnknownVersion as error:
            return error
        decided.add(message, arrival, became)
    return None
