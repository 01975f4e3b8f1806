"""The base of the benches: servers of their own, and a namespace per run.

The namespace has its own topics and processes. Progress is read from outside.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)

from bench.figures import Pace
from schemas.headers import Headers
from schemas.settings import Kafka, Settings
from schemas.topics import Names
from storage.kafka.client import plain_producer_config, reader_config
from storage.kafka.topics import apply_topics
from storage.waiting import Deadline
from streams.local.home import home_at
from streams.local.lifecycle import down, up
from streams.settings import to_environment

PARTITIONS = 4
PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.01
_NO_COORDINATOR_YET = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
_QUIET = {"log_level": 0}
"""The servers end before the bench's clients, which would log that at length."""


class BenchRecord(NamedTuple):
    """One record to load into a topic. With `partition` -1 the key decides."""

    key: bytes
    value: bytes
    headers: Headers
    partition: int = -1


class BenchFailed(Exception):
    """A run did not finish. The text says which one, and shows its log."""


@dataclass
class Rig:
    """Running servers. Their folder is removed with them."""

    settings: Settings
    folder: Path

    def fresh(self) -> Settings:
        """Returns settings with a new namespace whose topics exist.

        So each run begins with empty topics.
        """
        settings = msgspec.structs.replace(self.settings, namespace=f"b{secrets.token_hex(3)}")
        apply_topics(settings.kafka, Names(settings.namespace))
        return settings

    @contextmanager
    def process(self, settings: Settings, *words: str) -> Iterator["Worker"]:
        """Runs `python -m <words>` with these settings until the end of the block."""
        name = f"{settings.namespace}-{'-'.join(words[:3])}"
        with self.program(name, [sys.executable, "-m", *words], _environment(settings)) as worker:
            yield worker

    @contextmanager
    def program(
        self, name: str, argv: Sequence[str], environment: Mapping[str, str]
    ) -> Iterator["Worker"]:
        """Runs any program until the end of the block.

        `name` is the name of its log.
        """
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            started = subprocess.Popen(
                argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            yield Worker(started, log)
        finally:
            started.terminate()
            try:
                started.wait(40)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()

    def result(self, settings: Settings, *words: str) -> Any:
        """Runs `python -m <words>` and returns the JSON document that it prints."""
        command = [sys.executable, "-m", *words]
        done = subprocess.run(
            command,
            env=_environment(settings),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        if done.returncode:
            raise BenchFailed(
                f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}"
            )
        return json.loads(done.stdout)


def _environment(settings: Settings) -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.startswith("SENSORIUM_")
    } | to_environment(settings)


