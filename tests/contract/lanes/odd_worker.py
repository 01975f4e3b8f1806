"""A child of the role `stream` that behaves as ODD_WORKER says. Arguments: STAGE PIPE PARENT."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STAGE, PIPE, PARENT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
HOW, NOTES = os.environ["ODD_WORKER"], Path(os.environ["ODD_NOTES"])


def note(word: str) -> None:
    with NOTES.open("a") as file:
        file.write(f"{word} {os.getpid()} {time.monotonic()}\n")


def tell(**what: object) -> None:
    os.write(PIPE, json.dumps({"at": time.monotonic(), **what}).encode() + b"\n")


def beat() -> None:
    while True:
        tell()
        time.sleep(0.5)


match HOW:
    case "cannot start":
        note("started")
        sys.exit(3)
    case "tells its parent to stop":
        note("started")
        os.kill(PARENT, signal.SIGTERM)
        beat()
    case "does not stop":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note("started")
        beat()
    case "leaves the pipe to a grandchild":
        orphan = subprocess.Popen(["sleep", "60"], pass_fds=(PIPE,))
        with NOTES.open("a") as file:
            file.write(f"orphan {orphan.pid} 0\n")
        note("started")
        sys.exit(3)
    case "dies in a transaction":
        from confluent_kafka import Producer

        from storage.kafka.client import transactional_producer_config
        from streams.settings import read_settings

        topic, name = os.environ["ODD_TOPIC"], os.environ["ODD_ID"]
        if NOTES.exists():  # started again: idle
            note("started")
            beat()
        producer = Producer(transactional_producer_config(read_settings().kafka, name))
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(topic, b"never committed", partition=0)
        producer.flush(30)
        tell(transactional_ids=[name])
        note("open")
        beat()
