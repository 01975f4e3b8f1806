"""FULL_TRANSITIVE: every version of a schema can be read by every other version of it."""

import itertools
import json
from pathlib import Path

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import Schema, parse

EARLIER = "earlier"


def versions_of(avro_dir: Path) -> dict[str, dict[str, Schema]]:
    """Maps each record to its schemas by file name.

    They are those that ids.json pins, and everything in `earlier/<Record>.v*.avsc`.
    """
    found: dict[str, dict[str, Schema]] = {}
    for entry in json.loads((avro_dir / "ids.json").read_text()).values():
        found.setdefault(entry["record"], {})[entry["file"]] = parse(
            (avro_dir / entry["file"]).read_text()
        )
    for file in sorted((avro_dir / EARLIER).glob("*.v*.avsc")):
        record = file.name.partition(".")[0]
        found.setdefault(record, {})[f"{EARLIER}/{file.name}"] = parse(file.read_text())
    return found


def incompatibilities(avro_dir: Path) -> list[str]:
    """Lists `<reader> cannot read <writer>: why` for each pair of versions of one record.

    The list is empty if every version can read every other one.
    """
    return [
        f"{reader} cannot read {writer}: {why}"
        for versions in versions_of(avro_dir).values()
        for (reader, reading), (writer, writing) in itertools.permutations(versions.items(), 2)
        if (why := _why_not(reading, writing)) is not None
    ]


def _why_not(reader: Schema, writer: Schema) -> str | None:
    result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)  # type: ignore[no-untyped-call]
    return (
        None
        if result.compatibility is SchemaCompatibilityType.compatible
        else "; ".join(sorted(map(str, result.messages)))
    )
