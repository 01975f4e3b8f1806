import errno
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from connectors.media.spool import HEAD_BYTES, WRITE_BYTES, Downloaded, Spool
from schemas.fetching import FileGone
from schemas.outcomes import Unavailable


async def pieces(*of: bytes) -> AsyncIterator[bytes]:
    for piece in of:
        yield piece


async def filled(spool: Spool, *of: bytes, max_bytes: int = 10_000_000) -> Downloaded:
    return await spool.fill(pieces(*of), content_type="audio/ogg", max_bytes=max_bytes)


def open_files() -> set[str]:
    """The files that this process has open, by the names of its descriptors."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    return found


async def test_a_spooled_file_is_private_and_has_no_name(tmp_path: Path) -> None:
    file = await filled(Spool(tmp_path), b"hello")
    found = os.fstat(file.file.fileno())
    assert (stat.S_IMODE(found.st_mode), found.st_nlink, list(tmp_path.iterdir())) == (0o600, 0, [])
    file.discard()
    assert [name for name in open_files() if name.startswith(str(tmp_path))] == []


async def test_what_comes_in_pieces_of_any_size_is_one_file(tmp_path: Path) -> None:
    of = [b"", b"a" * (HEAD_BYTES - 1), b"bc", b"d" * (WRITE_BYTES * 2 + 1), b"", b"e"]
    file = await filled(Spool(tmp_path), *of)
    file.file.seek(0)
    assert (file.file.read(), file.head) == (b"".join(of), b"".join(of)[:HEAD_BYTES])
    file.discard()


async def test_a_folder_that_was_removed_while_running_is_made_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    for _ in range(2):
        (await filled(spool, b"hello")).discard()
        shutil.rmtree(tmp_path / "spool")


class Broken:
    """A file whose disk reports errors."""

    def __init__(self, number: int) -> None:
        self._number = number

    def write(self, data: bytes) -> int:
        raise OSError(self._number, os.strerror(self._number))

    def flush(self) -> None:
        return None

    def close(self) -> None:
        return None


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG]
)
async def test_whatever_the_disk_refuses_while_writing_is_its_own_trouble(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda *_, **__: Broken(number))
    with pytest.raises(Unavailable) as trouble:
        await filled(Spool(tmp_path), b"hello")
    assert (trouble.value.what, trouble.value.retry_after, trouble.value.detail) == (
        "disk",
        5.0,
        errno.errorcode[number],
    )


@pytest.mark.parametrize(
    "number", [errno.EMFILE, errno.ENFILE, errno.EACCES, errno.ENOENT, errno.EROFS]
)
async def test_whatever_the_disk_refuses_while_opening_is_its_own_trouble(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> BinaryIO:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(Unavailable, match="disk"):
        await filled(Spool(tmp_path), b"hello")


async def test_a_file_in_the_place_of_the_folder_is_the_disks_trouble(tmp_path: Path) -> None:
    (tmp_path / "spool").write_bytes(b"")
    with pytest.raises(Unavailable, match="disk"):
        await filled(Spool(tmp_path / "spool"), b"hello")


async def test_the_folder_of_the_system_is_used_unless_another_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = await filled(Spool(), b"hello")
    assert any(name.startswith(str(tmp_path)) for name in open_files())
    file.discard()


async def broken_off(error: BaseException) -> AsyncIterator[bytes]:
    yield b"x" * WRITE_BYTES
    raise error


@pytest.mark.parametrize(
    "error", [Unavailable("object_store"), ConnectionError(), FileGone("media_gone")]
)
async def test_what_the_source_raises_passes_and_nothing_is_left(
    error: Exception, tmp_path: Path
) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(type(error)):
        await spool.fill(broken_off(error), content_type="", max_bytes=10_000_000)
    (await filled(spool, b"after it")).discard()
    spool.close()
    spool._threads.shutdown(wait=True)
    assert [name for name in open_files() if name.startswith(str(tmp_path))] == []


async def test_a_file_over_the_limit_is_left_at_the_limit(tmp_path: Path) -> None:
    with pytest.raises(FileGone, match="media_too_large"):
        await filled(Spool(tmp_path), b"x" * 10, b"y", max_bytes=10)
    with pytest.raises(FileGone, match="media_empty"):
        await filled(Spool(tmp_path), b"")
