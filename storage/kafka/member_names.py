"""A unique group.instance.id for each process, even if several share an environment.

Two members with one id fence each other endlessly. A configured name is copied
(replicas of one service), so the id also contains the host's name and a number that one
process per host holds at a time. The number is a file lock, which ends with the
process. A process that is restarted on the same host takes the same number, and so
keeps its partitions without a rebalance.
"""

import fcntl
import hashlib
import os
import re
import socket
import tempfile
from pathlib import Path

import structlog

log = structlog.get_logger()
LARGEST_NUMBER = 1_000
LONGEST_ID = 249
_NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9._-]")
_held: list[int] = []
"""The descriptors of this process's locks. Closing one would release its number."""


def static_member(group: str, worker_name: str) -> str | None:
    """The id, or None without a name or if no number can be locked.

    Membership is then dynamic, which makes rebalances slower but is as safe.
    """
    if not worker_name:
        return None
    name = _NOT_ALLOWED.sub("-", f"{group}-{worker_name}-{socket.gethostname()}")
    try:
        number = _free_number(name)
    except OSError as error:
        log.warning("worker_name_not_used", name=worker_name, error=str(error))
        return None
    return f"{name[: LONGEST_ID - 5]}-{number}"


def _free_number(name: str) -> int:
    folder = _folder()
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    for number in range(LARGEST_NUMBER):
        descriptor = os.open(
            folder / f"{digest}-{number}",
            os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        _held.append(descriptor)
        return number
    raise OSError(f"{LARGEST_NUMBER} processes on this host already use the name")


def _folder() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    parent = Path(runtime) if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir())
    folder = parent / f"sensorium-names-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or folder.is_symlink():
        raise OSError(f"{folder} must be a folder of mode 0700 that belongs to this user")
    return folder
