"""`sensorium doctor`: checks every part, and says what is wrong and what to do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import click
import httpx
import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from connectors.media.preparation import Decoder
from schemas.outcomes import Unavailable
from schemas.settings import Settings
from schemas.tenants import TenantSettings
from schemas.topics import TOPICS, Names
from storage.kafka.client import QUIET, client_config
from storage.objects.store import ObjectStore, ObjectStoreMisconfigured
from storage.postgres.migrate import DatabaseAhead, pending
from storage.postgres.resealing import reseal
from storage.postgres.sql import queries
from storage.postgres.vault import Vault, VaultError
from streams.commands.checks import CheckResult, Soon, Wrong
from streams.commands.environment import (
    command_environment,
    command_settings,
    database,
    run_command,
)
from streams.commands.output import as_json_option, emit
from streams.commands.process_checks import process_findings
from streams.commands.stage_checks import stage_findings

_SECONDS = 5.0


@click.command()
@click.option("--tenant", help="Check the models with this tenant's key, models and language.")
@click.option(
    "--waiting-seconds",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Report jobs that wait longer than this.",
)
@as_json_option
@click.pass_context
def doctor(
    context: click.Context, tenant: str | None, waiting_seconds: float, as_json: bool
) -> None:
    """Checks every part and says what to do.

    The parts are Kafka, Postgres, the object store, the secrets, the models, the
    decoder, the roles that serve HTTP, the processes that `up` started here, and each
    stage with its backlog. Each model gets a tiny picture or a second of sound, which
    is a paid call; with --tenant that tenant pays it. Exit code 1 if a part is wrong.
    """
    settings = command_settings()
    checks = _CHECKS | {"model": _model(tenant)}

    async def work() -> list[CheckResult]:
        results = [await _guarded(part, check, settings) for part, check in checks.items()]
        results += process_findings()
        has_kafka = any(part.part == "kafka" and part.ok for part in results)
        if not has_kafka and not await asyncio.to_thread(_broker_answers, settings):
            return results
        return results + await stage_findings(settings, waiting_seconds)

    findings = run_command(work)
    document: dict[str, Any] = {
        "ok": all(f.ok for f in findings),
        "parts": [f._asdict() for f in findings],
    }
    emit(
        document,
        as_json,
        [f"{f.label}  {f.part:11} {f.says}" for f in findings],
    )
    context.exit(0 if document["ok"] else 1)


async def _guarded(
    part: str, check: "Callable[[Settings], Awaitable[str]]", settings: Settings
) -> CheckResult:
    try:
        return CheckResult(part, True, await check(settings))
    except Soon as soon:
        return CheckResult(part, True, str(soon), warns=True)
    except Wrong as error:
        return CheckResult(part, False, str(error))
    except Exception as error:  # an error in a check is a finding, of whatever type
        return CheckResult(part, False, f"{type(error).__name__}: {error}")


def _broker_answers(settings: Settings) -> bool:
    """True if Kafka can be reached, whatever is wrong with the topics."""
    try:
        AdminClient(client_config(settings.kafka) | QUIET).list_topics(timeout=_SECONDS)
    except KafkaException:
        return False
    return True


async def _kafka(settings: Settings) -> str:
    names = Names(settings.namespace)
    try:
        there = (
            AdminClient(client_config(settings.kafka) | QUIET).list_topics(timeout=_SECONDS).topics
        )
    except KafkaException:
        raise Wrong(
            f"no broker answers at {settings.kafka.bootstrap_servers}: is it up, is "
            "SENSORIUM_KAFKA__BOOTSTRAP_SERVERS right?"
        ) from None
    missing = [names.topic(name) for name in TOPICS if names.topic(name) not in there]
    if missing:
        raise Wrong(f"topics are missing ({', '.join(missing)}): sensorium topics apply")
    wrong = [
        names.topic(name)
        for name in TOPICS
        if len(there[names.topic(name)].partitions) != settings.kafka.partitions
    ]
    if wrong:
        raise Wrong(
            f"{', '.join(wrong)} should have {settings.kafka.partitions} partitions: "
            "set SENSORIUM_KAFKA__PARTITIONS to the number that exists"
        )
    return f"{len(TOPICS)} topics of {settings.kafka.partitions} partitions"


@asynccontextmanager
async def _reached(settings: Settings) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    try:
        async with asyncio.timeout(_SECONDS), database(settings) as connection:
            yield connection
    except asyncpg.UndefinedTableError:
        raise Wrong("the database was never migrated: sensorium migrate") from None
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Wrong(
            f"cannot be reached ({type(error).__name__}): is it up, is "
            "SENSORIUM_POSTGRES__DSN right?"
        ) from None


async def _postgres(settings: Settings) -> str:
    try:
        async with _reached(settings) as connection:
            left = await pending(connection)
            is_old = any(not one.is_post for one in left)
            stops = [] if is_old else await connection.fetch(queries("stops")["standing_stops"])
    except DatabaseAhead as error:
        raise Wrong(str(error)) from None
    missing = [one for one in left if not one.is_post]
    if missing:
        raise Wrong(f"{len(missing)} migrations are missing: sensorium migrate")
    if stops:
        stopped = (
            f"{stop['stage']} stopped itself ({stop['detail']}): fix the cause, then "
            f"sensorium resume {stop['stage']}"
            for stop in stops
        )
        raise Wrong("; ".join(stopped))
    if left:
        return "reached, migrated; once no older program runs: sensorium migrate --finish"
    return "reached, migrated"


async def _objects(settings: Settings) -> str:
    store = ObjectStore(settings.objects, threads=1)
    try:
        async for _ in store.list("doctor/nothing"):
            pass
    except ObjectStoreMisconfigured as error:
        raise Wrong(str(error)) from None
    except Unavailable as error:
        raise Wrong(
            f"{settings.objects.endpoint} does not answer ({error.detail}): is it up, "
            "is SENSORIUM_OBJECTS__ENDPOINT right?"
        ) from None
    finally:
        await store.close()
    return f"{settings.objects.endpoint} answers, bucket {settings.objects.bucket} is there"


async def _secrets(settings: Settings) -> str:
    """Opens every sealed value.

    After a key rotation, some may still be sealed with a key that was removed.
    """
    try:
        vault = Vault(settings.secrets.key)
    except VaultError as error:
        raise Wrong(str(error)) from None
    try:
        async with _reached(settings) as connection:
            result = await reseal(connection, vault, dry=True)
    except Wrong as wrong:
        raise Wrong(
            "SENSORIUM_SECRETS__KEY is a valid key, but checking that it opens the "
            f"sealed values needs the database: {wrong}"
        ) from None
    total = result.current + result.resealed + len(result.unreadable)
    if result.unreadable:
        names = ", ".join(f"{table} {name}" for table, _, name in result.unreadable[:5])
        raise Wrong(
            f"{len(result.unreadable)} of {total} secrets were sealed with another key "
            f"({names}), and their owners are out of service: add the old key after "
            "the new one in SENSORIUM_SECRETS__KEY, or set these secrets again"
        )
    if result.resealed:
        return (
            f"the keys open all {total} sealed values; {result.resealed} are still "
            "sealed with an older key: sensorium secrets reseal, and only then "
            "remove the older key"
        )
    return f"the key opens all {total} sealed values"


def _model(tenant_name: str | None) -> "Callable[[Settings], Awaitable[str]]":
    """Returns the check of both models, with the tenant's key and settings if a tenant is named."""

    async def check(settings: Settings) -> str:
        from streams.commands.model_check import check_model

        tenant = TenantSettings() if tenant_name is None else await _tenant(settings, tenant_name)
        today = datetime.now(UTC).date()
        vision, speech = await asyncio.gather(
            check_model(settings, "vision", tenant, today),
            check_model(settings, "speech", tenant, today),
        )
        says = f"vision: {vision.says}; speech: {speech.says}"
        if not (vision.ok and speech.ok):
            raise Wrong(says)
        if vision.warns or speech.warns:
            raise Soon(says)
        return says

    return check


