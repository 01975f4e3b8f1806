"""The figures of a bench: the runs, their median, and the ratio that the bench is about.

Printed as a table for people and written as JSON for programs.
"""

import os
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

FOLDER = Path("var/bench")


class Pace(NamedTuple):
    """The result of one run.

    `cpu_microseconds` is the CPU time per record of the process and its children.
    """

    per_second: float
    memory_mib: float
    cpu_microseconds: float


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a table: a measurement with all its runs."""

    name: str
    runs: list[float]
    memory_mib: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.runs)


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """One figure divided by another (`of` : `to`), and its goal.

    A goal of 0 means that there is none.
    """

    name: str
    value: float
    at_least: float = 0.0
    at_most: float = 0.0
    of: str = ""
    to: str = ""

    @property
    def verdict(self) -> str:
        if self.at_least:
            is_met = "yes" if self.value >= self.at_least else "NO"
            return f", wanted at least {self.at_least:g}: {is_met}"
        if self.at_most:
            is_met = "yes" if self.value <= self.at_most else "NO"
            return f", wanted at most {self.at_most:g}: {is_met}"
        return ""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one measurement, and their ratios."""

    bench: str
    title: str
    unit: str
    figures: list[Figure]
    ratios: list[Ratio] = []


class Report(msgspec.Struct, frozen=True):
    """A run of a bench, with the machine on which it ran."""

    bench: str
    date: str
    cores: int
    memory_gib: int
    load_average: float
    tables: list[Table]


def paced(name: str, paces: list[Pace]) -> Figure:
    """The figure of several runs, with the highest memory of them, and the CPU time per record."""
    cpu = statistics.median(pace.cpu_microseconds for pace in paces)
    memory = max(pace.memory_mib for pace in paces)
    return Figure(
        name=name,
        runs=[pace.per_second for pace in paces],
        memory_mib=memory,
        note=f"{cpu:.0f} µs of CPU each",
    )


def ratio(name: str, of: Figure, to: Figure, at_least: float = 0.0, at_most: float = 0.0) -> Ratio:
    return Ratio(
        name=name,
        value=of.median / to.median,
        at_least=at_least,
        at_most=at_most,
        of=of.name,
        to=to.name,
    )


def percentile(values: list[float], part: float) -> float:
    """The value that the share `part` of all values does not exceed.

    0.5 is the median, 1.0 the largest.
    """
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def show(table: Table) -> str:
    """Formats the table as text."""
    wide = max(len(figure.name) for figure in table.figures)
    lines = [f"{table.title} [{table.unit}]"]
    for figure in table.figures:
        runs = " ".join(number(run) for run in figure.runs)
        memory = "" if figure.memory_mib is None else f"  {figure.memory_mib:4.0f} MiB"
        note = f"  {figure.note}" if figure.note else ""
        lines.append(f"  {figure.name:{wide}}  {number(figure.median):>9}  ({runs}){memory}{note}")
    lines += [f"  {one.name}: {one.value:.2f}{one.verdict}" for one in table.ratios]
    return "\n".join(lines)


def write(bench: str, tables: list[Table], load_average: float) -> Path:
    """Writes the tables as JSON, with the machine on which they were measured."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    report = Report(
        bench,
        time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        os.cpu_count() or 0,
        memory,
        load_average,
        tables,
    )
    file = FOLDER / f"{bench}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    return file


def read(bench: str, folder: Path = FOLDER) -> Report | None:
    """Reads the last run of a bench, if there is one."""
    file = folder / f"{bench}.json"
    return msgspec.json.decode(file.read_bytes(), type=Report) if file.exists() else None


def number(value: float) -> str:
    """Formats a number as the tables print it."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
