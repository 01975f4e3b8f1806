"""The values of sample traffic. Each provider with samples creates its own."""

from typing import Literal, NamedTuple

from schemas.keys import message_key


class Sample(NamedTuple):
    """One delivery.

    `what` says what it shows. `provider_message_id` is empty if it contains no message.
    """

    what: str
    provider: str
    body: bytes
    provider_message_id: str
    conversation_id: str = ""

    def key(self, tenant: str, instance: str | None = None) -> str:
        """The message key that the sample gets.

        `instance` is the label of its endpoint.
        """
        found = self.provider_message_id
        labelled = f"{instance}/{found}" if instance else found
        return message_key(tenant, self.provider, labelled)  # type: ignore[arg-type]


class SampleFile(NamedTuple):
    """The file that a sample's link leads to."""

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
