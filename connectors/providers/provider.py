"""The interface of a provider's file: one class that knows the provider's requests and files."""

from typing import ClassVar, Protocol

from connectors.providers.adapter import Document, Unreadable, identified, parse
from connectors.providers.briefs import Brief, brief_event
from connectors.providers.downloads import DownloadCandidate, FileLink, plain_link
from connectors.providers.samples import Sample, SampleMessage
from schemas.keys import body_id
from schemas.outcomes import Quarantine, Skip
from schemas.records import ChatMessage, RawMessage
from schemas.signatures import Claim, Examined


class Adapter(Protocol):
    """Interprets the bodies of one provider.

    Both methods accept any bytes and never raise.
    """

    @property
    def name(self) -> str: ...
    def identify(self, body: bytes) -> tuple[str, ...]:
        """The id part of the raw key of each event in the body, in order.

        For a body without a usable id it is `sha256-<hex>`.
        """
        ...

    def read(self, raw: RawMessage) -> ChatMessage | Skip | Quarantine:
        """The message in the record, or why there is none."""
        ...


class Provider:
    """A provider's behaviour. A subclass identifies and reads one event; the rest has defaults.

    `event_key` and `read_event` may raise Unreadable and nothing else.
    """

    name: ClassVar[str]
    brief: ClassVar[Brief | None] = None
    """Decodes only the fields of an event that its key needs. See `brief_event`."""

    def is_key_brief(self, event: Document) -> bool:
        """True if `event_key` returns the same for the fields of `brief` as for the whole event."""
        return True

    def event_key(self, event: Document) -> str | None:
        """The id part of an event's key, or None if it has no usable id."""
        raise NotImplementedError

    def read_event(self, raw: RawMessage) -> ChatMessage | Skip | Quarantine:
        """The message in the record, or why there is none."""
        raise NotImplementedError

    def check_signature(
        self, claim: Claim, secrets: tuple[str, ...], *, age_seconds: float
    ) -> Examined | None:
        """The result of checking the signature, or None if the provider does not sign.

        The endpoints of a provider that does not sign are unsigned.
        """
        return None

    def sign(self, secret: str, body: bytes, now: int) -> dict[str, str]:
        """The headers that the provider would send: for sample traffic and tests."""
        return {}

    def candidates(self, link: FileLink) -> tuple[DownloadCandidate, ...]:
        """The requests that may give a file, in the order to try them.

        Raises ForeignHost.
        """
        return plain_link(link)

    def sample(self, message: SampleMessage) -> Sample | None:
        """The delivery that the provider would send for `message`, or None if it has no samples."""
        return None

    def identify(self, body: bytes) -> tuple[str, ...]:
        """The id part of the raw key of each event in the body, in order.

        Never raises.
        """
        try:
            event = brief_event(self.brief, body) if self.brief is not None else None
            if event is None or not self.is_key_brief(event):
                event = parse(body)
            return identified(body, self.event_key(event))
        except Unreadable:
            return (body_id(body),)

    def read(self, raw: RawMessage) -> ChatMessage | Skip | Quarantine:
        """The message in the record, or why there is none. Never raises."""
        try:
            return self.read_event(raw)
        except Unreadable as unreadable:
            return unreadable.verdict
