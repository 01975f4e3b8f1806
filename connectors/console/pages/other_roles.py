"""What the pages need from other roles.

The console imports none of them, so its role passes these functions in.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from schemas.keys import TenantId
from schemas.tenants import Endpoint

EraseKind = Literal["message", "conversation", "contact"]


class SampleSent(NamedTuple):
    """The receiver's answer to a sample message, and the key of that message."""

    status: int
    message_key: str


class ShownRecord(NamedTuple):
    """A record of a topic.

    `tenant` is from its header. `value` consists of JSON types only.
    """

    tenant: str
    key: str
    at: datetime
    bytes: int
    headers: dict[str, str]
    value: dict[str, Any]


class VersionsFound(NamedTuple):
    """Versions of a message on the topic, oldest first, with the position of each.

    `is_whole` is false if the search ran out of time.
    """

    versions: list[tuple[str, ShownRecord]]
    is_whole: bool


class ShownStep(Protocol):
    """A step of a signature check. `word` is its key in the catalogue."""

    @property
    def is_good(self) -> bool: ...
    @property
    def word(self) -> str: ...
    @property
    def values(self) -> Mapping[str, object]: ...


class MessageEraser(Protocol):
    """Erases a message by its key, or every message so far of a conversation or with a
    contact by its id, as the command `erase` does.
    """

    async def look(self, tenant: TenantId, kind: EraseKind, named: str) -> dict[str, int]:
        """Counts what would be erased, by kind. Raises Unavailable."""

    async def erase(
        self, tenant: TenantId, kind: EraseKind, named: str, person: str
    ) -> dict[str, int]:
        """Erases it, notes the person in the audit log, and returns the counts.

        Raises Unavailable; a second call continues.
        """


@dataclass(frozen=True, slots=True)
class OtherRoles:
    """The functions and facts that other roles provide.

    - `is_public`: providers can reach the webhook URLs.
    - `models`: the models of the installation, by field.
    - `check`: checks pasted headers and a body.
    - `read_record`: reads a record by topic (without the namespace), partition and
      offset. It returns None if the record no longer exists, and raises Unavailable.
    - `readable`: returns the fields of a record of a topic from its bytes, as JSON types.
    - `read_versions`: looks for versions of a message around some moments. It raises
      Unavailable.
    - `eraser`: erases messages, conversations and what was said with a contact.
    - `send_test`: sends a sample message. It raises OSError if the receiver does not
      answer. If it is None, the page has no button for it.
    """

    providers: tuple[str, ...]
    is_public: bool
    models: Mapping[str, str]
    url_of: Callable[[Endpoint], str]
    check: Callable[[Endpoint, str, str], Sequence[ShownStep]]
    unknown_models: Callable[[Mapping[str, Any]], list[str]]
    read_record: Callable[[str, int, int], Awaitable[ShownRecord | None]]
    readable: Callable[[str, bytes | None], dict[str, Any]]
    read_versions: Callable[[str, str, str, Sequence[datetime]], Awaitable[VersionsFound]]
    eraser: MessageEraser
    send_test: Callable[[Endpoint], Awaitable[SampleSent]] | None = None
