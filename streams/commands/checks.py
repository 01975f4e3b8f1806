"""What doctor says of one part."""

from typing import NamedTuple

from streams.errors import StreamsError


class CheckResult(NamedTuple):
    """`warns`: it works today, and needs something to be done soon."""

    part: str
    ok: bool
    says: str
    warns: bool = False

    @property
    def label(self) -> str:
        return "WRONG" if not self.ok else "soon " if self.warns else "ok   "


class Wrong(StreamsError):
    """The text says what is wrong and what to do."""


class Soon(StreamsError):
    """The text says what works, what will end, and what to do."""
