"""Apache Kafka as one KRaft process, from the jars that kafka.lock pins."""

import base64
import os
import re
import subprocess
import uuid
from pathlib import Path

from streams.local.home import write_text
from streams.local.jars import copy_jars, pinned
from streams.local.parts import Say, part, program, run
from streams.local.processes import LocalError

VERSION = "4.1.0"
LOCK = Path(__file__).with_name("kafka.lock")
_LEAST_JAVA = 17

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# a transaction whose owner is gone is aborted at most this much after its timeout (default 10 s)
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# after SIGKILL the broker waits until its own old session is over (default 9 s)
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=400
log.segment.bytes=67108864
# the default forgets a group's offsets after 7 days without members: too short for a laptop
offsets.retention.minutes=525600
"""
LOGGING = """\
Configuration:
  Appenders:
    Console:
      name: out
      PatternLayout: {pattern: '%d %p %m (%c)%n'}
  Loggers:
    Root: {level: WARN, AppenderRef: [{ref: out}]}
"""


def jars(say: Say) -> Path:
    """Returns the folder with the jars.

    Maven fetches them if they are missing, and they are checked against kafka.lock.
    """

    def fetch(folder: Path) -> None:
        say(f"kafka: fetching {len(pinned(LOCK))} jars with Maven (once)")
        copy_jars(folder, LOCK)

    return part(f"kafka-{VERSION}", fetch)


def java() -> str:
    """Finds Java 17 or later, from JAVA_HOME or else from PATH."""
    home = os.environ.get("JAVA_HOME")
    path = (
        f"{home}/bin/java"
        if home
        else program(
            "java",
            install=f"a Java runtime, {_LEAST_JAVA} or later (Debian: `openjdk-17-jre-headless`)",
        )
    )
    try:
        output = subprocess.run(
            [path, "-version"], capture_output=True, text=True, check=False
        ).stderr
    except OSError as error:
        raise LocalError(f"JAVA_HOME={home} has no Java: {error.strerror}") from None
    version = re.search(r'version "(\d+)', output)
    if version is None or int(version[1]) < _LEAST_JAVA:
        raise LocalError(
            f"{path} is not Java {_LEAST_JAVA} or later: install one (Debian: "
            "`openjdk-17-jre-headless`) or set JAVA_HOME"
        )
    return path


def prepare(data: Path, *, port: int, controller_port: int, say: Say) -> list[str]:
    """Writes the broker's configuration and formats an empty `data` folder.

    Returns the broker's command line.
    """
    libraries = jars(say)
    data.mkdir(parents=True, exist_ok=True)
    properties, logging = data.with_name("kafka.properties"), data.with_name("kafka-log4j2.yaml")
    write_text(properties, PROPERTIES.format(port=port, controller_port=controller_port, data=data))
    write_text(logging, LOGGING)
    command = [
        java(),
        "-Xms128m",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-Xshare:auto",
        f"-Dlog4j2.configurationFile={logging}",
        "-cp",
        f"{libraries}/*",
    ]
    if not (data / "meta.properties").exists():
        run(
            [
                *command,
                "kafka.tools.StorageTool",
                "format",
                "-t",
                _cluster_id(),
                "-c",
                str(properties),
            ]
        )
    return [*command, "kafka.Kafka", str(properties)]


def _cluster_id() -> str:
    """Returns a random cluster id.

    It must not begin with a hyphen, which the tool would read as an option.
    """
    return "s" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
