"""What the receiver needs from other packages: tenants, a log, and knowledge of bodies."""

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
    """Tenants, endpoints and keys.

    While `loaded` is false nothing is known, so no request may be refused. `healthy` is
    false when what is known may be out of date for longer than an outage of Postgres
    excuses. `endpoint` and `tenant` raise Unavailable for an entry that cannot be read.
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
        """Calls `done` once, with None when the record is durable, else with what went wrong.

        Raises Unavailable for a record that cannot be accepted.
        """
        ...

    def overdue(self) -> Unavailable:
        """Notes that a record was not said to be durable in time."""
        ...


@dataclass(frozen=True, slots=True)
class Understanding:
    """What the receiver must know about providers.

    It needs the ids of the events in a body, whether a `POST /chat` will be read as a
    message, and whether a signature is valid (None: the provider has none).
    """

    identify: Callable[[str, bytes], tuple[str, ...]]
    accept: Callable[[bytes], ChatAccepted | ChatRefused]
    check_signature: Callable[[str, Claim, tuple[str, ...], float], Examined | None]
