"""The product's programs with one change: `python -m tests.chaos.programs older stream dedupe`.

A stage's parent starts its worker with the same change.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from streams.roles import stream

THIS = "tests.chaos.programs"
POLL_INTERVAL_SECONDS = 3.0
"""The time after which Kafka removes a member that does not poll.

The product's own time-out is minutes, which is too long to wait for here.
"""
SECONDS_PER_RECORD = 0.004
"""The time that a slow dedupe takes per record.

So an import of a few hundred records per second is more than it can process.
"""

LOSING_SECONDS = 0.2


def older() -> None:
    """A release that does not know the schema with which the receiver or assemble writes."""
    from schemas import codec

    known = codec.pinned_schemas()
    for schema_id in [i for i, s in known.items() if s.record in ("RawMessage", "EnrichedMessage")]:
        del known[schema_id]


def impatient() -> None:
    """A worker that Kafka removes after some seconds without a poll."""
    from streams.lanes import app, membership

    app.POLL_INTERVAL_SECONDS = membership.POLL_INTERVAL_SECONDS = POLL_INTERVAL_SECONDS


def slow() -> None:
    """A dedupe that is easily overloaded."""
    from streams.apps import dedupe

    decide = dedupe.decide

    def slowly(batch: Any, **more: Any) -> None:
        time.sleep(SECONDS_PER_RECORD * len(batch.messages))
        decide(batch, **more)

    dedupe.decide = slowly


def no_claims() -> None:
    """A dedupe that remembers no message."""
    from streams.apps import dedupe
    from streams.lanes.claims import ClaimedKeys

    class Forgetful(ClaimedKeys):
        def __contains__(self, digest: bytes) -> bool:
            return False

    dedupe.ClaimedKeys = Forgetful


def offset_first() -> None:
    """Lanes that first commit their position alone and then wait, so that a death loses the output."""
    from streams.lanes import lane
    from streams.lanes.transactions import PartitionTransactions, Transaction

    class OffsetFirst(PartitionTransactions):
        def commit(self, transaction: Transaction) -> float:
            if transaction.next_offset is not None:
                # In a transaction of its own: a plain commit from outside is refused while the group has members.
                super().commit(Transaction(next_offset=transaction.next_offset))
                time.sleep(LOSING_SECONDS)
            return super().commit(transaction)

    lane.PartitionTransactions = OffsetFirst


def no_first_line() -> None:
    """Lanes whose receipts leave out the first record of each transaction."""
    from streams.lanes import transactions

    whole = transactions.Ledger

    class Leaving(whole):
        def receipts(self, span: Any, lines: Any) -> list[bytes]:
            return whole.receipts(self, span, lines[1:])

    transactions.Ledger = Leaving


CHANGES: dict[str, Callable[[], None]] = {
    "older": older,
    "impatient": impatient,
    "slow": slow,
    "no_claims": no_claims,
    "offset_first": offset_first,
    "no_first_line": no_first_line,
}


def main(change: str, words: list[str]) -> None:
    CHANGES[change]()
    stream.WORKER = (sys.executable, "-m", THIS, change, "worker")
    if words[0] == "worker":
        from streams.roles import worker

        stage, pipe, parent, memory, killers = words[1:]
        worker.main(stage, int(pipe), int(parent), int(memory), json.loads(killers))
    else:
        from streams.commands.main import main as command

        command(words)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
