"""What is said of a body of `POST /chat`: by the
receiver to its sender, and by dedupe to itself.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChatAccepted:
    """The body will be read as a message. Both fields go into its key."""

    provider: str
    provider_message_id: str


@dataclass(frozen=True, slots=True)
class ChatRefused:
    """What is wrong with the body, for the person who sends it."""

    errors: tuple[str, ...]
    is_json: bool = True
