"""The result of one of doctor's checks."""

from typing import NamedTuple

from streams.errors import StreamsError


class CheckResult(NamedTuple):
    """The report of doctor about one part.

    With `warns` it works today, but needs attention soon.
    """

    part: str
    ok: bool
    says: str
    warns: bool = False

    @property
    def label(self) -> str:
        return "WRONG" if not self.ok else "soon " if self.warns else "ok   "


class Wrong(StreamsError):
    """Raised by a check of something that does not work.

    The text says what is wrong and what to do.
    """


class Soon(StreamsError):
    """Raised by a check of something that works but will end.

    The text says what to do.
    """
