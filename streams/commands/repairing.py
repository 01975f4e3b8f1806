"""Runs a repair from the command line.

It prints the plan, asks, applies the plan here with progress, and reports.

The plan also appears in the console, where other people can stop it. If the command is
killed, a console finishes its repair.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click

from schemas.outcomes import Unavailable
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.pool import create_pool
from storage.postgres.repair_plans import (
    LOWEST_RATE,
    Counted,
    HeldRepair,
    Intent,
    ReadByNobody,
    RepairError,
    RepairRequest,
)
from storage.postgres.repairs import Repairs
from streams.commands import waiting
from streams.commands.environment import counts_fit, run_command
from streams.commands.output import Failure, note
from streams.repair.applying import RepairWork
from streams.repair.redo import KafkaRedo

_BECOMES = {
    "again": "",
    "set_aside": "left out: they were tried three times before",
    "without": "left out: they have neither a file nor a URL",
    "gone": "left out: the provider no longer has them; ask the sender to send them again",
    "refused": "left out: they cannot be replayed",
    "job": "left out: sensorium replay attachments --reason quarantined opens their messages again",
}
DOES = {
    "attachments": "they are tried again from the stored file if there is one, otherwise by a new "
    "download",
    "quarantine": "they return to the stage that refused them, which may refuse them again",
    "raw": "they go through the pipeline again; rows get a higher version, no new rows appear",
}

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


class _RateRange(click.FloatRange):
    """0, or a rate that is high enough for a repair to keep its hold between two portions."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        rate = float(super().convert(value, param, ctx))
        if 0 < rate < LOWEST_RATE:
            self.fail(
                f"{rate:g} is too low: give 0 for no limit, or at least {LOWEST_RATE:g}.",
                param,
                ctx,
            )
        return rate


rate_option = click.option(
    "--rate",
    type=_RateRange(0, 100_000),
    default=0.0,
    help="The most per second; 0 means no limit.  [default: 0]",
)


@dataclass(slots=True)
class AppliedRepair:
    """The progress of a repair, including one that was interrupted."""

    counted: Counted
    held: HeldRepair | None = None
    tried: int = 0
    items: list[tuple[str | int, ...]] = field(default_factory=list)


def _is_terminal() -> bool:
    """True if a person can answer."""
    return sys.stdin.isatty()


class RepairCommand:
    """One repair of a command.

    `progress` returns the line to print, `document` what to report if the repair fails.
    """

    def __init__(
        self,
        settings: Settings,
        request: RepairRequest,
        progress: Callable[[AppliedRepair], str],
        document: Callable[[AppliedRepair], tuple[dict[str, Any], str]],
    ) -> None:
        self._settings = settings
        self._request = request
        self._progress = progress
        self._document = document

    def check(self) -> None:
        """Ends the command with a message if nobody would read what it writes."""

        with _explained({}, "Nothing was replayed"):
            self._run(lambda redo, _: redo.check(self._request))

    def counted(self, seconds: float | None = None) -> Counted:
        """Counts the records. Raw records are read for `seconds` at most.

        Ends the command with a message if Kafka or Postgres is unavailable.
        """

        async def work(redo: KafkaRedo, repairs: Repairs) -> Counted:
            if seconds is not None:
                redo.counting_seconds = seconds
            return await redo.count(self._request)

        with _explained({}, "Nothing was replayed"):
            counted: Counted = self._run(work)
            return counted

    def applied(self, counted: Counted, *, asks: bool) -> AppliedRepair:
        """Plans, asks and applies.

        If it is interrupted, it ends the command with a message that says what is left.
        """
        note_plan(self._request, counted)
        if asks and _is_terminal() and not click.confirm("Start?", err=True):
            raise click.ClickException("nothing was changed")
        counts_fit(self._settings)
        applied = AppliedRepair(counted)
        try:
            self._run(lambda redo, repairs: self._work(redo, repairs, applied))
        except BaseException as error:
            if applied.held is None:
                _explain(error, {}, "Nothing was replayed")
            self._end(applied)
            document, summary = self._document(applied)
            _explain(error, document, summary)
        if applied.held is not None and applied.held.state == "cancelled":
            document, summary = self._document(applied)
            raise Failure(f"it was cancelled in the console. {summary}", document)
        return applied

    async def _work(self, redo: KafkaRedo, repairs: Repairs, applied: AppliedRepair) -> None:
        work = RepairWork(repairs, redo)
        repair_id = await repairs.add(self._request, applied.counted)
        try:
            await work.begin(self._request, repair_id, self._request.rate, here=True)
        except RepairError as error:
            if len(error.args) < 2:
                raise
            other, may_continue = error.args[1:]
            if not may_continue:
                raise click.ClickException(
                    f"{other} is under way for these records: wait for it, or end it "
                    f"by sensorium repairs cancel {other}. If its command was killed, "
                    "a console continues it within a minute, and so does this command "
                    "when it is repeated"
                ) from None
            note(f"continues {other}, which was interrupted")
            repair_id = other
        applied.held = await repairs.hold(work.holder, repair_id)
        if applied.held is None:
            raise click.ClickException(
                f"{repair_id} is being applied by another process: sensorium repairs list"
            )
        await work.work(applied.held, lambda held, intent: self._note(applied, intent))

    def _note(self, applied: AppliedRepair, intent: Intent) -> None:
        applied.tried += len(intent.items)
        if self._request.kind == "quarantine":
            applied.items += intent.items
        if intent.items or intent.redone:
            note(self._progress(applied))

    def _end(self, applied: AppliedRepair) -> None:
        """Cancels the repair of an interrupted command, so that nothing continues without it."""
        held = applied.held
        assert held is not None

        async def work(redo: KafkaRedo, repairs: Repairs) -> None:
            await repairs.cancel(held.tenant_id, held.repair_id, self._request.person)
            await repairs.let_go(held)
            left = await repairs.hold(held.holder, held.repair_id)
            if left is not None:  # a portion was in flight
                applied.held = left
                await RepairWork(repairs, redo).work(left, lambda _, one: self._note(applied, one))

        try:
            self._run(work)
        except (Exception, KeyboardInterrupt):
            note(f"{held.repair_id} may continue: sensorium repairs list")

    def _run(self, work: Callable[[KafkaRedo, Repairs], Any]) -> Any:
        async def connected() -> Any:
            names = Names(self._settings.namespace)
            pool: Any = await create_pool(self._settings.postgres, names, "command", size=3)
            try:
                return await work(KafkaRedo(self._settings, pool), Repairs(pool))
            finally:
                pool.terminate()

        return run_command(lambda: _kafka_apart(connected))


