"""How failures appear in notes, labels and counts."""

import asyncio
import socket
import ssl
import time
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.models.labels import ModelLabels
from connectors.models.prices import Prices
from schemas import metrics
from schemas.connections import why_unreachable
from schemas.metrics import BoundedNames
from schemas.outcomes import Unavailable
from schemas.receipts import Line
from schemas.settings import Openai
from streams.lanes.entries import Entry
from streams.lanes.job_entries import JobEntries
from streams.lanes.jobs import Job, Jobs, Waiting
from streams.lanes.receipts import count
from streams.roles import logs


def caused_by(cause: BaseException) -> Exception:
    outer = RuntimeError("Connection error.")
    outer.__cause__ = RuntimeError("All connection attempts failed")
    outer.__cause__.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its name is not known (DNS)"),
        (ConnectionRefusedError(111, "refused"), "connection refused"),
        (ConnectionResetError(), "connection closed by the server"),
        (ExceptionGroup("all", [OSError("x"), ConnectionRefusedError()]), "connection refused"),
        (ssl.SSLError(1, "wrong"), "TLS: SSLError"),
        (ValueError("http://user:password@host"), "RuntimeError"),
    ],
)
def test_why_a_server_was_not_reached_is_said_in_words(cause: BaseException, expected: str) -> None:
    assert why_unreachable(caused_by(cause)) == expected


async def test_a_closed_port_is_a_refused_connection() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(OSError) as caught:
        await asyncio.open_connection("127.0.0.1", port)
    assert why_unreachable(caused_by(caught.value)) == "connection refused"


@pytest.mark.parametrize(
    ("asked", "answered", "label"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o", "what the server calls itself\n{}", "gpt-4o"),
        ("llava:13b", "llava:13b", "llava:13b"),
        ("mine", "mine", "mine"),
        ("gpt-5.2", "gpt-5.2", "gpt-5.2"),
        ("nobody's", "nobody's", "other"),
        ("nobody's", "", "other"),
    ],
    ids=["dated", "odd answer", "configured", "own price", "list price", "unknown", "not answered"],
)
def test_a_configured_or_priced_model_is_named_in_metrics(
    asked: str, answered: str, label: str, tmp_path: Any
) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text('{"mine": {"per_minute": 1}}')
    settings = Openai(vision_model="gpt-4o, llava:13b", prices_file=str(prices))
    assert ModelLabels(settings, Prices(settings)).of(asked, answered) == label


def test_names_beyond_the_bound_are_other() -> None:
    names = BoundedNames(2)
    assert [names.label(name) for name in ("a", "b", "c", "a", "c")] == [
        "a", "b", "other", "a", "other",
    ]  # fmt: skip


def value(metric: Any, *labels: str) -> float:
    found: float = metric.labels(*labels)._value.get()
    return found


def test_a_job_that_ends_in_a_failure_is_counted_as_failed() -> None:
    def line(outcome: str, reason: str = "") -> Line:
        return Line(0, b"failing-tenant:ycloud:w", 0, outcome, reason, 0)

    before = value(metrics.STAGE_RECORDS, "describe", "forwarded", "")
    count(
        "describe",
        [
            line("forwarded"),
            line("forwarded", "model_rejected_key"),
            line("quarantined", "stage_error"),
            line("admitted"),
        ],
    )
    assert value(metrics.STAGE_RECORDS, "describe", "failed", "model_rejected_key") == 1
    assert value(metrics.STAGE_RECORDS, "describe", "forwarded", "") == before + 1
    assert value(metrics.ATTACHMENTS_FAILED, "describe", "model_rejected_key") == 1
    assert value(metrics.ATTACHMENTS_FAILED, "describe", "quarantined") == 1
    assert value(metrics.TENANT_ATTACHMENTS_FAILED, "failing-tenant") == 2


# how long a job waits


class Queue(SimpleNamespace):
    """A lane that keeps what is added."""

    def add(self, writes: Any, changelog: Any, lines: Any) -> None:
        self.added = changelog


def postponed(trouble: Unavailable, attempt: int = 0) -> tuple[float, Jobs]:
    """The seconds until the job's next try."""
    state = JobEntries()
    entry = Entry("acme", b"k", [], b"v", time.time(), attempt, time.time())
    state.put(7, entry)
    lane: Any = Queue(stopping=False, state=state, partition=0)
    desk: Any = SimpleNamespace(hand_out=lambda job: None)
    jobs = Jobs(desk, 1, 1)
    jobs.schedule.add(Waiting(lane, 7, "acme"), 0.0)
    waiting = jobs.schedule.take(time.monotonic(), 1)
    assert waiting is not None
    jobs._free = 0
    began = time.time()
    return Job(jobs, waiting).postpone(trouble) - began, jobs


async def seconds_of(trouble: Unavailable, attempt: int = 0) -> float:
    return postponed(trouble, attempt)[0]


@pytest.mark.parametrize(
    ("trouble", "attempt", "least", "most"),
    [
        (Unavailable("model", 30.0), 0, 30, 31),
        (Unavailable("model", 30.0, at_most=4.0), 0, 3.9, 4.5),
        (Unavailable("model", 0.0, at_most=4.0), 9, 3.9, 4.5),
        (Unavailable("model", 30.0, at_most=-1.0), 0, 0, 0.5),
        (Unavailable("media", 2.0, at_most=600.0), 0, 2, 3),
    ],
    ids=["as asked", "no time left for that", "no time left for backing off", "over", "enough"],
)
async def test_no_job_waits_longer_than_the_time_that_is_left_for_it(
    trouble: Unavailable, attempt: int, least: float, most: float
) -> None:
    assert least <= await seconds_of(trouble, attempt) <= most


async def test_a_tenant_is_held_no_longer_than_the_job_that_holds_it() -> None:
    _, jobs = postponed(Unavailable("model", 30.0, hold=True, at_most=4.0))
    assert jobs.schedule._held_until["acme"] - time.monotonic() <= 4.1


# the log


def test_a_client_of_models_does_not_log_each_request() -> None:
    import openai

    libraries = {
        kind.__module__.partition(".")[0] for kind in openai.DefaultAsyncHttpxClient.__mro__
    }
    assert libraries & {"httpx", "httpx2"} <= set(logs._NOISY)


@pytest.mark.parametrize(
    ("trouble", "cause"),
    [
        (Unavailable("model", detail="model_rejected_key: 401 x"), "model_rejected_key"),
        (Unavailable("model"), "model"),
        (Unavailable("media", detail="404"), "media"),
    ],
)
def test_the_cause_of_a_trouble_is_one_word(trouble: Unavailable, cause: str) -> None:
    assert trouble.cause == cause
