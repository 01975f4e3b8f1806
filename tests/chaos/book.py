"""Records on disk, as soon as the receiver answers 2xx, which messages it has accepted."""

import json
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Literal, NamedTuple

from streams.local.samples import Sample

Kind = Literal["text", "image", "voice", "not_json", "undecodable", "killer"]
POISON: frozenset[Kind] = frozenset({"not_json", "undecodable", "killer"})


class Item(NamedTuple):
    """A delivery as planned.

    `says` is what the model must say of its file and of no other tenant's file. For a
    text it is the text.
    """

    sample: Sample
    tenant: str
    kind: Kind
    says: str | None = None

    @property
    def key(self) -> str:
        return self.sample.key(self.tenant)


class Accepted(NamedTuple):
    """A message that was answered 2xx at least once, first at `at` (Unix seconds)."""

    key: str
    tenant: str
    kind: Kind
    says: str | None
    at: float


class Book:
    """The accepted messages. An item counts as accepted once its line is on disk. Thread-safe."""

    def __init__(self, file: Path) -> None:
        self.accepted: dict[str, Accepted] = {}
        self.ambiguous: set[str] = set()
        self.deliveries: Counter[str] = Counter()
        self._file = file.open("a")
        self._lock = threading.Lock()

    def accept(self, item: Item) -> None:
        """Records one answer 2xx."""
        entry = Accepted(item.key, item.tenant, item.kind, item.says, time.time())
        with self._lock:
            self._file.write(json.dumps(entry._asdict()) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.deliveries[item.key] += 1
            self.accepted.setdefault(item.key, entry)

    def doubt(self, item: Item) -> None:
        """Records a delivery that was not answered 2xx. It may have been accepted nevertheless."""
        with self._lock:
            self.ambiguous.add(item.key)

    def close(self) -> None:
        self._file.close()


def read_book(file: Path) -> list[Accepted]:
    """Returns every answer 2xx in the file, in order."""
    return [Accepted(**json.loads(line)) for line in file.read_text().splitlines()]