@dataclass
class Worker:
    """A process under measurement, with its children."""

    process: subprocess.Popen[bytes]
    log: Path

    def pace(
        self, count: Callable[[], int], total: int, records: int, *, warming: float = 0.0
    ) -> Pace:
        """Waits until `count` returns `total`, which represents `records` records.

        Start-up is not measured: the clock starts at the first progress beyond the
        share `warming`, and what was done by then is not counted.
        """
        deadline = Deadline(PATIENCE_SECONDS)
        first = 0
        while first <= warming * total:
            first = self._look(count, deadline)
        began, cpu = time.monotonic(), self.cpu_seconds()
        seen = first
        while seen < total:
            seen = self._look(count, deadline)
        seconds = time.monotonic() - began
        if total - first < total / 4:
            raise BenchFailed(
                f"{first} of {total} were done when the first progress was seen: the "
                "run is too short to measure"
            )
        done = records * (1 - first / total)
        return Pace(done / seconds, self.memory_mib(), (self.cpu_seconds() - cpu) / done * 1e6)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Waits until the condition holds."""
        deadline = Deadline(PATIENCE_SECONDS)
        while not self._look(condition, deadline):
            pass

    def wait_ready(self, url: str) -> None:
        """Waits until `url` answers 200."""

        def answers() -> bool:
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        self.wait(answers)

    def memory_mib(self, which: Literal["VmHWM", "VmRSS"] = "VmHWM") -> float:
        """The resident memory of the process and its children.

        It is the peak (VmHWM) or the current value (VmRSS).
        """
        kibibytes = (
            line.split()[1]
            for text in self._read("status")
            for line in text.splitlines()
            if line.startswith(which)
        )
        return sum(map(int, kibibytes)) / 1024

    def cpu_seconds(self) -> float:
        """The CPU time so far of the process and its children.

        It includes ended children that were waited for.
        """
        ticks = (text.rpartition(")")[2].split()[11:15] for text in self._read("stat"))
        return sum(sum(map(int, four)) for four in ticks) / os.sysconf("SC_CLK_TCK")

    def children(self) -> list[int]:
        """The process ids of the children."""
        pid = self.process.pid
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]

    def _read(self, file: str) -> Iterator[str]:
        """Reads the file of each process of the tree, unless it ends meanwhile."""
        for pid in self._tree():
            with suppress(FileNotFoundError, ProcessLookupError):
                yield Path(f"/proc/{pid}/{file}").read_text()

    def _tree(self) -> list[int]:
        pids = [self.process.pid]
        for pid in pids:  # grows while it is walked
            with suppress(FileNotFoundError, ProcessLookupError):
                pids += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return pids

    def _look(self, count: Callable[[], int], deadline: Deadline) -> int:
        if self.process.poll() is not None or deadline.has_passed:
            end = self.log.read_text(errors="replace")[-3000:]
            command = " ".join(map(str, self.process.args[1:]))  # type: ignore[index]
            raise BenchFailed(
                f"{command} did not come to its end ({self.process.returncode}):\n{end}"
            )
        time.sleep(_POLL_SECONDS)
        return count()


@contextmanager
def servers() -> Iterator[Rig]:
    """Runs Kafka, PostgreSQL and the store on free ports until the end of the block.

    They are started by the code behind `sensorium up`.
    """
    folder = Path(tempfile.mkdtemp(prefix="sensorium-bench-"))
    folder.chmod(0o711)  # PostgreSQL's user must be able to traverse it
    home = home_at(folder)
    try:
        settings = up(
            home, {}, say=print, only_servers=True, ports_anywhere=True, owner=os.getpid()
        ).settings
        yield Rig(settings, home.logs)
    finally:
        down(home, say=print)
        shutil.rmtree(folder)


def fill(kafka: Kafka, topic: str, records: Iterable[BenchRecord]) -> None:
    """Loads a topic as fast as possible. Returns when Kafka has all records."""
    producer = Producer(
        plain_producer_config(kafka)
        | _QUIET
        | {"linger.ms": 20, "batch.size": 1_000_000, "queue.buffering.max.messages": 1_000_000}
    )
    for count, (key, value, headers, partition) in enumerate(records):
        producer.produce(topic, value, key, partition, headers=list(headers))
        if count % 1000 == 0:
            producer.poll(0)
    if producer.flush(PATIENCE_SECONDS):
        raise BenchFailed(f"{topic} could not be filled")


def committed(kafka: Kafka, group: str, topic: str) -> Callable[[], int]:
    """Returns a function that counts the source records that a group has committed.

    For exactly-once work these are done.
    """
    # With read_committed the answer would wait for open transactions, and one nearly always is.
    asking = Consumer(
        reader_config(kafka, group) | _QUIET | {"isolation.level": "read_uncommitted"}
    )
    places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]

    def count() -> int:
        try:
            return sum(max(0, place.offset) for place in asking.committed(places, 10.0))
        except KafkaException as error:
            if error.args[0].code() not in _NO_COORDINATOR_YET:
                raise
            return 0

    return count


def written(kafka: Kafka, *topics: str) -> Callable[[], int]:
    """Returns a function that counts the records of topics that are not written in transactions."""
    asking = Consumer(reader_config(kafka, "bench") | _QUIET)
    places = [
        TopicPartition(topic, partition) for topic in topics for partition in range(PARTITIONS)
    ]
    return lambda: sum(asking.get_watermark_offsets(place, 10.0)[1] for place in places)


@contextmanager
def reading(kafka: Kafka, topic: str, seen: dict[bytes, float]) -> Iterator[None]:
    """Records, while the block runs, when each key was first seen."""
    eager = {"fetch.wait.max.ms": 10, "fetch.queue.backoff.ms": 1}
    consumer = Consumer(reader_config(kafka, "bench") | eager)
    consumer.assign(
        [TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)]
    )
    ending = threading.Event()

    def read_on() -> None:
        while not ending.is_set():
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                seen.setdefault(message.key() or b"", time.monotonic())

    thread = threading.Thread(target=read_on)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        consumer.close()
