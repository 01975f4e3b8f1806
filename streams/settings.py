"""Reads `SENSORIUM_<PART>__<NAME>` once, at start, into the values of schemas/settings.py."""

import difflib
import os
import re
from collections.abc import Container, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from connectors.models.servers import ModelSettingsError, servers_of
from schemas.settings import ReceiverSettings, Secret, Settings
from schemas.topics import DAY_MS, HORIZON_MS, MAX_RECORD_BYTES, Names
from schemas.web_address import NotAnAddress, web_address
from storage import failpoints  # noqa: F401  removes its variable, which is not a setting, from the environment
from streams.errors import StreamsError

PREFIX = "SENSORIUM_"
_NAMESPACE = re.compile(r"([a-z0-9][a-z0-9-]{0,40}(\.[a-z0-9][a-z0-9-]{0,15})?)?")
MOST_PROCESSES = 64
"""The most processes of a receiver.

More processes than cores only take memory and connections to Postgres.
"""
HOME_VARIABLE = "SENSORIUM_HOME"
"""Tells commands the folder of `sensorium up`. It is not a setting of a role."""
RESERVED_NAMESPACES = frozenset({"sensorium", "media", "public", "information-schema"})
"""Postgres schemas and folders of the object store that exist already.

Those of the empty namespace are `sensorium` and `media`.
"""
WRITTEN_BY_UP = frozenset({"SENSORIUM_CONSOLE__URL"})
"""Names that `sensorium up` writes for people and other programs.

No role reads them.
"""


class SettingsError(StreamsError):
    """A setting is missing, unknown or of the wrong type, or two settings contradict each other.

    The text says what to do.
    """


def known_settings() -> dict[str, Any]:
    """Maps the environment name of every setting to its default."""
    return {
        f"{PREFIX}{'__'.join(path).upper()}": default for path, default in _leaves(Settings(), ())
    }


