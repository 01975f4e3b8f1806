"""What a sample of a provider's traffic is.

Each provider with samples makes its own.
"""

from typing import Literal, NamedTuple

from schemas.keys import message_key


class Sample(NamedTuple):
    """One delivery: what it shows, the body, the id of its message (empty: none), and
    of its conversation.
    """

    what: str
    provider: str
    body: bytes
    provider_message_id: str
    conversation_id: str = ""

    def key(self, tenant: str, instance: str | None = None) -> str:
        """`instance`: the label of the endpoint it is sent to."""
        found = self.provider_message_id
        labelled = f"{instance}/{found}" if instance else found
        return message_key(tenant, self.provider, labelled)  # type: ignore[arg-type]


class SampleFile(NamedTuple):
    """A file behind a link."""

    kind: Literal["image", "audio"]
    url: str
    mime: str


class SampleMessage(NamedTuple):
    """The contents of a sample. A field that is None keeps the provider's own value."""

    text: str | None
    file: SampleFile | None = None
    what: str = "sent"
    conversation: str | None = None
    customer: str | None = None
    outbound: bool = False
