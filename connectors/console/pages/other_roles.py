"""What the pages know of the other roles.

The console's role hands it in, because the console imports none of them.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from schemas.tenants import Endpoint


class SampleSent(NamedTuple):
    """What the receiver answered to a sample message, and the message's key."""

    status: int
    message_key: str


class ShownRecord(NamedTuple):
    """A record of a topic.

    `tenant` is what its header says; `value` is made of what JSON has.
    """

    tenant: str
    key: str
    at: datetime
    bytes: int
    headers: dict[str, str]
    value: dict[str, Any]


class VersionsFound(NamedTuple):
    """Versions of a message on the topic, oldest first, with the place of each.

    `is_whole`: nothing was left out for want of time.
    """

    versions: list[tuple[str, ShownRecord]]
    is_whole: bool


class ShownStep(Protocol):
    """A step of the check of a signature: `word` is its key in the catalogue."""

    @property
    def is_good(self) -> bool: ...
    @property
    def word(self) -> str: ...
    @property
    def values(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True)
class OtherRoles:
    """`is_public`: providers can reach the URLs. `models` are those of the installation, by field.

    `check` follows pasted headers and a body. `read_record` reads by topic (without the
    namespace), partition and offset; None for what is not there any more; it raises
    Unavailable. `read_versions` looks for versions of a message of a conversation
    around some moments; it raises Unavailable. `send_test` raises OSError when the
    receiver does not answer; None: the page has no button for it.
    """

    providers: tuple[str, ...]
    is_public: bool
    models: Mapping[str, str]
    url_of: Callable[[Endpoint], str]
    check: Callable[[Endpoint, str, str], Sequence[ShownStep]]
    unknown_models: Callable[[Mapping[str, Any]], list[str]]
    read_record: Callable[[str, int, int], Awaitable[ShownRecord | None]]
    read_versions: Callable[[str, str, str, Sequence[datetime]], Awaitable[VersionsFound]]
    send_test: Callable[[Endpoint], Awaitable[SampleSent]] | None = None
