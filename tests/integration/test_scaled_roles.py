"""`--scale`: two processes of one role, with one environment, share the partitions of one group."""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas.pipeline import TopicName
from schemas.settings import Settings, WorkerSettings
from schemas.topics import Names
from storage.kafka.client import client_config
from streams.roles.needs import environment_of
from tests.integration.databases import schema
from tests.integration.receivers import unused_port
from tests.integration.waiting import until
from tests.topics import make_topics

SECONDS = 150.0
SESSION_SECONDS = 10
ROLES: dict[str, tuple[str, TopicName]] = {
    "stream dedupe": ("dedupe", "raw-messages"),
    "stream describe": ("describe", "vision"),
    "sink": ("sink", "enriched-messages"),
}
"""Maps each role to its group and a topic that it reads."""
Share = dict[str, set[int]]


@pytest.fixture
async def here(stack: Settings, namespace: str) -> AsyncIterator[Settings]:
    settings = msgspec.structs.replace(
        stack,
        namespace=namespace,
        worker=WorkerSettings(name="worker-1", metrics_port=unused_port()),
        kafka=msgspec.structs.replace(stack.kafka, session_timeout_seconds=SESSION_SECONDS),
    )
    await asyncio.to_thread(make_topics, settings.kafka, Names(namespace))
    async with schema(settings.postgres, Names(namespace)):
        yield settings


@contextmanager
def running(role: str, environment: Mapping[str, str], log: Path) -> Iterator[None]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.commands.main", *role.split()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(60)


class Group:
    """The members of the role's group, from the broker."""

    def __init__(self, settings: Settings, stage: str, topic: TopicName) -> None:
        names = Names(settings.namespace)
        self._admin = AdminClient(client_config(settings.kafka))
        self._name, self._topic = names.group(stage), names.topic(topic)
        self._all = set(range(settings.kafka.partitions))

    def shares(self) -> Share:
        """The partitions of each member, by its instance id."""
        try:
            future = self._admin.describe_consumer_groups([self._name], request_timeout=30)
            described = future[self._name].result(30)
        except KafkaException:
            return {}
        return {
            member.group_instance_id: {
                one.partition
                for one in (member.assignment.topic_partitions if member.assignment else ())
                if one.topic == self._topic
            }
            for member in described.members
        }

    async def shared_by(self, workers: int) -> set[str]:
        """Waits until this many members have all partitions, each at least one, and none is shared.

        Returns their names.
        """
        found: Share = {}

        async def shared() -> bool:
            nonlocal found
            found = await asyncio.to_thread(self.shares)
            parts = [share for share in found.values() if share]
            return (
                len(parts) == len(found) == workers
                and sum(map(len, parts)) == len(self._all)
                and set().union(*parts) == self._all
            )

        try:
            await until(shared, SECONDS, f"{workers} share {self._name}")
        except AssertionError as late:
            raise AssertionError(f"{late}: {found}") from None
        return set(found)


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("role", ROLES)
async def test_two_roles_of_one_environment_share_the_partitions_of_their_group(
    role: str, here: Settings, tmp_path: Path
) -> None:
    plain = {name: one for name, one in os.environ.items() if not name.startswith("SENSORIUM_")}
    environment = plain | environment_of(role, here) | {"XDG_RUNTIME_DIR": str(tmp_path)}
    group, port = Group(here, *ROLES[role]), here.worker.metrics_port
    with running(role, environment, tmp_path / "first.log"):
        (first,) = await group.shared_by(1)
        with ExitStack() as ending:
            ending.enter_context(running(role, environment, tmp_path / "second.log"))
            names = await group.shared_by(2)
            assert first in names and all("worker-1" in name for name in names)
            log = tmp_path / "second.log"
            await until(lambda: asyncio.to_thread(both_ready, port, log), SECONDS, "both are ready")
        assert await group.shared_by(1) == {first}, "what one had goes to the other"
        with running(role, environment, tmp_path / "again.log"):
            assert await group.shared_by(2) == names, "a restart keeps its name"


def both_ready(port: int, log: Path) -> bool:
    """Waits until both are ready.

    The second one answers at another port, because the first has the port of their
    environment.
    """
    taken = [line for line in log.read_text().splitlines() if "operations_port_taken" in line]
    return bool(taken) and is_ready(port) and is_ready(json.loads(taken[-1])["port"])
