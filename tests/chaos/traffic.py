"""The traffic: texts, images, voice notes, duplicates and planned poison of several tenants.

One seed decides all of it.
"""

import json
import random
from collections import deque
from dataclasses import dataclass
from typing import Literal

from schemas.keys import body_id
from streams.local.samples import Sample, SampleFile, chatwoot, ycloud
from tests.chaos.book import Item, Kind
from tests.chaos.media import MediaServer, said_of_picture, said_of_sound

Provider = Literal["ycloud", "chatwoot"]
OWN = "own"
"""The provider name that a tenant's own program gives in `POST /chat`."""


@dataclass(frozen=True)
class Sender:
    """A tenant that sends.

    `number` determines the shape of its files. `endpoints` maps each provider to token
    and secret. `key` is for `POST /chat`.
    """

    tenant: str
    number: int
    endpoints: dict[str, tuple[str, str]]
    key: str = ""


@dataclass(frozen=True)
class Mix:
    """The shares of each kind of traffic. The rest are texts."""

    images: float = 0.10
    voices: float = 0.05
    not_json: float = 0.01
    again_at_once: float = 0.05
    again_later: float = 0.05
    shared_files: float = 0.1


class Traffic:
    """An endless sequence of items. `weights` says how often each sender has its turn."""

    def __init__(
        self, senders: list[Sender], media: MediaServer, rng: random.Random, mix: Mix = Mix()
    ) -> None:
        self.senders = senders
        self.weights = [1.0] * len(senders)
        self._media = media
        self._rng = rng
        self._mix = mix
        self._sent: deque[Item] = deque(maxlen=500)
        self._count = 0

    def next(self) -> list[Item]:
        """The next items to send: one, the same one twice, or an old one again."""
        rng, mix = self._rng, self._mix
        if self._sent and rng.random() < mix.again_later:
            return [rng.choice(self._sent)]
        (sender,) = rng.choices(self.senders, self.weights)
        item = self.make(sender, self._kind())
        self._sent.append(item)
        return [item, item] if rng.random() < mix.again_at_once else [item]

    def make(self, sender: Sender, kind: Kind) -> Item:
        """A new message of the sender."""
        self._count += 1
        provider: Provider = self._rng.choice(("ycloud", "chatwoot"))
        text, file = f"{kind} {self._count}", None
        says = text
        if kind == "not_json":
            body = f"{{ no JSON {self._rng.getrandbits(64):x}".encode()
            return Item(Sample(kind, provider, body, body_id(body)), sender.tenant, kind)
        if kind in ("image", "voice"):
            salt = (
                "shared"
                if self._rng.random() < self._mix.shared_files
                else f"{self._rng.getrandbits(64):x}"
            )
            extension, mime = ("jpg", "image/jpeg") if kind == "image" else ("wav", "audio/wav")
            says = (
                said_of_picture(sender.number) if kind == "image" else said_of_sound(sender.number)
            )
            file = SampleFile(
                "image" if kind == "image" else "audio",
                self._media.link(sender.tenant, sender.number, salt, extension),
                mime,
            )
        conversation = self._rng.randrange(200)
        if provider == "ycloud":
            sample = ycloud(
                text if file is None else None,
                file,
                what=kind,
                conversation=f"1555010{conversation:04d}",
            )
        else:
            sample = chatwoot(text, file, what=kind, conversation=conversation)
        return Item(sample, sender.tenant, kind, says)

    def imported(self, sender: Sender) -> Item:
        """A new text of the sender's own program."""
        self._count += 1
        text = f"text {self._count}"
        body = {
            "provider": OWN,
            "provider_message_id": f"{self._count}",
            "conversation_id": f"{self._rng.randrange(200)}",
            "sender": {"id": "1"},
            "text": text,
        }
        sample = Sample("text", OWN, json.dumps(body).encode(), f"{self._count}")
        return Item(sample, sender.tenant, "text", text)

    def _kind(self) -> Kind:
        drawn = self._rng.random()
        kinds: list[tuple[Kind, float]] = [
            ("image", self._mix.images),
            ("voice", self._mix.voices),
            ("not_json", self._mix.not_json),
        ]
        for kind, share in kinds:
            if drawn < share:
                return kind
            drawn -= share
        return "text"


def killer(item: Item, marker: str) -> Item:
    """A message with the text that arms the failpoint of the process that reads it."""
    body = json.loads(item.sample.body)
    if item.sample.provider == "ycloud":
        body["whatsappInboundMessage"]["text"]["body"] = marker
    else:
        body["content"] = marker
    return item._replace(sample=item.sample._replace(body=json.dumps(body).encode()), kind="killer")
