"""Runs the examples of docs/readers.md unchanged."""

import importlib.util
import json
import os
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.codec import AVRO_DIR, encode
from storage.kafka.client import plain_producer_config
from tests.integration.commands import Commands, store
from tests.integration.console import key_of, row
from tests.integration.test_commands_readers import as_reader
from tests.unit.records import attachment

PAGE = (Path(__file__).parents[2] / "docs" / "readers.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def registry() -> Iterator[str]:
    """Serves the one route of the console that a deserializer calls."""
    pinned = json.loads((AVRO_DIR / "ids.json").read_text())

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = pinned.get(self.path.partition("?")[0].removeprefix("/schemas/ids/"))
            document: Any = {"error_code": 404, "message": "not found"}
            if known is not None:
                document = {"schema": (AVRO_DIR / known["file"]).read_text()}
            body = json.dumps(document).encode()
            self.send_response(200 if known is not None else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing."""

    server = HTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fill(commands: Commands) -> None:
    """Two messages, one in two versions and one that came in again, and one that was erased."""
    producer = Producer(plain_producer_config(commands.settings.kafka))
    topic = commands.names.topic("enriched-messages")
    again = row("2", version=2, received_at=datetime.now(UTC) + timedelta(days=9))
    for message in (row("1", version=2), row("1", version=1), row("2"), again, row("3")):
        producer.produce(topic, encode(message), message.message_key.encode(), 0)
    producer.produce(topic, None, key_of("3").encode(), 0)
    assert producer.flush(30) == 0


def test_the_python_of_the_page_reads_one_row_per_message(
    commands: Commands, registry: str
) -> None:
    fill(commands)
    reading, analysing = blocks("python")
    show = "import json; print(json.dumps({m['message_key']: m['version'] for m in messages}))"
    frames = importlib.util.find_spec("polars") and importlib.util.find_spec("duckdb")
    program = f"{reading}\n{analysing if frames else ''}\n{show}\n"
    compile(analysing, "docs/readers.md", "exec")
    environment = os.environ | {
        "KAFKA": commands.settings.kafka.bootstrap_servers,
        "REGISTRY": registry,
        "TOPIC": commands.names.topic("enriched-messages"),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {key_of("1"): 2, key_of("2"): 1}


def test_the_sql_of_the_page_runs_as_a_reader(commands: Commands) -> None:
    shown: Any = attachment(status="described", description="a cat")
    store(commands, row("1", shown), row("2"))
    name = f"bi_{secrets.token_hex(4)}"
    dsn = commands.json("readers", "add", name)["dsn"]
    try:
        counts, files, *others = blocks("sql")
        assert as_reader(dsn, f"SELECT sum(messages) FROM ({counts.strip().rstrip(';')}) AS q") == 2
        assert as_reader(dsn, f"SELECT said FROM ({files.strip().rstrip(';')}) AS q") == "a cat"
        for block in others:
            as_reader(dsn, block)
    finally:
        commands.json("readers", "remove", name)


def test_the_page_names_every_table_that_a_reader_may_read(commands: Commands) -> None:
    name = f"bi_{secrets.token_hex(4)}"
    tables = commands.json("readers", "add", name)["tables"]
    commands.json("readers", "remove", name)
    named = re.findall(r"^\| `(\w+)` \| ", PAGE, re.MULTILINE)
    assert sorted(set(tables) - set(named)) == []
