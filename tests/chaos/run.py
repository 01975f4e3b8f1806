"""One stack, one pipeline, and a phase per fault: load, disturb, calm, drain, judge."""

import asyncio
import json
import random
import re
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from schemas.pipeline import STAGES
from storage.postgres.tenancy import Tenancy
from storage.postgres.vault import Vault
from tests.chaos import gather
from tests.chaos.book import POISON, Book
from tests.chaos.facts import Disturbance, Facts
from tests.chaos.faults.catalogue import FAULTS, Fault
from tests.chaos.generator import Generator
from tests.chaos.media import MediaServer, media_server
from tests.chaos.oracle import Finding, judge, paid_bound
from tests.chaos.proxy import Proxy, proxy
from tests.chaos.report import Line
from tests.chaos.servers import Servers, servers
from tests.chaos.traffic import Sender, Traffic
from tests.chaos.watch import Watcher, read_all
from tests.chaos.world import Crew, World
from tests.pipeline import ROLES, Pipeline, role_of
from tests.quick_commands import run_quickly

DRAIN_SECONDS = 150.0
LAG_SECONDS = 30.0
MODEL_SECONDS = 25.0
"""Longer than a hanging model hangs (faults/models.py).

Otherwise a call that was given up and paid nevertheless would be unexplained.
"""
PROGRESS_SECONDS = 5.0
WARM_SECONDS = 2.0
_INTERRUPTED = re.compile(rb'"event": "(?:worker_ended|partitions_assigned|lane_failed)"')


@dataclass(frozen=True)
class Options:
    seed: int
    rate: float = 20.0
    long: bool = False
    seconds: float | None = None
    """The duration of each fault, instead of its own."""


