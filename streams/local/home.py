"""The folder of one local installation (`./var`):
what lies where, and how it is written.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.fernet import Fernet


class Home(NamedTuple):
    """`data/` is what lasts, `log/` one file a process, `run/` what is known about the processes
    and the secrets.
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
        """What is in force, for people and programs around the pipeline."""
        return self.folder / "sensorium.env"

    @property
    def settings_file(self) -> Path:
        """What people gave to `up`: read again by the next one."""
        return self.folder / "settings.env"

    @property
    def declared_file(self) -> Path:
        """What should run: written by `up`, read by the supervisor."""
        return self.run / "declared.json"

    @property
    def state_file(self) -> Path:
        """What runs: written by the supervisor."""
        return self.run / "state.json"

    @property
    def supervisor_file(self) -> Path:
        return self.run / "supervisor.json"

    def make(self) -> None:
        """Makes the folders, closed to other users:
        they hold raw messages, media and secrets.

        PostgreSQL runs as a user of its own where this runs as
        root. So two folders may be passed through, but not read.
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
        """What tells a process of this installation from every other (processes.MARK)."""
        return f"{self.folder}:{name}"


class LocalSecrets(NamedTuple):
    """Made once, so that a second start can read what the first one wrote."""

    postgres_password: str
    objects_secret_key: str
    key: str


def secrets_of(home: Home) -> LocalSecrets:
    file = home.run / "secrets.json"
    known = read(file, {})
    if not known:
        known = {
            "postgres_password": secrets.token_hex(16),
            "objects_secret_key": secrets.token_hex(16),
            "key": Fernet.generate_key().decode(),
        }
        write(file, known)
    return LocalSecrets(**known)


def home_at(path: str | Path) -> Home:
    return Home(Path(path).resolve())


def write(file: Path, value: Any) -> None:
    write_text(file, json.dumps(value, indent=1))


def write_text(file: Path, text: str) -> None:
    """Whole or not at all, and for its owner's eyes: nearly every file here holds a secret."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        output.write(text)
    unfinished.replace(file)


def environment_in(file: Path) -> dict[str, str]:
    """The `KEY=VALUE` lines of a file such as `environment_file`."""
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
