"""A schema id always means the same schema.

Readers everywhere cache schemas by id, so the file behind a pinned id never changes.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

PINS = "fingerprints.json"


def fingerprint(text: str) -> str:
    """The sha256 of the schema without its docs, which may be improved.

    Defaults are included, because a reader's result depends on them.
    """
    return hashlib.sha256(
        json.dumps(_without_docs(json.loads(text)), sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def _without_docs(node: Any) -> Any:
    match node:
        case list():
            return [_without_docs(one) for one in node]
        case {"type": _}:
            return {
                name: inner if name == "default" else _without_docs(inner)
                for name, inner in node.items()
                if name != "doc"
            }
        case _:
            return node


def changed_in_place(avro_dir: Path) -> list[str]:
    """What to do about each id whose schema is not the pinned one. Empty if all are."""
    pins = json.loads((avro_dir / PINS).read_text())
    ids = json.loads((avro_dir / "ids.json").read_text())
    found = []
    for schema_id, entry in ids.items():
        now = fingerprint((avro_dir / entry["file"]).read_text())
        if schema_id not in pins:
            found.append(f'id {schema_id} is new: put "{schema_id}": "{now}" into {PINS}')
        elif pins[schema_id] != now:
            found.append(
                f"{entry['file']} changed under id {schema_id}: keep the old text as earlier/ under that id, give the new one an id of its own"
            )
    return found + [
        f"id {gone} was pinned and is in ids.json no more" for gone in pins if gone not in ids
    ]
