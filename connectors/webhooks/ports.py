"""What the receiver needs of the rest: tenants, a
log that keeps records, and some knowledge of bodies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from schemas.chat import ChatAccepted, ChatRefused
from schemas.headers import Headers
from schemas.keys import TenantId
from schemas.outcomes import Unavailable
from schemas.signatures import Claim, Examined
from schemas.tenants import ApiKey, EndedToken, Endpoint, Tenant


class EndpointDirectory(Protocol):
    """Tenants, endpoints and keys. While `loaded` is
    false nothing is known, so no request may be refused.

    `healthy` false: what is known may be out of date for longer
    than an outage of Postgres excuses. `endpoint` and `tenant`
    raise Unavailable for an entry that is there and cannot be read.
    """

    loaded: bool

    @property
    def healthy(self) -> bool: ...
    def endpoint(self, token: str) -> Endpoint | None: ...
    def ended(self, token: str) -> EndedToken | None: ...
    def tenant(self, tenant_id: TenantId) -> Tenant | None: ...
    def key(self, plain: str) -> ApiKey | None: ...


class RawTopic(Protocol):
    """Where raw records go."""

    @property
    def healthy(self) -> bool: ...
    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        headers: Headers,
        done: Callable[[str | None], None],
    ) -> None:
        """Calls `done` once: with None when the record is durable, else with
        what went wrong. Raises Unavailable for one that cannot be taken.
        """
        ...

    def overdue(self) -> Unavailable:
        """Notes that a record was not said to be durable in time."""
        ...


@dataclass(frozen=True, slots=True)
class Understanding:
    """What the receiver must know of providers: the ids of a body's
    events, whether a `POST /chat` will be read as a message, and
    what a signature is worth (None: the provider has none).
    """

    identify: Callable[[str, bytes], tuple[str, ...]]
    accept: Callable[[bytes], ChatAccepted | ChatRefused]
    check_signature: Callable[[str, Claim, tuple[str, ...], float], Examined | None]