async def _tenant(settings: Settings, name: str) -> TenantSettings:
    try:
        async with _reached(settings) as connection:
            rows = await connection.fetch(queries("directory")["tenants"])
        sealed = next((row["settings"] for row in rows if row["tenant_id"] == name), None)
        if sealed is None:
            raise Wrong(f"there is no tenant {name}: sensorium tenants list")
        return msgspec.json.decode(Vault(settings.secrets.key).open(sealed), type=TenantSettings)
    except VaultError as error:
        raise Wrong(str(error)) from None


async def _decoder(settings: Settings) -> str:
    """Starts a decoder as the stages do, and checks its isolation with what a hostile
    file would try.
    """
    try:
        async with Decoder(workers=1) as decoder:
            isolation = await decoder.isolation()
    except Unavailable as error:
        raise Wrong(
            f"no decoder starts here ({error.detail}): see docs/security.md for what it needs"
        ) from None
    if isolation.missing:
        raise Wrong(
            f"{', '.join(isolation.missing)} cannot isolate hostile files: this kernel "
            "or container does not allow it, see docs/security.md"
        )
    network = "network namespace" if isolation.network_namespace else "network blocked by a filter"
    return f"decodes without access to files, network, programs or privileges ({network})"


def _role(name: str) -> Callable[[Settings], Awaitable[str]]:
    """Returns the check of a role that serves HTTP.

    Its address is known only from `up` or from the URL in the settings.
    """

    async def check(settings: Settings) -> str:
        variable = f"SENSORIUM_{name.upper()}__URL"
        url = command_environment().get(variable)
        if url is None:
            return f"not checked: {variable} is not set"
        try:
            async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as client:
                answer = await client.get(f"{url}/readyz")
        except httpx.HTTPError:
            raise Wrong(
                f"{url} does not answer: is it up (sensorium status), is {variable} right?"
            ) from None
        if answer.status_code != 200:
            raise Wrong(f"{url} is not ready: check the parts above, and its log")
        return f"{url} is ready"

    return check


_CHECKS: dict[str, Callable[[Settings], Awaitable[str]]] = {
    "kafka": _kafka,
    "postgres": _postgres,
    "objects": _objects,
    "secrets": _secrets,
    "model": _model(None),
    "decoder": _decoder,
    "receiver": _role("receiver"),
    "console": _role("console"),
}