class Chaos:
    """A running pipeline in which faults run one after the other."""

    def __init__(
        self, crew: Crew, own: Servers, store: Proxy, media: MediaServer, options: Options
    ) -> None:
        self.crew = crew
        self.pipeline = crew.pipeline
        self._servers = own
        self._store = store
        self._media = media
        self._options = options
        self._phases = 0
        self._tenants: list[str] = []

    def phase(self, fault: Fault, drain_seconds: float = DRAIN_SECONDS) -> Line:
        """Runs one fault with tenants of its own, and adds its line to the table."""
        self._phases += 1
        options, began = self._options, time.time()
        rng = random.Random(f"{options.seed} {fault.name}")
        senders = asyncio.run(self._senders(fault.name.replace("_", "-"), fault.tenants))
        book = Book(self.pipeline.folder / f"accepted-{self._phases}-{fault.name}.jsonl")
        traffic = Traffic(senders, self._media, rng)
        watcher = Watcher(
            self.pipeline.settings.kafka, self.pipeline.names.topic("enriched-messages")
        )
        generator = Generator(self.pipeline.receiver, traffic, book, options.rate, options.seed)
        seconds = options.seconds or (fault.seconds if options.long else fault.short_seconds)
        world = World(
            self.crew, self._servers, self._store, self._media, generator, watcher, senders, rng, seconds, options.long,
            say=lambda text: say(f"{fault.name}: {text}"), audited_from=began,
        )  # fmt: skip
        world.tick = _Progress(world)
        try:
            self._wait_known(world)
            generator.start()
            world.sleep(WARM_SECONDS)
            fault.hurt(world)
            world.say("calm")
            self.crew.calm()
            world.sleep(1.0)
            generator.pause()
            self._drain(world, drain_seconds)
            for step in world.before_judging:
                step()
            facts = self._facts(world, began)
            world.notes["slowest_stop"] = self.crew.slowest_stop
            for undo in world.afterwards:
                undo()
        finally:
            generator.close()
            watcher.close()
            book.close()
        return self._line(world, fault, facts, judge(facts))

    async def _senders(self, name: str, count: int) -> list[Sender]:
        """Adds tenants of this phase alone, so that what is found under their names belongs to it."""
        connection = await gather.open_connection(self.pipeline.settings)
        try:
            tenancy = Tenancy(connection, Vault(self.pipeline.settings.secrets.key))
            senders = []
            for number in range(count):
                tenant = f"{name}-{self._phases}-{number}"
                self._tenants.append(tenant)
                await tenancy.add_tenant(tenant)
                await tenancy.set_tenant(tenant, {"openai_key": tenant})
                made = {
                    p: await tenancy.add_endpoint(
                        tenant, p, secret=None, unsigned=False, api_key=None
                    )
                    for p in ("ycloud", "chatwoot")
                }
                senders.append(
                    Sender(
                        tenant,
                        number,
                        {p: (endpoint.token, endpoint.secrets[0]) for p, endpoint in made.items()},
                        await tenancy.add_key(tenant, "chat"),
                    )
                )
            return senders
        finally:
            await connection.close()

    def _wait_known(self, world: World) -> None:
        """Waits until every role that looks up tenants knows these."""
        for name in ("receive", "store_media", "describe", "transcribe"):
            world.must(
                lambda name=name: (
                    (self.crew.metric(name, "sensorium_directory_tenants") or 0)
                    >= len(self._tenants)
                ),  # type: ignore[misc]
                60,
                f"{name} knows the new tenants",
            )

    def _drain(self, world: World, limit: float) -> None:
        """Waits until every accepted message is finished.

        All records are read then, and the rows are as new as the topic.
        """
        book = world.generator.book
        world.must(lambda: world.generator.idle, limit, "every delivery is taken")
        world.wait_ready()
        look = _every(0.5, lambda: asyncio.run(self._unfinished(world)))
        world.must(lambda: look() == 0, limit, "every accepted message is finished")
        lags = _every(0.3, self._lags)
        if not world.until(lambda: lags() == {}, LAG_SECONDS):
            world.failures.append(f"lag after {LAG_SECONDS:g} s: {lags()}")
        world.say(f"drained: {len(book.accepted)} accepted")

    def _lags(self) -> dict[str, float | None]:
        """The processes that have not read everything, or do not answer."""
        found = {
            name: self.crew.metric(name, "sensorium_(stage|sink)_lag_records")
            for name in (*STAGES, "sink")
        }
        return {name: lag for name, lag in found.items() if lag != 0}

    async def _unfinished(self, world: World) -> int:
        """Accepted messages without a finished row, and poison without a row in quarantine."""
        tenants = [sender.tenant for sender in world.senders]
        connection = await gather.open_connection(self.pipeline.settings)
        try:
            found = await connection.fetch(
                "SELECT message_key FROM chat_messages WHERE tenant_id = ANY($1) AND status <> 'pending'",
                tenants,
            )
            finished = {row["message_key"] for row in found} | {
                one.key for one in await gather.refused(connection, tenants)
            }
        finally:
            await connection.close()
        missing = world.generator.book.accepted.keys() - finished
        world.unfinished = len(missing)
        return len(missing)

    def _facts(self, world: World, began: float) -> Facts:
        """Collects the facts once nothing moves any more.

        The topic is read first, so rows are ahead of it only if something is wrong.
        """
        settings, tenants = self.pipeline.settings, [sender.tenant for sender in world.senders]
        versions = read_all(
            settings.kafka, self.pipeline.names.topic("enriched-messages"), world.watcher.starts
        )

        async def from_postgres() -> tuple[object, ...]:
            connection = await gather.open_connection(settings)
            try:
                return (
                    await gather.rows(connection, tenants),
                    await gather.refused(connection, tenants),
                    await gather.stored(connection, tenants),
                )
            finally:
                await connection.close()

        rows, quarantined, stored = asyncio.run(from_postgres())
        book = world.generator.book
        return Facts(
            accepted=tuple(book.accepted.values()),
            ambiguous=frozenset(book.ambiguous),
            rows=rows,  # type: ignore[arg-type]
            versions=tuple(version for version in versions if version.tenant in tenants),
            quarantined=quarantined,  # type: ignore[arg-type]
            stored=stored,  # type: ignore[arg-type]
            objects=gather.objects(
                settings, tenants, self._servers.settings.objects.endpoint.removeprefix("http://")
            ),
            paid=gather.paid(self.pipeline, tenants),
            disturbed=tuple(merged([*world.disturbed, *self._interruptions(began)])),
            degraded_allowed=world.degraded_allowed,
            audit=self._audit(book, tenants, world.audited_from),
        )

    def _interruptions(self, since: float) -> Iterator[Disturbance]:
        """The disturbances since then in the logs: workers that ended and partitions that moved."""
        for path in self.pipeline.folder.glob("*.log"):
            for line in path.read_bytes().splitlines():
                if _INTERRUPTED.search(line):
                    at = datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()
                    if at >= since:
                        yield Disturbance(role_of(path.stem), at)

    def _audit(self, book: Book, tenants: list[str], since: float) -> dict[str, int]:
        """The findings of `sensorium audit`, with their numbers."""
        keys = self.pipeline.folder / "keys"
        keys.write_text("\n".join(book.accepted))
        moment = datetime.fromtimestamp(since, UTC).isoformat()
        words = ["audit", "--json", "--since", moment, "--accepted", str(keys)]
        told = run_quickly(
            [*words, "--stuck-seconds", "1"], self.pipeline.environment(), seconds=120
        )
        if told.returncode not in (0, 1):
            return {f"audit failed: {told.stderr[-500:]}": 1}
        others = set(self._tenants) - set(tenants)
        findings = [
            one for one in json.loads(told.stdout)["findings"] if one["tenant"] not in others
        ]
        return dict(Counter(f"{one['kind']} {one['stage']}: {one['what']}" for one in findings))

    def _line(self, world: World, fault: Fault, facts: Facts, findings: list[Finding]) -> Line:
        world.failures += unsaid(world.generator)
        first = world.watcher.first_seen()
        stalls = [first[entry.key] - entry.at for entry in facts.accepted if entry.key in first]
        broken = {finding.promise: finding.broken_by for finding in findings if finding.broken_by}
        return Line(
            fault=fault.name,
            seed=self._options.seed,
            accepted=len(facts.accepted),
            deliveries=sum(world.generator.book.deliveries.values()),
            kills=world.kills,
            rows=len(facts.rows),
            lost=len(broken.get("lost", ())),
            twice=len(broken.get("twice", ())) + len(broken.get("rows_twice", ())),
            wrong_tenant=len(broken.get("wrong_tenant", ())),
            stuck=len(broken.get("stuck", ())),
            poison=sum(1 for entry in facts.accepted if entry.kind in POISON),
            paid=len(facts.paid),
            paid_bound=paid_bound(facts),
            longest_stall=round(max(stalls, default=0.0), 1),
            seconds=round(time.time() - world.began, 1),
            statuses=dict(world.generator.statuses),
            notes=world.notes,
            broken={promise: list(several[:20]) for promise, several in broken.items()},
            failures=world.failures,
        )