class _KafkaAway(Exception):
    """Kafka is unavailable. The text is the error of the client."""


async def _kafka_apart(work: Callable[[], Any]) -> Any:
    """Converts errors of Kafka, so that they can be distinguished from errors of Postgres."""
    try:
        return await work()
    except Unavailable as away:
        if away.what != "kafka":
            raise
        raise _KafkaAway(away.detail) from None


def _explain(error: BaseException, document: dict[str, Any], summary: str) -> None:
    """Raises a message if a person can fix the error, else the error itself."""
    if isinstance(error, _KafkaAway):
        raise Failure(f"Kafka: {error}. {summary}", document) from None
    if isinstance(error, ReadByNobody):
        raise Failure(f"{_unread_text(error)}. {summary}", document) from None
    if isinstance(error, KeyboardInterrupt):
        raise Failure(f"interrupted. {summary}", document) from None
    if isinstance(error, click.ClickException):
        raise Failure(f"{error.format_message()}. {summary}", document) from None
    raise error


@contextmanager
def _explained(document: dict[str, Any], summary: str) -> Iterator[None]:
    try:
        yield
    except (_KafkaAway, ReadByNobody, KeyboardInterrupt, click.ClickException) as error:
        _explain(error, document, summary)


def _unread_text(error: ReadByNobody) -> str:
    return (
        f"dedupe of the set of topics {error.own} does not run, and that of {error.instead} does:"
        f" nothing would read what is written to {error.own}. Raw records can be replayed"
        f" only in the set that is in use ({error.environment})"
    )


def note_plan(request: RepairRequest, counted: Counted) -> None:
    """Prints the plan for a person."""
    for line in counted.lines:
        where = " ".join(filter(None, (line.tenant, line.what, line.reason)))
        stays = _BECOMES[line.becomes]
        note(f"{line.records:8}  {where}{'  ' + stays if stays else ''}")
    noun = "message" if request.kind == "attachments" else "record"
    about = "" if counted.is_whole else "about "
    how_many = about + waiting.counted(counted.records, noun)
    takes = f", at most {request.rate:g} per second" if request.rate else ""
    note(f"plan: {how_many}{takes}; {DOES[request.kind]}")
    if counted.microusd is not None and request.kind == "attachments":
        note(f"the models' answers will cost about {counted.microusd / 1_000_000:.6f} USD")
