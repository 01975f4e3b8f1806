"""Writes docs/reference from what the code declares: `make docs`, or `python -m tests.layout.references`.

Settings and their meaning come from schemas/settings.py and .env.example, metrics from schemas/metrics.py,
reasons from schemas/reasons.py, topics from schemas/pipeline.py and schemas/topics.py, and the HTTP reference from the OpenAPI documents of console and receiver.
tests/layout/test_references.py compares the pages with what this module makes.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from schemas import metrics
from schemas.pipeline import readers_of, writers_of
from schemas.topics import DAY_MS, HORIZON_MS, TOPICS
from streams.settings import known_settings
from tests.layout.http_reference import http_api_page

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
_GENERATED = (
    "This page is made from {source}. Do not edit it: change that, then run `make docs`.\n\n"
)
_PARTS = {
    "": "One installation among several",
    "KAFKA": "Kafka",
    "POSTGRES": "Postgres",
    "OBJECTS": "The object store",
    "REGISTRY": "The schema registry",
    "OPENAI": "Models",
    "RECEIVER": "The receiver",
    "CONSOLE": "The console",
    "MEDIA": "Files",
    "PROVIDERS": "Providers",
    "WORKER": "Workers",
    "BREAKER": "When a stage stops itself",
    "SECRETS": "Secrets",
    "LOCAL": "Models of this machine",
    "LOG": "Logs",
}
_REASONS = {
    "SkipReason": ("Skipped records", "Not stored as a message, on purpose."),
    "QuarantineReason": (
        "Quarantined records",
        "Kept whole: `sensorium quarantine list`, and `quarantine replay` after the fix.",
    ),
    "DeliveryReason": (
        "Deliveries to webhook URLs and to `POST /chat`",
        "Shown by `sensorium endpoints deliveries` and on the console's page of deliveries.",
    ),
    "AttachmentReason": (
        "Attachments that were skipped or failed",
        "Shown as `reason` of the attachment: `sensorium attachments list --reason …`, "
        "`sensorium replay attachments --reason …`.",
    ),
}


def settings_page() -> str:
    meanings = dict(_commented((ROOT / ".env.example").read_text()))
    sections: dict[str, list[str]] = {}
    for name, default in known_settings().items():
        part = name.removeprefix("SENSORIUM_").rpartition("__")[0].partition("__")[0]
        shown = f"`{default}`" if str(default) else "(empty)"
        sections.setdefault(part, []).append(
            f"| `{name}` | {shown} | {_cell(meanings.get(name, ''))} |"
        )
    page = "# Settings\n\n" + _GENERATED.format(
        source="`schemas/settings.py` and the comments of [.env.example](../../.env.example)"
    )
    page += (
        "Settings come from the environment; `make up` reads them from `.env` too, and says which file it read.\n"
        "A name that is not a setting ends the program with the nearest one that is.\n"
    )
    for part, rows in sections.items():
        title = _PARTS.get(part, part.capitalize())
        page += f"\n## {title}\n\n| Setting | Default | Meaning |\n|---|---|---|\n"
        page += "\n".join(rows) + "\n"
    return page


def _commented(text: str) -> Iterator[tuple[str, str]]:
    """Pairs each setting with the comment lines right above it."""
    comment: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            comment.append(line.lstrip("# "))
        elif "=" in line:
            yield line.partition("=")[0], " ".join(comment)
            comment = []
        else:
            comment = []


def metrics_page() -> str:
    page = "# Metrics\n\n" + _GENERATED.format(source="`schemas/metrics.py`")
    page += (
        "Every role answers `GET /metrics` in the text format of Prometheus. Labels come from closed sets.\n\n"
        "| Metric | Kind | Labels | Meaning, and what to do |\n|---|---|---|---|\n"
    )
    declared = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    for one in declared:
        name = f"{one._name}_total" if isinstance(one, Counter) else one._name
        labels = ", ".join(f"`{label}`" for label in one._labelnames) or "–"
        page += f"| `{name}` | {one._type} | {labels} | {_cell(one._documentation)} |\n"
    return page


def reasons_page() -> str:
    source = (ROOT / "schemas" / "reasons.py").read_text()
    page = "# Reasons\n\n" + _GENERATED.format(source="`schemas/reasons.py`")
    page += "Why a record was skipped or quarantined, or an attachment has no text.\n"
    for name, rows in _closed_lists(source):
        title, remark = _REASONS.get(name, (name, ""))
        page += f"\n## {title}\n\n{remark}\n\n| Reason | Meaning |\n|---|---|\n"
        page += "".join(
            f"| `{reason}` | {_cell(said or reason.replace('_', ' '))} |\n" for reason, said in rows
        )
    return page


def _closed_lists(source: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each `Name = Literal[…]` with its values and the comment behind each."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Subscript(value=ast.Name(id="Literal"), slice=values),
            ):
                literals = values.elts if isinstance(values, ast.Tuple) else [values]
                yield name, [(_value(one), _comment(lines, one.lineno)) for one in literals]


def _value(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant)
    return str(node.value)


def _comment(lines: list[str], line: int) -> str:
    return lines[line - 1].partition("#")[2].strip()


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def topics_page() -> str:
    page = "# Topics\n\n" + _GENERATED.format(
        source="`schemas/pipeline.py` and `schemas/topics.py`"
    )
    page += (
        "A record's schema is in `schemas/avro/<record>.avsc`, and in the registry of the console.\n"
        "Names of two words are commands, and so are `replay`, `recover`, `erase`, `sweep`, `queue`, `audit` and `tail`. What the sink,\n"
        "`erase` and `tenants remove` write to `enriched-messages` are tombstones. A namespace goes before each name.\n\n"
        "| Topic | Record | Key | Partition by | Written by | Read by | Kept |\n|---|---|---|---|---|---|---|\n"
    )
    for topic in TOPICS.values():
        kept = f"{topic.retention_ms // DAY_MS} days"
        if topic.cleanup == "compact":
            kept = f"the newest record of each key; all of {HORIZON_MS // DAY_MS} days"
        writers = ", ".join(writers_of(topic.name))
        readers = ", ".join(readers_of(topic.name))
        page += (
            f"| `{topic.name}` | `{topic.record}` | {topic.key} | {topic.partitioned_by} "
            f"| {writers} | {readers} | {kept} |\n"
        )
    return page


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "reasons.md": reasons_page,
    "topics.md": topics_page,
    "http-api.md": http_api_page,
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
