"""Fetches with Maven the jars that a lock file pins by sha256."""

import hashlib
from pathlib import Path

from streams.local.parts import program, run
from streams.local.processes import LocalError

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def pinned(lock: Path) -> dict[str, str]:
    """Maps each `group:artifact:version` to the sha256 of its jar."""
    lines = (
        line.split() for line in lock.read_text().splitlines() if line and not line.startswith("#")
    )
    return {line[0]: line[1] for line in lines}


def copy_jars(folder: Path, lock: Path) -> None:
    """Copies the jars of the lock file into the folder.

    Raises LocalError if Maven is missing or fetches other jars.
    """
    maven = program("mvn", install="Maven (Debian: `apt-get install maven`)")
    project = folder / "pom.xml"
    project.write_text(_project(pinned(lock)))
    run([maven, "-q", "-B", "-f", str(project), _COPY, f"-DoutputDirectory={folder}"])
    check(folder, lock)


def _project(jars: dict[str, str]) -> str:
    """Returns a Maven project with exactly these dependencies and none of their own.

    Maven then only copies them.
    """
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version>"
        "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>"
        "</exclusions></dependency>"
        for group, artifact, version in (coordinates.split(":") for coordinates in jars)
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>sensorium</groupId><artifactId>jars</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    )


def check(folder: Path, lock: Path) -> None:
    """Raises LocalError unless the folder has exactly the pinned jars of the lock file.

    A jar may be missing, may differ, or may not be in the lock file.
    """
    expected = {
        f"{artifact}-{version}.jar": digest
        for (_, artifact, version), digest in ((c.split(":"), d) for c, d in pinned(lock).items())
    }
    present = {
        jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")
    }
    wrong = sorted(
        name for name in expected.keys() | present.keys() if expected.get(name) != present.get(name)
    )
    if wrong:
        raise LocalError(f"Maven fetched other jars than {lock.name} pins: {', '.join(wrong)}")
