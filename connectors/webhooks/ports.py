"""The protocols of what the receiver needs from other packages.

These are the tenants, the raw topic, and functions that interpret bodies.
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
    """Tenants, endpoints and keys.

    While `loaded` is False, nothing is known, so no request may be refused. `healthy` is
    False if the copy may be outdated for a reason other than an outage of Postgres.
    `endpoint` and `tenant` raise Unavailable for an entry that cannot be read.
    """

    loaded: bool

    @property
    def healthy(self) -> bool: ...
    def endpoint(self, token: str) -> Endpoint | None: ...
    def ended(self, token: str) -> EndedToken | None: ...
    def tenant(self, tenant_id: TenantId) -> Tenant | None: ...
    def key(self, plain: str) -> ApiKey | None: ...


class RawTopic(Protocol):
    """The topic of raw records, as `AcknowledgedProducer` writes it."""

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
        """Calls `done` once: with None if the record is durable, otherwise with the error.

        Raises Unavailable for a record that cannot be accepted.
        """
        ...

    def overdue(self) -> Unavailable:
        """Notes that no result arrived in time, and returns the error to report."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderFunctions:
    """The functions by which the receiver interprets providers' requests.

    `identify` returns the ids of the events in a body, and `accept` checks whether the body
    of a `POST /chat` can be read as a message. `check_signature` returns None for a
    provider without signatures.
    """

    identify: Callable[[str, bytes], tuple[str, ...]]
    accept: Callable[[bytes], ChatAccepted | ChatRefused]
    check_signature: Callable[[str, Claim, tuple[str, ...], float], Examined | None]
