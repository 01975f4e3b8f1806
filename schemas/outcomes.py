"""The outcome of a record as a closed union. Each record has exactly one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never

from schemas.errors import SchemasError
from schemas.keys import MessageKey
from schemas.pipeline import TopicName
from schemas.reasons import AttachmentReason, QuarantineReason, SkipReason
from schemas.records import TenantRecord, Value

WhatIsUnavailable = Literal[
    "kafka",
    "postgres",
    "object_store",
    "media",
    "model",
    "decoder",
    "disk",
    "directory",
    "secret",
    "version",
    "deadline",
    "refusals",
    "waiting_room",
]
_NAMES: Mapping[WhatIsUnavailable, str] = {
    "kafka": "Kafka",
    "waiting_room": "room for another waiting request",
}


class Output(Value, frozen=True):
    """One record to be written.

    If `conversation_id` is set, the conversation decides the partition, otherwise the
    key.
    """

    topic: TopicName
    key: MessageKey
    record: TenantRecord
    generation: int = 0
    conversation_id: str | None = None
    value: bytes | None = None
    """The record in wire format, if it is encoded already."""


class Forward(Value, frozen=True):
    """Records to be written.

    `claims` are the digests that dedupe claims in the same transaction. `failure` is
    set if the records report a failed attachment, which is then counted as a failure.
    `cause` is the last error that led to it, for a person; it contains no message text.
    """

    outputs: tuple[Output, ...]
    claims: tuple[bytes, ...] = ()
    failure: AttachmentReason | None = None
    cause: str = ""


class Duplicate(Value, frozen=True):
    pass


class Skip(Value, frozen=True):
    reason: SkipReason


class Quarantine(Value, frozen=True):
    """The record is wrong. `detail` is for a person and contains no message text."""

    reason: QuarantineReason
    detail: str


Outcome = Forward | Duplicate | Skip | Quarantine


def outcome_label(outcome: Outcome) -> tuple[str, str]:
    """(outcome, reason) as metrics and receipts name them."""
    match outcome:
        case Forward():
            return "forwarded", ""
        case Duplicate():
            return "duplicate", ""
        case Skip(reason):
            return "skipped", reason
        case Quarantine(reason, _):
            return "quarantined", reason
        case _:
            assert_never(outcome)


@dataclass(slots=True)
class Unavailable(SchemasError):
    """The environment is in trouble (a timeout, a 429, an unreachable database): retry later.

    Nothing was decided about the record. `retry_after` is the wait in seconds. `hold` is
    True if the fault concerns the whole tenant (its model, its key), so that its other jobs
    wait too. `at_most` is the longest wait in seconds before a configured time limit ends.
    """

    what: WhatIsUnavailable
    retry_after: float = 1.0
    hold: bool = False
    detail: str = field(default="")
    at_most: float = math.inf

    @property
    def name(self) -> str:
        """What is unavailable, in the words of a message for people."""
        return _NAMES.get(self.what, self.what)

    @property
    def cause(self) -> str:
        """One word for the error: `what`, or for a model the first word of `detail`.

        For a model that word comes from a closed list.
        """
        named = self.detail.partition(":")[0] if self.what == "model" else ""
        return named or self.what

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.what}{detail} (retry in {self.retry_after:g} s)"
