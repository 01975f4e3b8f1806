import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streams.local import jars, kafka, objects
from streams.local.parts import cache, part, program, run
from streams.local.processes import LocalError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_two_that_want_the_same_part_make_it_once() -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "program").write_text("x")

    with ThreadPoolExecutor(2) as both:
        found = list(both.map(lambda _: part("thing-1", make), range(2)))
    assert found == [cache() / "thing-1"] * 2
    assert len(made) == 1
    assert (found[0] / "program").read_text() == "x"


def test_a_part_that_could_not_be_made_leaves_nothing_and_is_tried_again() -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise LocalError("no network")

    with pytest.raises(LocalError):
        part("thing-1", fail)
    assert [path.name for path in cache().iterdir()] == ["thing-1.lock"]
    assert part("thing-1", lambda folder: None).exists()


def test_a_missing_program_says_what_to_install() -> None:
    with pytest.raises(LocalError, match="`no-such-thing` is not on PATH: install the thing"):
        program("no-such-thing", install="the thing")


def test_a_command_that_fails_shows_what_it_said() -> None:
    with pytest.raises(LocalError, match=r"(?s)failed with 3.*because"):
        run(["sh", "-c", "echo because; exit 3"])


def test_every_jar_is_pinned_by_its_sha256() -> None:
    lock = jars.pinned(kafka.LOCK)
    assert len(lock) == 46
    assert all(
        len(digest) == 64 and coordinates.count(":") == 2 for coordinates, digest in lock.items()
    )
    assert f"org.apache.kafka:kafka_2.13:{kafka.VERSION}" in lock


@pytest.mark.parametrize(
    ("files", "wrong"),
    [
        ({"a-1.jar": b"a"}, None),
        ({"a-1.jar": b"tampered"}, "a-1.jar"),
        ({}, "a-1.jar"),
        ({"a-1.jar": b"a", "more-2.jar": b"b"}, "more-2.jar"),
    ],
)
def test_only_exactly_the_pinned_jars_pass(
    tmp_path: Path, files: dict[str, bytes], wrong: str | None
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    lock = tmp_path / "some.lock"
    lock.write_text(f"# a comment\ng:a:1 {hashlib.sha256(b'a').hexdigest()}\n")
    if wrong is None:
        jars.check(tmp_path, lock)
    else:
        with pytest.raises(LocalError, match=wrong):
            jars.check(tmp_path, lock)


def test_a_java_home_without_java_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(LocalError, match="JAVA_HOME=/nowhere"):
        kafka.java()


def test_an_object_store_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACK__OBJECTS", "floppy")
    with pytest.raises(LocalError, match="STACK__OBJECTS=floppy is not one of minio, versitygw"):
        objects.chosen()
