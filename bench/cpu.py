"""Measures the CPU time of a record in dedupe and assemble, without servers:
`python -m bench.cpu [profile]`.

The stages' own `decide` runs on real bodies, so decoding, the adapter, encoding, keys
and headers are included. What a lane adds (fetching, producing, receipts) is not.
`process_time` counts only this process, so other work on the machine has little
influence.
"""

import cProfile
import pstats
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Message

from bench.figures import Figure, Table, show
from bench.traffic import raw_record, with_duplicates
from schemas.codec import decode, encode
from schemas.headers import Headers
from schemas.keys import MessageKey
from schemas.records import Enrichment, MediaJob, Source
from schemas.topics import Names
from streams.apps import assemble, dedupe
from streams.apps.encoding import Encoding
from streams.lanes.claims import ClaimedKeys
from streams.lanes.state import KeptValues
from streams.lanes.transactions import Write

RECORDS = 5_000
BATCH_RECORDS = 500
ROUNDS = 20
_ENCODING = Encoding(Names("bench"), 4)
_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class DecidedBatch:
    """A batch as `decide` needs it, without a lane."""

    def __init__(self, state: Any, messages: Sequence[Message]) -> None:
        self.state, self.messages = state, messages
        self.writes: list[Write] = []

    def each(self) -> Iterator[tuple[Message, bool]]:
        return ((message, False) for message in self.messages)

    def settle(self, writes: list[Write], *_: object) -> None:
        self.writes = writes


def raw_messages(count: int) -> list[Message]:
    """Returns source records of dedupe."""
    return _messages("raw-messages", (raw_record(number)[:3] for number in with_duplicates(count)))


def enrichments(written: Iterable[Write]) -> list[Message]:
    """Returns source records of assemble.

    They are what dedupe wrote, and two enrichments per file: stored and described.
    """
    facts: list[tuple[bytes, bytes, Headers]] = []
    for write in written:
        if write.topic == "bench-enrichments":
            facts.append((write.key, write.value or b"", write.headers))
        elif write.topic == "bench-media":
            job = decode(MediaJob, write.value)
            facts += [
                (write.key, encode(fact), write.headers) for fact in (_stored(job), _described(job))
            ]
    return _messages("enrichments", facts)


def _messages(topic: str, records: Iterable[tuple[bytes, bytes, Headers]]) -> list[Message]:
    now_ms = int(time.time() * 1000)
    return [
        Message(
            topic=f"bench-{topic}",
            partition=0,
            offset=offset,
            key=key,
            value=value,
            headers=list(headers),
            timestamp=(1, now_ms),
        )
        for offset, (key, value, headers) in enumerate(records)
    ]


def _stored(job: MediaJob) -> Enrichment:
    where = f"media/bench/{_HASH}.jpg"
    return _fact(
        job, "stored", "store_media", next="vision", object_key=where, url=f"/{where}",
        mime_type="image/jpeg", bytes=48_211, sha256=_HASH,
    )  # fmt: skip


def _described(job: MediaJob) -> Enrichment:
    return _fact(
        job, "described", "describe", text="A dog runs over a green meadow under a blue sky. " * 4,
        model="gpt-4o-mini", recipe=_HASH[:16], prompt_version="v1", input_tokens=300,
        output_tokens=60,
    )  # fmt: skip


def _fact(job: MediaJob, kind: Any, stage: str, **fields: Any) -> Enrichment:
    return Enrichment(
        tenant_id=job.tenant_id,
        message_key=MessageKey(job.message_key),
        provider=job.provider,
        kind=kind,
        index=job.index,
        stage=stage,
        source=Source(topic="media", partition=0, offset=7),
        at=datetime.now(UTC),
        **fields,
    )


def decided(
    decide: Callable[[Any, Encoding], None], state: Any, messages: Sequence[Message]
) -> list[Write]:
    """Returns everything that the stage writes for the messages."""
    written: list[Write] = []
    for begin in range(0, len(messages), BATCH_RECORDS):
        batch = DecidedBatch(state, messages[begin : begin + BATCH_RECORDS])
        decide(batch, _ENCODING)
        written += batch.writes
    return written


def _microseconds(run: Callable[[], object], records: int) -> list[float]:
    """Returns the CPU time per record of each round."""
    paces = []
    for _ in range(ROUNDS):
        began = time.process_time()
        run()
        paces.append((time.process_time() - began) / records * 1e6)
    return paces


def main(words: list[str]) -> None:
    raw = raw_messages(RECORDS)
    facts = enrichments(decided(dedupe.decide, ClaimedKeys(), raw))
    runs: dict[str, tuple[Callable[[], object], int]] = {
        "dedupe": (lambda: decided(dedupe.decide, ClaimedKeys(), raw), len(raw)),
        "assemble": (lambda: decided(assemble.decide, KeptValues(), facts), len(facts)),
    }
    if words == ["profile"]:
        for run, _ in runs.values():
            profile = cProfile.Profile()
            profile.runcall(run)
            pstats.Stats(profile).sort_stats("tottime").print_stats(40)
        return
    paces = {name: _microseconds(*run) for name, run in runs.items()}
    figures = [
        Figure(name=name, runs=pace, note=f"least {min(pace):.1f}") for name, pace in paces.items()
    ]
    title = "decide: CPU time of a record, without the lane"
    print(show(Table(bench="cpu", title=title, unit="µs", figures=figures)))


if __name__ == "__main__":
    main(sys.argv[1:])
