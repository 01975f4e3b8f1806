"""The servers and roles that `sensorium up` runs, and their common settings."""

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from connectors.engines.outcomes import EARS, EYES
from schemas.pipeline import STAGES
from schemas.settings import Settings
from streams.local import kafka, objects, postgres
from streams.local.home import Home, LocalSecrets
from streams.local.parts import Say
from streams.local.weights import engines_installed
from streams.roles.needs import environment_of
from streams.settings import PREFIX, read_settings

SERVERS = ("kafka", "postgres", "objects")
PORTS = (
    "kafka",
    "kafka_controller",
    "postgres",
    "objects",
    "receiver",
    "console",
    "stand_in",
    "demo_media",
    *STAGES,
    "sink",
)

STAND_IN = "stand-in"
OWN_MODELS = frozenset({"local-models", STAND_IN})
"""Roles that answer instead of a model if the settings name none."""
_OWN_KEY = "local"
"""The client needs a key, although our own server does not check it."""
WITHOUT_OBJECTS = frozenset({"receive", "dedupe", "assemble", "sink"})
"""Roles that do not need the object store and are therefore started before it is built."""


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A process that should run.

    Without `argv` it runs elsewhere and is only listed here.
    """

    name: str
    role: str
    argv: tuple[str, ...]
    environment: dict[str, str] = {}
    port: int | None
    url: str | None
    probe: str = ""
    """Must answer (probes.py) before the process counts as running.

    If empty, it is enough that the process lives.
    """
    stop_signal: str = "SIGTERM"
    stop_seconds: float = 15.0
    fingerprint: str = ""
    """A process is restarted only if its fingerprint changes."""

    @property
    def is_server(self) -> bool:
        return self.role == "server"


def local_settings(
    variables: Mapping[str, str], ports: Mapping[str, int], secrets: LocalSecrets
) -> Settings:
    """The local defaults, overridden by those of `variables` that begin with `SENSORIUM_`.

    Raises SettingsError.
    """
    variables = {name: value for name, value in variables.items() if name.startswith(PREFIX)}
    own_models, media = own_models_url(ports), f"127.0.0.1:{ports['demo_media']}"
    defaults = {
        "KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{ports['kafka']}",
        "KAFKA__PARTITIONS": "4",
        "KAFKA__REPLICATION_FACTOR": "1",
        "KAFKA__MIN_INSYNC_REPLICAS": "1",
        "KAFKA__TRANSACTION_TIMEOUT_SECONDS": "5",
        "KAFKA__SESSION_TIMEOUT_SECONDS": "6",
        "POSTGRES__DSN": f"postgresql://{postgres.USER}:{secrets.postgres_password}"
        f"@127.0.0.1:{ports['postgres']}/{postgres.DATABASE}",
        "OBJECTS__ENDPOINT": f"http://127.0.0.1:{ports['objects']}",
        "OBJECTS__ACCESS_KEY": "sensorium",
        "OBJECTS__SECRET_KEY": secrets.objects_secret_key,
        "RECEIVER__PORT": str(ports["receiver"]),
        "CONSOLE__PORT": str(ports["console"]),
        "SECRETS__KEY": secrets.key,
    }
    chosen = {f"{PREFIX}{name}": value for name, value in defaults.items()} | variables
    url, key = f"{PREFIX}OPENAI__BASE_URL", f"{PREFIX}OPENAI__API_KEY"
    if variables.get(url, "") in ("", own_models):
        if variables.get(key, "") in ("", _OWN_KEY):
            chosen = _own_model_names() | chosen | {url: own_models, key: _OWN_KEY}
        else:
            chosen.pop(url, None)
    allowed = f"{PREFIX}MEDIA__ALLOWED_PRIVATE_HOSTS"
    hosts = [host for host in variables.get(allowed, "").split(",") if host]
    # The demo serves its sample media there, and the store its picture that can be repaired later.
    ours = (media, f"127.0.0.1:{ports['objects']}")
    chosen[allowed] = ",".join([*hosts, *(host for host in ours if host not in hosts)])
    return read_settings(chosen)


def _own_model_names() -> dict[str, str]:
    """Returns the settings that name our own models.

    Answers are recorded under the model's name, so ours must differ from the names of
    other models.
    """
    vision, speech = (EYES, EARS) if engines_installed() else (STAND_IN, STAND_IN)
    return {
        f"{PREFIX}OPENAI__VISION_MODEL": vision,
        f"{PREFIX}OPENAI__TRANSCRIPTION_MODEL": speech,
    }


def own_models_url(ports: Mapping[str, int]) -> str:
    return f"http://127.0.0.1:{ports['stand_in']}/v1"


def servers(
    home: Home, settings: Settings, ports: Mapping[str, int], secrets: LocalSecrets, say: Say
) -> dict[str, Callable[[], Declared]]:
    """Returns, by name, the function that makes each server ready to start.

    It fetches parts and creates folders. That may take minutes. A server that the
    settings place elsewhere is not run here.
    """
    return {
        "kafka": lambda: _kafka(home, settings, ports, say),
        "postgres": lambda: _postgres(home, settings, ports, secrets, say),
        "objects": lambda: _objects(home, settings, ports, say),
    }


def _kafka(home: Home, settings: Settings, ports: Mapping[str, int], say: Say) -> Declared:
    port = ports["kafka"]
    if settings.kafka.bootstrap_servers != f"127.0.0.1:{port}":
        return _elsewhere("kafka", f"kafka://{settings.kafka.bootstrap_servers}")
    argv = kafka.prepare(
        home.data / "kafka", port=port, controller_port=ports["kafka_controller"], say=say
    )
    url = f"kafka://127.0.0.1:{port}"
    return _fingerprinted(
        Declared(
            name="kafka",
            role="server",
            argv=tuple(argv),
            port=port,
            url=url,
            probe=url,
            stop_seconds=30,
        ),
        kafka.PROPERTIES,
    )


def _postgres(
    home: Home, settings: Settings, ports: Mapping[str, int], secrets: LocalSecrets, say: Say
) -> Declared:
    port, address = ports["postgres"], urlsplit(settings.postgres.dsn)
    if (address.hostname, address.port) != ("127.0.0.1", port):
        return _elsewhere("postgres", f"postgres://{address.hostname}:{address.port or 5432}")
    argv = postgres.prepare(
        home.data / "postgres", port=port, password=secrets.postgres_password, say=say
    )
    url = f"postgres://127.0.0.1:{port}"
    return _fingerprinted(
        Declared(
            name="postgres",
            role="server",
            argv=tuple(argv),
            port=port,
            url=url,
            probe=url,
            stop_signal="SIGINT",
            stop_seconds=30,
        )
    )


def _objects(home: Home, settings: Settings, ports: Mapping[str, int], say: Say) -> Declared:
    port, configured = ports["objects"], settings.objects
    if configured.endpoint != f"http://127.0.0.1:{port}":
        return _elsewhere("objects", configured.endpoint)
    store = objects.prepare(
        home.data / "objects",
        port=port,
        access_key=configured.access_key,
        secret_key=str(configured.secret_key),
        say=say,
    )
    return _fingerprinted(
        Declared(
            name="objects",
            role="server",
            argv=tuple(store.argv),
            environment=store.environment,
            port=port,
            url=configured.endpoint,
            probe=f"s3://127.0.0.1:{port}",
        )
    )


def _elsewhere(name: str, url: str) -> Declared:
    return Declared(name=name, role="server", argv=(), port=None, url=url, fingerprint=url)


def roles(settings: Settings, ports: Mapping[str, int]) -> Iterator[Declared]:
    """Yields one process per role.

    If the settings name no model, one of OWN_MODELS answers.
    """
    release = _release()
    model_urls = {settings.openai.base_url, settings.openai.transcription_base_url}
    if own_models_url(ports) in model_urls:
        port, name = ports["stand_in"], "local-models" if engines_installed() else STAND_IN
        yield _role(name, (name, "--port", str(port)), settings, release, port=port)
    yield _role("receive", ("receive",), settings, release, port=settings.receiver.port)
    for stage in STAGES:
        yield _role(
            stage,
            ("stream", stage),
            settings,
            release,
            port=ports[stage],
            metrics_port=ports[stage],
        )
    yield _role(
        "sink", ("sink",), settings, release, port=ports["sink"], metrics_port=ports["sink"]
    )
    yield _role("console", ("console",), settings, release, port=settings.console.port)


def _role(
    name: str,
    words: tuple[str, ...],
    settings: Settings,
    release: str,
    *,
    port: int,
    metrics_port: int = 0,
) -> Declared:
    """Declares a role.

    If `metrics_port` is 0, it answers probes at its own HTTP port.
    """
    worker = msgspec.structs.replace(
        settings.worker, name=f"{name}-1", metrics_port=metrics_port, metrics_host="127.0.0.1"
    )
    role = " ".join(words[:2]) if words[0] == "stream" else words[0]
    environment = environment_of(role, msgspec.structs.replace(settings, worker=worker))
    url = f"http://127.0.0.1:{port}"
    declared = Declared(
        name=name,
        role=role,
        argv=(sys.executable, "-m", "streams.commands.main", *words),
        environment={**environment, "PYTHONUNBUFFERED": "1"},
        port=port,
        url=url,
        probe=f"{url}/readyz",
        stop_seconds=30
        if words[0] == "stream"
        else 15,  # the parent of a stage gives its child 25 s
    )
    return _fingerprinted(declared, release)


def _fingerprinted(declared: Declared, *more: str) -> Declared:
    """Adds the fingerprint.

    A role has only the settings that it reads, so a changed value restarts only the
    roles it concerns.
    """
    words = msgspec.json.encode([declared.argv, sorted(declared.environment.items()), *more])
    return msgspec.structs.replace(declared, fingerprint=hashlib.sha256(words).hexdigest()[:16])


def _release() -> str:
    """Returns a hash of the program, so that the next `up` restarts roles after it has changed."""
    root, digest = Path(__file__).parents[2], hashlib.sha256()
    for package in ("schemas", "storage", "connectors", "streams"):
        for file in sorted((root / package).rglob("*")):
            if file.suffix in (".py", ".sql", ".avsc", ".json"):
                digest.update(f"{file.relative_to(root)} {file.stat().st_mtime_ns}\n".encode())
    return digest.hexdigest()
