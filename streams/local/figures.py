"""Reads the figures of a local process from its metrics, and finds frozen processes."""

import re
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from streams.local.home import Home
from streams.local.processes import marked
from streams.local.supervisor import Running

_SECONDS = 1.0
_SAMPLE = re.compile(r"^(sensorium_\w+)(?:\{[^}]*\})? ([0-9.e+-]+)$", re.MULTILINE)
_LAG = frozenset({"sensorium_stage_lag_records", "sensorium_sink_lag_records"})
_JOBS, _OLDEST = "sensorium_stage_jobs_waiting", "sensorium_stage_oldest_job_seconds"
_WITH_METRICS = ("stream ", "sink")


class Figures(NamedTuple):
    """The backlog of a process.

    A figure is None if the process does not have it or does not answer.
    """

    lag_records: int | None = None
    jobs_waiting: int | None = None
    oldest_job_seconds: float | None = None


def figures_of(row: Running) -> Figures:
    """Reads the backlog of a stage or the sink from its metrics."""
    if row.state != "running" or not row.url or not row.role.startswith(_WITH_METRICS):
        return Figures()
    text = _metrics(row.url)
    return Figures() if text is None else figures_in(text)


def waits_in_words(figures: Figures) -> list[str]:
    """Describes the backlog. The list is empty if nothing waits."""
    words = [f"lag {figures.lag_records}"] if figures.lag_records else []
    if figures.jobs_waiting:
        age = (
            f", the oldest for {figures.oldest_job_seconds:g} s"
            if figures.oldest_job_seconds
            else ""
        )
        words.append(f"jobs waiting: {figures.jobs_waiting}{age}")
    return words


def figures_in(text: str) -> Figures:
    """Parses the text of /metrics."""
    samples = [(name, float(value)) for name, value in _SAMPLE.findall(text)]
    lag = [value for name, value in samples if name in _LAG]
    jobs = [value for name, value in samples if name == _JOBS]
    oldest = [value for name, value in samples if name == _OLDEST]
    return Figures(
        int(sum(lag)) if lag else None,
        int(sum(jobs)) if jobs else None,
        round(max(oldest), 1) if oldest else None,
    )


def frozen(home: Home) -> Iterator[tuple[str, int]]:
    """Yields name and pid of each process of this installation that is stopped.

    A signal or a debugger can stop a process.
    """
    for process, name in marked(home.mark("")):
        if _state(process.pid) in ("T", "t"):
            yield name, process.pid


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return ""


def _metrics(url: str) -> str | None:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode(errors="replace")
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
