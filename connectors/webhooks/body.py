"""Reads request bodies within two limits: one per request, and one for all requests together."""

from collections import Counter
from collections.abc import Mapping

from connectors.webhooks.answers import Problem, because
from schemas import metrics

_LENGTH_DIGITS = 20


class Budget:
    """Bounds the body bytes of all requests that are read and not yet answered.

    Beyond the bound the answer is 503. One owner (a tenant) gets at most half, so that it
    cannot use up the room of all others.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held_by: Counter[str] = Counter()
        self.held = 0
        metrics.RECEIVER_PENDING_BYTES.set_function(lambda: self.held)

    def take(self, owner: str, size: int) -> None:
        """Counts `size` bytes of the owner.

        Raises Problem 503 if there is no room for them.
        """
        mine = self._held_by[owner] + size
        if self.held + size > self._max_bytes or mine > self._max_bytes // 2:
            problem = Problem(503, "too many bytes in flight", {"retry-after": "1"})
            raise because("no_room", problem)
        self.held += size
        self._held_by[owner] = mine

    def give_back(self, owner: str, size: int) -> None:
        self.held -= size
        left = self._held_by[owner] - size
        if left:
            self._held_by[owner] = left
        else:
            del self._held_by[owner]


class Body:
    """The body of one request.

    It counts for `owner` in the budget. Without an owner its size is measured and its bytes
    are discarded.
    """

    __slots__ = ("_budget", "_first", "_max_bytes", "_more", "_owner", "_size")

    def __init__(self, budget: Budget, owner: str | None, max_bytes: int) -> None:
        self._budget = budget
        self._owner = owner
        self._max_bytes = max_bytes
        self._first = b""
        # All chunks, from the second one on. A chunk may be a single byte.
        self._more: bytearray | None = None
        self._size = 0

    def announced(self, headers: Mapping[str, str]) -> None:
        """Raises Problem 415 or 413 if the head announces a body that cannot be accepted."""
        if "content-encoding" in headers or "transfer-encoding" in headers:
            _must_be_plain(headers)
        declared = headers.get("content-length", "")
        if (
            declared.isascii()
            and declared.isdigit()
            and (len(declared) > _LENGTH_DIGITS or int(declared) > self._max_bytes)
        ):
            raise self._too_large()

    def add(self, chunk: bytes) -> None:
        """Adds a chunk. Raises Problem 413 if the body is too large, or 503 if there is no room."""
        self._size += len(chunk)
        if self._size > self._max_bytes:
            self._size -= len(chunk)
            raise self._too_large()
        if self._owner is not None:
            try:
                self._budget.take(self._owner, len(chunk))
            except Problem:
                self._size -= len(chunk)
                raise
            if self._more is not None:
                self._more += chunk
            elif self._first:
                self._more = bytearray(self._first)
                self._more += chunk
                self._first = b""
            else:
                self._first = chunk

    def whole(self) -> bytes:
        """The exact bytes, or none for a body without an owner."""
        return self._first if self._more is None else bytes(self._more)

    def release(self) -> None:
        """Releases the body and its room in the budget. Further calls do nothing."""
        if self._owner is not None and self._size:
            self._budget.give_back(self._owner, self._size)
        self._size = 0
        self._first = b""
        self._more = None

    def _too_large(self) -> Problem:
        problem = Problem(413, f"at most {self._max_bytes} bytes")
        return because("body_too_large", problem)


def _must_be_plain(headers: Mapping[str, str]) -> None:
    """Raises Problem 415 for any encoding but `chunked`, which the parser decodes."""
    content, transfer = headers.get("content-encoding", ""), headers.get("transfer-encoding", "")
    if content.strip().lower() in ("", "identity") and transfer.strip().lower() in ("", "chunked"):
        return
    problem = Problem(415, "send the body as it is, without an encoding")
    raise because("body_encoded", problem)
