"""The rivals' programs, fetched and built once per machine.

They are built from sources and lock files in this folder.
"""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

from streams.local import kafka
from streams.local.jars import copy_jars
from streams.local.parts import Say, part, program, run

SOURCES = Path(__file__).parent
STREAMS, CONNECT, QUIX, GATEWAY = (
    SOURCES / name for name in ("streams", "connect", "quix", "gateway")
)
JARS = {
    "streams": STREAMS / "streams.lock",
    "connect": CONNECT / "connect.lock",
    "debezium-jdbc": CONNECT / "debezium-jdbc.lock",
}
"""Lock files with a rival's jars and their sha256."""
LOGGING = kafka.LOGGING
HEAP = ("-Xms256m", "-Xmx2g")
"""The heap of the JVM rivals: what Kafka's own scripts give to a Connect worker."""


def gateway(say: Say) -> Path:
    """The program of gateway/, built by Go from the modules that go.sum pins."""

    def build(folder: Path) -> None:
        go = program("go", install="Go 1.21 or later (https://go.dev/dl)")
        say("rivals: building the Go gateway (once)")
        run(
            [go, "build", "-C", str(GATEWAY), "-mod=readonly", "-o", str(folder / "gateway"), "."],
            environment={"GOFLAGS": "", "CGO_ENABLED": "0"},
        )

    return _part("gateway", GATEWAY, build) / "gateway"


def topology(say: Say) -> str:
    """The class path of the compiled streams/Dedup.java."""
    libraries = _jars("streams", say)

    def build(folder: Path) -> None:
        compiler = program(
            "javac", install="a JDK, 17 or later (Debian: `openjdk-17-jdk-headless`)"
        )
        say("rivals: compiling the Kafka Streams topology (once)")
        source = str(STREAMS / "Dedup.java")
        run([compiler, "-cp", f"{libraries}/*", "-d", str(folder), source])

    return f"{_part('topology', STREAMS, build)}:{libraries}/*"


def connect(say: Say) -> Path:
    """The jars of a Kafka Connect worker."""
    return _jars("connect", say)


def debezium_jdbc(say: Say) -> Path:
    """The jars of the connector."""
    return _jars("debezium-jdbc", say)


def _jars(name: str, say: Say) -> Path:
    """A folder of jars, fetched by Maven and checked against their lock file."""

    def fetch(folder: Path) -> None:
        say(f"rivals: fetching the jars of {name} with Maven (once)")
        copy_jars(folder, JARS[name])

    return _part(name, JARS[name], fetch)


def quix(say: Say) -> Path:
    """The Python of an environment with the packages that quix/requirements.lock pins.
    They are independent of the product's.
    """
    lock = QUIX / "requirements.lock"

    def install(folder: Path) -> None:
        say("rivals: installing Quix Streams into an environment of its own (once)")
        uv = str(Path(sys.executable).with_name("uv"))
        run([uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")])
        python = str(folder / "venv" / "bin" / "python")
        run(
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--require-hashes",
                "--python",
                python,
                "-r",
                str(lock),
            ]
        )

    return _part("quix", lock, install) / "venv" / "bin" / "python"


def java() -> str:
    """The Java that runs the broker."""
    return kafka.java()


def _part(name: str, source: Path, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, which is built again if its source or lock file changes."""
    digest = hashlib.sha256()
    for file in sorted(source.iterdir()) if source.is_dir() else [source]:
        digest.update(file.read_bytes())
    return part(f"rival-{name}-{digest.hexdigest()[:16]}", make)
