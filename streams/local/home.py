"""The folder of one local installation (`./var`): its layout, and how its files are written."""

import json
import os
import secrets
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.fernet import Fernet


class Home(NamedTuple):
    """The home folder.

    `data/` has what must survive, `log/` one file per process, `run/` the secrets and
    what is known about the processes.
    """

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def logs(self) -> Path:
        return self.folder / "log"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def environment_file(self) -> Path:
        """The settings in force, for people and for programs around the pipeline."""
        return self.folder / "sensorium.env"

    @property
    def settings_file(self) -> Path:
        """The settings that people gave to `up`, which the next `up` reads again."""
        return self.folder / "settings.env"

    @property
    def declared_file(self) -> Path:
        """The processes that should run. Written by `up`, read by the supervisor."""
        return self.run / "declared.json"

    @property
    def state_file(self) -> Path:
        """The processes that run. Written by the supervisor."""
        return self.run / "state.json"

    @property
    def supervisor_file(self) -> Path:
        return self.run / "supervisor.json"

    def make(self) -> None:
        """Creates the folders, closed to other users.

        They contain raw messages, media and secrets. If this runs as root, PostgreSQL
        runs as a user of its own. So two folders may be traversed, but not read.
        """
        for folder, mode in (
            (self.folder, 0o711),
            (self.data, 0o711),
            (self.logs, 0o700),
            (self.run, 0o700),
        ):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
        for server in ("kafka", "objects"):
            (self.data / server).mkdir(mode=0o700, exist_ok=True)
            (self.data / server).chmod(0o700)

    def mark(self, name: str) -> str:
        """Distinguishes a process of this installation from all others (processes.MARK)."""
        return f"{self.folder}:{name}"


class LocalSecrets(NamedTuple):
    """Generated once, so that a second start can read what the first one wrote."""

    postgres_password: str
    objects_secret_key: str
    key: str


def secrets_of(home: Home) -> LocalSecrets:
    file = home.run / "secrets.json"
    stored = read(file, {})
    if not stored:
        stored = {
            "postgres_password": secrets.token_hex(16),
            "objects_secret_key": secrets.token_hex(16),
            "key": Fernet.generate_key().decode(),
        }
        write(file, stored)
    return LocalSecrets(**stored)


def home_at(path: str | Path) -> Home:
    return Home(Path(path).resolve())


def write(file: Path, value: Any) -> None:
    write_text(file, json.dumps(value, indent=1))


def write_text(file: Path, text: str) -> None:
    """Writes the file atomically, readable by its owner only.

    Nearly every file here contains a secret.
    """
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        output.write(text)
    unfinished.replace(file)


def environment_in(file: Path) -> dict[str, str]:
    """Reads the `KEY=VALUE` lines of a file such as `environment_file`."""
    pairs = (
        line.partition("=")
        for line in file.read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    return {name: value for name, _, value in pairs}


def read(file: Path, otherwise: Any) -> Any:
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return otherwise