def _leaves(value: msgspec.Struct, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in value.__struct_fields__:
        inner = getattr(value, name)
        if isinstance(inner, msgspec.Struct):
            yield from _leaves(inner, (*path, name))
        else:
            yield (*path, name), inner


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Reads the settings of this process.

    Raises SettingsError, which names the wrong variable and the right one.
    """
    environment = os.environ if environment is None else environment
    defaults = known_settings()
    tree: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith(PREFIX) or name in WRITTEN_BY_UP or name == HOME_VARIABLE:
            continue
        if name not in defaults:
            near = difflib.get_close_matches(name, defaults, n=1, cutoff=0.0)
            raise SettingsError(
                f"{name} is not a setting; did you mean {near[0]}? All are listed in .env.example"
            )
        *path, leaf = name.removeprefix(PREFIX).lower().split("__")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[leaf] = text
    try:
        settings = msgspec.convert(tree, Settings, strict=False, dec_hook=_secret)
    except msgspec.ValidationError as error:
        raise SettingsError(_in_environment_names(str(error))) from None
    _check(settings)
    return settings


def _secret(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError(kind)


def _in_environment_names(message: str) -> str:
    """Replaces a path in a message by the name that a person sets.

    `$.kafka.partitions` becomes SENSORIUM_KAFKA__PARTITIONS.
    """
    return re.sub(r"`\$\.([a-z_.]+)`", lambda m: PREFIX + m[1].replace(".", "__").upper(), message)


def _check(settings: Settings) -> None:
    if not _NAMESPACE.fullmatch(settings.namespace):
        raise SettingsError(
            "SENSORIUM_NAMESPACE may have lower-case letters, digits and hyphens, at "
            "most 41; a further set of topics follows after a dot, as in shop.2 "
            "(docs/operating.md, 'Another number of partitions')"
        )
    pipeline = Names(settings.namespace).pipeline
    if pipeline in RESERVED_NAMESPACES or pipeline.startswith("pg-"):
        raise SettingsError(
            f"SENSORIUM_NAMESPACE {settings.namespace} would share rows or files with "
            "others; leave it empty or choose another name"
        )
    _check_receiver(settings.receiver)
    if settings.kafka.partitions < 1:
        raise SettingsError("SENSORIUM_KAFKA__PARTITIONS must be at least 1")
    _check_retention(settings)
    if not 0 < settings.breaker.ratio <= 1:
        raise SettingsError("SENSORIUM_BREAKER__RATIO must be above 0 and at most 1")
    if not 0 <= settings.breaker.consecutive <= settings.breaker.window_records:
        raise SettingsError(
            "SENSORIUM_BREAKER__CONSECUTIVE must be between 0 and SENSORIUM_BREAKER__WINDOW_RECORDS"
        )
    try:
        servers_of(settings.openai)
    except ModelSettingsError as error:
        raise SettingsError(str(error)) from None
    public = urlsplit(settings.console.public_url)
    if settings.console.public_url and (
        public.scheme not in ("http", "https") or not public.netloc or public.query
    ):
        raise SettingsError(
            "SENSORIUM_CONSOLE__PUBLIC_URL must be an address such as "
            "https://console.example.com, or empty"
        )
    if settings.local.threads < 1 or settings.local.waiting < 1:
        raise SettingsError(
            "SENSORIUM_LOCAL__THREADS and SENSORIUM_LOCAL__WAITING must be at least 1"
        )
    if settings.kafka.min_insync_replicas > settings.kafka.replication_factor:
        raise SettingsError(
            "SENSORIUM_KAFKA__MIN_INSYNC_REPLICAS must not exceed "
            "SENSORIUM_KAFKA__REPLICATION_FACTOR"
        )


def _check_receiver(receiver: ReceiverSettings) -> None:
    if receiver.max_body_bytes + 64 * 1024 > MAX_RECORD_BYTES // 2:
        raise SettingsError(
            "SENSORIUM_RECEIVER__MAX_BODY_BYTES + 64 KiB must not exceed "
            f"{MAX_RECORD_BYTES // 2} bytes, half of the largest Kafka record"
        )
    if not 1 <= receiver.processes <= MOST_PROCESSES:
        raise SettingsError(f"SENSORIUM_RECEIVER__PROCESSES must be 1 to {MOST_PROCESSES}")
    if receiver.max_pending_bytes < 2 * receiver.max_body_bytes:
        raise SettingsError(
            "SENSORIUM_RECEIVER__MAX_PENDING_BYTES must be at least twice "
            "SENSORIUM_RECEIVER__MAX_BODY_BYTES, because one tenant gets half of it"
        )
    if receiver.url and not _is_base_address(receiver.url):
        raise SettingsError(
            "SENSORIUM_RECEIVER__URL must be an address such as "
            "https://hooks.example.com, without a user, a query or a fragment"
        )


def _check_retention(settings: Settings) -> None:
    longest = (HORIZON_MS - DAY_MS) / DAY_MS
    if not 0 < settings.kafka.raw_retention_days <= longest:
        raise SettingsError(
            "SENSORIUM_KAFKA__RAW_RETENTION_DAYS must be above 0 and at most "
            f"{longest:g}: a claim is kept for {HORIZON_MS // DAY_MS} days, and an "
            "older record could be forwarded twice"
        )
    if settings.kafka.quarantine_retention_days <= 0:
        raise SettingsError("SENSORIUM_KAFKA__QUARANTINE_RETENTION_DAYS must be above 0")
    for path, value in _leaves(settings.retention, ("retention",)):
        if not 0 <= value < float("inf"):
            raise SettingsError(
                f"{PREFIX}{'__'.join(path).upper()} must be at least 0; 0 keeps rows for ever"
            )


def _is_base_address(text: str) -> bool:
    """True if a path can be appended to the address."""
    try:
        address = web_address(text)
    except NotAnAddress:
        return False
    return not (address.query or address.has_userinfo or "#" in text or "?" in text)


def to_environment(settings: Settings, parts: Container[str] | None = None) -> dict[str, str]:
    """Returns every setting in force under its full name, or those of some parts.

    Parts are `kafka`, `namespace`, and so on.
    """
    return {
        f"{PREFIX}{'__'.join(path).upper()}": str(value).lower()
        if isinstance(value, bool)
        else str(value)
        for path, value in _leaves(settings, ())
        if parts is None or path[0] in parts
    }
