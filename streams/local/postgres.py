"""PostgreSQL from the programs of this machine, as a user that it accepts.

`python -m streams.local.postgres DATA PORT` becomes the server:
whoever keeps it alive starts it again with the same words.
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
    """Who runs the server.

    `prefix` goes before its commands; `uid` and
    `gid` are taken on first, when they are not None.
    """

    uid: int | None = None
    gid: int | None = None
    prefix: tuple[str, ...] = ()


def programs() -> Path:
    """The folder of `initdb` and `postgres`: the newest under the usual places, else that of PATH."""
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
        "there are no PostgreSQL server programs (initdb, postgres): install PostgreSQL (Debian: `apt-get install postgresql`)"
    )


def _version_in(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]


def account(data: Path) -> ServerAccount:
    """PostgreSQL refuses uid 0. Root takes on a service user that can reach the folders; or, where
    they lie under a folder closed to others, goes into a user namespace in which it is `nobody`, so
    that the files stay root's. Anybody else runs it as himself. A data folder that is already there
    stays with whom it was made for.
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
        f"PostgreSQL does not run as root, and the users postgres and nobody cannot reach {data.parent}: "
        "run this as another user, or choose a folder that others may pass through (`--home /var/tmp/sensorium`)"
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
    """Makes the cluster in an empty `data` folder, with a role and a database `sensorium`. Returns
    the command line of the server.
    """
    binaries, owner = programs(), account(data)
    if (data / "PG_VERSION").exists():
        _refuse_another_version(binaries, data)
    else:
        say("postgres: making the database cluster (once)")
        _initialize(binaries, owner, data, password)
    return [sys.executable, "-m", "streams.local.postgres", str(data), str(port)]


def _refuse_another_version(binaries: Path, data: Path) -> None:
    said = subprocess.run(
        [binaries / "postgres", "--version"], capture_output=True, text=True, check=False
    ).stdout
    programs_are, data_is = re.search(r"(\d+)", said), (data / "PG_VERSION").read_text().strip()
    if programs_are is None or programs_are[1] != data_is:
        raise LocalError(
            f"{data} was made by PostgreSQL {data_is} and the programs are {said.strip()}: install that version, or remove {data}"
        )


def _initialize(binaries: Path, owner: ServerAccount, data: Path, password: str) -> None:
    shutil.rmtree(data, ignore_errors=True)  # what an interrupted first try left
    data.mkdir(parents=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=data.parent
    ) as secret:  # mode 0600; a pipe cannot be opened again by another uid
        secret.write(password + "\n")
        secret.flush()
        if owner.uid is not None and owner.gid is not None:
            os.chown(data, owner.uid, owner.gid)
            os.chown(secret.name, owner.uid, owner.gid)
        how = [
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
        _as(owner, [str(binaries / "initdb"), "-D", str(data), *how])
    try:
        _as(
            owner,
            [str(binaries / "postgres"), "--single", "-D", str(data), "postgres"],
            f"CREATE DATABASE {DATABASE};\n",
        )
    except LocalError:
        (data / "PG_VERSION").unlink()  # so that the next try begins again
        raise


def _as(owner: ServerAccount, command: list[str], typed: str = "") -> None:
    done = subprocess.run(
        [*owner.prefix, *command],
        input=typed,
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

    Stop it with SIGINT: SIGTERM waits for every client to go.
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
    """After SIGKILL the dead server may stay a zombie for as long as its parent likes, and
    PostgreSQL takes a zombie for a living server and refuses to start. So the lock of one that is
    still there, and dead, after `seconds` is removed.
    """
    try:
        pid = int(lock.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return
    if started_at(pid) is None and not wait_for(lambda: not Path(f"/proc/{pid}").exists(), seconds):
        lock.unlink(missing_ok=True)


if __name__ == "__main__":
    become(Path(sys.argv[1]), int(sys.argv[2]))
