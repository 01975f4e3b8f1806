import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import AVRO_DIR
from tests.layout.fingerprints import PINS, changed_in_place


def test_no_schema_changed_behind_its_id() -> None:
    assert changed_in_place(AVRO_DIR) == []


def _field(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(
        field for field in document["fields"] if field["name"] == "position"
    )
    return found


def _add_an_optional_field(document: dict[str, Any]) -> None:
    document["fields"].append({"name": "region", "type": "string", "doc": "Where.", "default": ""})


def _change_a_default(document: dict[str, Any]) -> None:
    _field(document)["default"] = 1


def _change_the_order(document: dict[str, Any]) -> None:
    document["fields"].reverse()


def _better_a_doc(document: dict[str, Any]) -> None:
    _field(document)["doc"] = document["doc"] = "Said better."


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(AVRO_DIR, tmp_path / "avro")
    return tmp_path / "avro"


@pytest.mark.parametrize(
    ("change", "seen"), [(_add_an_optional_field, 1), (_change_a_default, 1), (_change_the_order, 1), (_better_a_doc, 0)]
)  # fmt: skip
def test_an_edit_in_place_is_seen_although_every_version_could_read_it(
    change: Callable[[dict[str, Any]], None], seen: int, copied: Path
) -> None:
    document = json.loads((copied / "RawMessage.avsc").read_text())
    change(document)
    (copied / "RawMessage.avsc").write_text(json.dumps(document))
    found = changed_in_place(copied)
    assert len(found) == seen and all(
        "RawMessage.avsc changed under id 1" in line for line in found
    )


def test_an_id_that_is_new_or_gone_is_seen(copied: Path) -> None:
    pins = json.loads((copied / PINS).read_text())
    pins["99"] = pins.pop("7")
    (copied / PINS).write_text(json.dumps(pins))
    assert [line.split(":")[0] for line in changed_in_place(copied)] == [
        "id 7 is new",
        "id 99 was pinned and is in ids.json no more",
    ]