def merged(disturbances: list[Disturbance], within: float = 0.3) -> Iterator[Disturbance]:
    """Merges disturbances of one role that are close together."""
    last = Disturbance("", 0.0)
    for one in sorted(disturbances):
        if one.role != last.role or one.at - last.at > within:
            yield one
            last = one


def unsaid(generator: Generator) -> Iterator[str]:
    """Failures that no promise covers.

    These are a provider that was refused permanently, and a run in which nothing
    happened.
    """
    for status, count in generator.statuses.items():
        if status == "given up" or (status.startswith("4") and status != "429"):
            yield f"{count} deliveries: {status}"
    if not generator.book.accepted:
        yield "nothing was accepted"


class _Progress:
    """Prints a line every few seconds."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._next = time.monotonic() + PROGRESS_SECONDS

    def __call__(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PROGRESS_SECONDS
        world = self._world
        book = world.generator.book
        versions = len({one.key for one in world.watcher.seen})
        world.say(
            f"accepted {len(book.accepted)}, on their way {world.generator.outstanding}, seen enriched {versions}, kills {world.kills}"
            + (f", unfinished {world.unfinished}" if world.unfinished else "")
        )


def _every(seconds: float, look):  # type: ignore[no-untyped-def]
    """Calls `look` at most once per so many seconds, and returns its last result in between.

    The result is None while the call fails.
    """
    state: list[object] = [0.0, None]

    def asked():  # type: ignore[no-untyped-def]
        if time.monotonic() >= state[0]:
            try:
                state[1] = look()
            except OSError:
                state[1] = None
            state[0] = time.monotonic() + seconds
        return state[1]

    return asked


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


@contextmanager
def running(options: Options) -> Iterator[Chaos]:
    """Starts everything and waits until it is ready. Stops everything after the block."""
    with servers() as own, tempfile.TemporaryDirectory(prefix="sensorium-chaos-logs-") as name:
        plain = Pipeline(
            own.settings,
            f"c{secrets.token_hex(3)}",
            Path(name),
            model_retry_seconds=3600,
            media_retry_seconds=3600,
        )
        port = plain._port("store")
        plain.settings = replace(
            plain.settings,
            objects=replace(plain.settings.objects, endpoint=f"http://127.0.0.1:{port}"),
            openai=replace(plain.settings.openai, timeout_seconds=MODEL_SECONDS),
        )
        host, _, target = own.settings.objects.endpoint.removeprefix("http://").partition(":")
        crew = Crew(plain)
        with proxy(port, (host, int(target))) as store, media_server(plain.ports["media"]) as media:
            try:
                plain.make_topics()
                plain.command("migrate")
                for role in ("stand-in", *ROLES):
                    crew.start(role)
                for role in ("stand-in", *ROLES):
                    plain.wait_ready(role)
                say("the pipeline is ready")
                yield Chaos(crew, own, store, media, options)
            finally:
                plain.stop_all()


def run(names: list[str], options: Options) -> Iterator[Line]:
    """Runs the faults in one pipeline, one after the other."""
    with running(options) as chaos:
        for name in names:
            yield chaos.phase(FAULTS[name])
