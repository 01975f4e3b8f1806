"""The result of checking the body of a `POST /chat`.

The receiver answers its client with it, and dedupe decides by it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChatAccepted:
    """The body can be read as a message. Both fields become part of its message key."""

    provider: str
    provider_message_id: str


@dataclass(frozen=True, slots=True)
class ChatRefused:
    """The body cannot be read as a message. `errors` are sentences for its sender."""

    errors: tuple[str, ...]
    is_json: bool = True
