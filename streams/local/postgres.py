"""Runs the PostgreSQL of this machine as a user that it accepts.

`python -m streams.local.postgres DATA PORT` becomes the server, so the supervisor can
start it again with the same command line.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from streams.local.parts import Say
from streams.local.processes import LocalError, started_at, wait_for

USER = DATABASE = "sensorium"


class ServerAccount(NamedTuple):
    """The user that runs the server.

    `prefix` is put before its commands. If `uid` and `gid` are not None, the process
    switches to them.
    """

    uid: int | None = None
    gid: int | None = None
    prefix: tuple[str, ...] = ()


def programs() -> Path:
    """Returns the folder of `initdb` and `postgres`: the newest in the usual places,
    else the one on PATH.
    """
    usual = [str(folder) for folder in Path("/usr").glob("lib/postgresql/*/bin")] + [
        str(folder) for folder in Path("/usr").glob("pgsql-*/bin")
    ]
    on_path = shutil.which("initdb")
    for folder in [
        *sorted(usual, key=_version_in, reverse=True),
        *([str(Path(on_path).resolve().parent)] if on_path else []),
    ]:
        if all(os.access(f"{folder}/{name}", os.X_OK) for name in ("initdb", "postgres")):
            return Path(folder)
    raise LocalError(
        "there are no PostgreSQL server programs (initdb, postgres): install "
        "PostgreSQL (Debian: `apt-get install postgresql`)"
    )


def _version_in(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]


def account(data: Path) -> ServerAccount:
    """Chooses the user, because PostgreSQL refuses uid 0.

    Root switches to a service user that can reach the folders. If the folders are
    closed to others, it uses a user namespace in which it is `nobody`, so that the
    files stay root's. Any other user runs PostgreSQL directly. An existing data folder
    keeps its owner.
    """
    if os.geteuid() != 0:
        return ServerAccount()
    owner = data.stat().st_uid if (data / "PG_VERSION").exists() else None
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        if owner in (None, user.pw_uid) and _can_reach(data.parent, user.pw_uid, user.pw_gid):
            return ServerAccount(user.pw_uid, user.pw_gid)
    nobody = pwd.getpwnam("nobody")
    prefix = ("unshare", "-U", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    if (
        owner in (None, 0)
        and shutil.which("unshare")
        and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    ):
        return ServerAccount(prefix=prefix)
    raise LocalError(
        "PostgreSQL does not run as root, and the users postgres and nobody cannot "
        f"reach {data.parent}: run this as another user, or choose a folder that "
        "others may pass through (`--home /var/tmp/sensorium`)"
    )


def _can_reach(folder: Path, uid: int, gid: int) -> bool:
    test = ["/bin/sh", "-c", f'test -x "$0" && "{programs()}/initdb" --version', str(folder)]
    return (
        subprocess.run(
            test, user=uid, group=gid, extra_groups=[], capture_output=True, check=False
        ).returncode
        == 0
    )


def prepare(data: Path, *, port: int, password: str, say: Say) -> list[str]:
    """Creates the cluster in an empty `data` folder, with a role and a database `sensorium`.

    Returns the server's command line.
    """
    binaries, owner = programs(), account(data)
    if (data / "PG_VERSION").exists():
        _refuse_another_version(binaries, data)
    else:
        say("postgres: making the database cluster (once)")
        _initialize(binaries, owner, data, password)
    return [sys.executable, "-m", "streams.local.postgres", str(data), str(port)]


def _refuse_another_version(binaries: Path, data: Path) -> None:
    output = subprocess.run(
        [binaries / "postgres", "--version"], capture_output=True, text=True, check=False
    ).stdout
    programs_are, data_is = re.search(r"(\d+)", output), (data / "PG_VERSION").read_text().strip()
    if programs_are is None or programs_are[1] != data_is:
        raise LocalError(
            f"{data} was made by PostgreSQL {data_is} and the programs are "
            f"{output.strip()}: install that version, or remove {data}"
        )


def _initialize(binaries: Path, owner: ServerAccount, data: Path, password: str) -> None:
    shutil.rmtree(data, ignore_errors=True)  # the rest of an interrupted first attempt
    data.mkdir(parents=True)
    # A file of mode 0600, because another uid could not open a pipe.
    with tempfile.NamedTemporaryFile("w", dir=data.parent) as secret:
        secret.write(password + "\n")
        secret.flush()
        if owner.uid is not None and owner.gid is not None:
            os.chown(data, owner.uid, owner.gid)
            os.chown(secret.name, owner.uid, owner.gid)
        options = [
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            f"--pwfile={secret.name}",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ]
        _as(owner, [str(binaries / "initdb"), "-D", str(data), *options])
    try:
        _as(
            owner,
            [str(binaries / "postgres"), "--single", "-D", str(data), "postgres"],
            f"CREATE DATABASE {DATABASE};\n",
        )
    except LocalError:
        (data / "PG_VERSION").unlink()  # so that the next attempt starts from the beginning
        raise


def _as(owner: ServerAccount, command: list[str], stdin: str = "") -> None:
    done = subprocess.run(
        [*owner.prefix, *command],
        input=stdin,
        text=True,
        capture_output=True,
        cwd="/",
        check=False,
        user=owner.uid,
        group=owner.gid,
        extra_groups=None if owner.uid is None else [],
    )
    if done.returncode:
        raise LocalError(f"{Path(command[0]).name} failed:\n{done.stderr[-1500:]}")


def become(data: Path, port: int) -> None:
    """Replaces this process by the server.

    Stop it with SIGINT, because on SIGTERM it waits until every client has disconnected.
    """
    binaries, owner = programs(), account(data)
    clear_stale_lock(data / "postmaster.pid")
    # no unix socket: its path is limited to 107 bytes, and folders are often longer
    settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"]
    command = [
        *owner.prefix,
        str(binaries / "postgres"),
        "-D",
        str(data),
        "-p",
        str(port),
        *(word for s in settings for word in ("-c", s)),
    ]
    os.chdir("/")
    if owner.uid is not None and owner.gid is not None:
        os.setgroups([])
        os.setgid(owner.gid)
        os.setuid(owner.uid)
    os.execvp(command[0], command)


def clear_stale_lock(lock: Path, seconds: float = 1.0) -> None:
    """Removes the lock of a killed server that is still a zombie after `seconds`.

    After SIGKILL a server stays a zombie until its parent reaps it. PostgreSQL takes
    that for a running server and refuses to start.
    """
    try:
        pid = int(lock.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return
    if started_at(pid) is None and not wait_for(lambda: not Path(f"/proc/{pid}").exists(), seconds):
        lock.unlink(missing_ok=True)


if __name__ == "__main__":
    become(Path(sys.argv[1]), int(sys.argv[2]))
