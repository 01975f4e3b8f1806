"""What became of a record: a closed union. Exactly one a record."""

import math
from dataclasses import dataclass, field
from typing import assert_never

from schemas.errors import SchemasError
from schemas.keys import MessageKey
from schemas.pipeline import TopicName
from schemas.reasons import AttachmentReason, QuarantineReason, SkipReason
from schemas.records import TenantRecord, Value


class Output(Value, frozen=True):
    """One record to be written. `conversation_id` set: the conversation decides the partition, else the key."""

    topic: TopicName
    key: MessageKey
    record: TenantRecord
    generation: int = 0
    conversation_id: str | None = None
    value: bytes | None = None
    """The record in wire format, where its bytes are known already."""


class Forward(Value, frozen=True):
    """Records to be written. `claims`: digests that dedupe claims in the same transaction.

    `failure` is set where they say that an attachment failed: counted as a failure. `cause` is what
    the world said last, for a person; it holds no message text.
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
    """`detail` is for a person and holds no message text."""

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
    """The world is wrong (a timeout, a 429, a database away): nothing was decided, try again after `retry_after` seconds.

    `hold` says that the trouble is the whole tenant's (its model, its key), so that the tenant's other jobs wait too.
    `at_most`: the seconds that are left for it; a longer wait would go beyond what somebody set.
    """

    what: str
    retry_after: float = 1.0
    hold: bool = False
    detail: str = field(default="")
    at_most: float = math.inf

    @property
    def cause(self) -> str:
        """One word for what is wrong: the first of the detail, where that is one of a closed list."""
        named = self.detail.partition(":")[0] if self.what == "model" else ""
        return named or self.what

    def __str__(self) -> str:
        return f"{self.what}{': ' + self.detail if self.detail else ''} (again in {self.retry_after:g} s)"
